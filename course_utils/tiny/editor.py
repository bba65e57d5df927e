"""A small language model that thinks of edits: caption > instruction > edited caption.

InstructPix2Pix (Brooks et al. 2023, section 3.1) has GPT-3 write the instructions and
the captions afterwards. This is a GPT-2 of the toybox's words, of the same habit.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import toybox
from course_utils.images import check_kind
from course_utils.models.pipelines import check_texts
from course_utils.tiny.instruct import some_edit
from course_utils.tiny.text import LENGTH
from course_utils.toybox import Scene
from course_utils.toybox.attributes import check_rng

SEPARATOR = " > "
PLACES = 3 * LENGTH  # tokens; two captions and an instruction need fewer


def edit_in_words(rng: np.random.Generator) -> tuple[str, str, str]:
    """A random edit of a scene of the split "train": caption, instruction, caption.

    Captions leave out some attributes, both the same; never what the edit is about.
    """
    check_rng(rng)
    scene, edit, after = some_edit(rng)
    names = [n for n in ("size", "mood", "pattern", "ground") if rng.random() < 0.5]
    names += ["place"] if rng.random() < 0.7 else []
    about = edit.value if edit.attribute == "add" else {edit.attribute}
    said = {"toy", "count", "colour", *names, *about, *edit.target}
    return _said(scene, said), toybox.instruct(edit, rng), _said(after, said)


def _said(scene: Scene, names: set[str]) -> str:
    return toybox.say({k: v for k, v in scene.attributes.items() if k in names})


def is_valid(caption: str, instruction: str, edited: str) -> bool:
    """Does the edited caption say what the instruction makes of the first one?

    All that the first caption says of what is not edited must be said again.
    """
    said = dict(caption=caption, instruction=instruction, edited=edited)
    for name, text in said.items():
        check_kind(text, name, str, "'a red cat'")
    try:
        scene = toybox.imagine(caption, np.random.default_rng(0))
        edit = toybox.parse_edit(instruction)
        wanted, said = toybox.apply(scene, edit), toybox.parse(edited)
    except ValueError:
        return False
    if wanted.attributes == scene.attributes:
        return False
    names = {*toybox.parse(caption), *said} - {"relation"}
    asked = {k: v for k, v in wanted.attributes.items() if k in names}
    return toybox.say(asked) == toybox.say(said)


def build_editor(tokenizer) -> nn.Module:
    """A transformers GPT2LMHeadModel of 3 layers, 128 wide, with fresh weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=PLACES,
        n_embd=128,
        n_layer=3,
        n_head=4,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,  # a checkpoint holds each tensor once
    )
    return GPT2LMHeadModel(config)


def load_editor(folder: Path) -> tuple[nn.Module, object]:
    """The language model of a folder, in single precision, and its tokenizer."""
    from transformers import CLIPTokenizer, GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 10_000  # else three captions seem too long to it
    return model.eval().requires_grad_(False), tokenizer


def as_tokens(tokenizer, triples: Sequence[tuple[str, str, str]]) -> Tensor:
    """Token ids (B, longest) of "caption > instruction > edited", ends repeated."""
    ids = [tokenizer(SEPARATOR.join(triple)).input_ids for triple in triples]
    longest = max(map(len, ids))
    end = tokenizer.eos_token_id
    return torch.tensor([line + [end] * (longest - len(line)) for line in ids])


def next_word_loss(model: nn.Module, tokens: Tensor) -> Tensor:
    """Cross-entropy of each next token (B, L), the first end included, no other."""
    end = model.config.eos_token_id
    heard = torch.ones_like(tokens[:, :-1])  # the ends, too: nothing comes after them
    logits = model(tokens[:, :-1], attention_mask=heard).logits
    wanted = tokens[:, 1:].masked_fill(tokens[:, :-1] == end, -100)
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100)


@torch.no_grad()
def write_edits(
    model: nn.Module, tokenizer, captions: Sequence[str], temperature: float = 1.0
) -> list[tuple[str, str, str]]:
    """What the model thinks of for each caption; a part is "" where it wrote none.

    Sampled from torch's global generator, as transformers does. ValueError for a
    caption that leaves no room for an answer.
    """
    check_texts(captions, "captions")
    begun = [tokenizer(caption + SEPARATOR).input_ids[:-1] for caption in captions]
    longest, end = max(map(len, begun)), tokenizer.eos_token_id
    if longest >= PLACES:
        raise ValueError(
            f"captions: the longest has {longest} tokens, and with what is written "
            f"there is room for {PLACES}: say less"
        )
    fill = [longest - len(line) for line in begun]
    tokens = [[end] * k + line for k, line in zip(fill, begun, strict=True)]
    heard = [[0] * k + [1] * len(line) for k, line in zip(fill, begun, strict=True)]
    found = model.generate(
        torch.tensor(tokens),
        attention_mask=torch.tensor(heard),
        do_sample=True,
        temperature=temperature,
        top_k=0,
        max_length=PLACES,
        pad_token_id=end,
    )
    texts = tokenizer.batch_decode(found, skip_special_tokens=True)
    return [_parts(text) for text in texts]


def _parts(text: str) -> tuple[str, str, str]:
    parts = [part.strip().replace(" ,", ",") for part in text.split(">")]
    return tuple([*parts, "", ""][:3])
