"""A small language model that turns a saying into a prompt, with or without a meaning.

    my heart is a storm at sea
    meaning: a heart, furious: hurt, wild, strong
    prompt: a big striped red heart in the middle in the sea

The line of meaning is a chain of thought (Wei et al. 2022), as Chakrabarty et al. 2023
ask a large model for one before it describes a metaphor to a painter. Any causal model
of transformers writes in the same form, after a few examples.
"""

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.models.pipelines import check_texts
from course_utils.models.quiet import no_loading_bars
from course_utils.tiny.feelings import FEELINGS, PHRASES, TOY_OF, Saying

MEANING, PROMPT, UNKNOWN, END = "meaning:", "prompt:", "<unknown>", "<end>"
PIECES = rf"{MEANING}|{PROMPT}|[\w']+|[^\w\s]"
LENGTH = 64  # tokens; the longest line needs fewer
NEW = 48  # tokens that an answer may have; a real model's words are in pieces


def lexicon() -> list[str]:
    """Every word and sign of sayings, meanings and prompts."""
    texts = [*TOY_OF, *(p.words for p in PHRASES), *(f.word for f in FEELINGS)]
    texts += ["is feels no longer not but glad hurt wild still strong weak a , :"]
    words = {piece for text in texts for piece in re.findall(PIECES, text)}
    return sorted(words | set(toybox.VOCABULARY))


def word_tokenizer():
    """A transformers tokenizer with one token for each word of the lexicon."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = [END, UNKNOWN, MEANING, PROMPT, *lexicon()]
    ids = {name: i for i, name in enumerate(dict.fromkeys(names))}
    core = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), "removed", invert=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=END, pad_token=END, unk_token=UNKNOWN,
        padding_side="left", model_max_length=LENGTH,
    )  # fmt: skip


def build_language_model(tokenizer) -> nn.Module:
    """A transformers LlamaForCausalLM of 2 layers, 128 wide, with fresh weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,  # a checkpoint holds each tensor once
    )
    return LlamaForCausalLM(config)


def line(saying: Saying, meaning: bool = True) -> str:
    """A saying with its answer, with or without the meaning line."""
    middle = [f"{MEANING} {saying.meaning}"] if meaning else []
    return "\n".join([saying.text, *middle, f"{PROMPT} {saying.prompt}"])


def line_tokens(tokenizer, lines: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids (B, L) of lines, and which of them are answers (B, L), bool.

    An answer begins after the first of MEANING and PROMPT, and one end belongs to it.
    Lines that are shorter are filled up with ends on the right.
    """
    ids = [tokenizer(text).input_ids + [tokenizer.eos_token_id] for text in lines]
    longest, end = max(map(len, ids)), tokenizer.eos_token_id
    marks = tokenizer.convert_tokens_to_ids([MEANING, PROMPT])
    tokens = torch.tensor([row + [end] * (longest - len(row)) for row in ids])
    begun = torch.isin(tokens, torch.tensor(marks)).cumsum(1) > 0
    inside = torch.tensor([[k < len(row) for k in range(longest)] for row in ids])
    begun = begun.roll(1, 1)  # the mark itself is given, not asked for
    begun[:, 0] = False
    return tokens, begun & inside


def answer_loss(model: nn.Module, tokens: Tensor, answer: Tensor) -> Tensor:
    """Cross-entropy of each next token (B, L) that belongs to an answer (B, L)."""
    heard = torch.ones_like(tokens[:, :-1])
    logits = model(tokens[:, :-1], attention_mask=heard).logits
    wanted = tokens[:, 1:].masked_fill(~answer[:, 1:], -100)
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100)


@dataclass(frozen=True)
class Writer:
    """A causal language model that writes prompts.

    model, tokenizer  of transformers
    examples          sayings that it is shown first; none for a model of the grammar
    """

    model: nn.Module
    tokenizer: object
    examples: tuple[Saying, ...] = ()

    def begin(self, text: str, meaning: bool) -> str:
        """What the model goes on from: the examples, the text, and the next mark."""
        shown = [line(example, meaning) for example in self.examples]
        mark = MEANING if meaning else PROMPT
        return "\n\n".join([*shown, f"{text}\n{mark}"])


@dataclass(frozen=True)
class Written:
    """An answer: the meaning line ("" if none was asked for), and the prompt."""

    meaning: str
    prompt: str

    @property
    def valid(self) -> bool:
        """Is the prompt in the toybox's language?"""
        return is_prompt(self.prompt)


def is_prompt(text: str) -> bool:
    """Whether the toybox can read a text: known words, one to three toys."""
    try:
        toybox.parse(text)
    except ValueError:
        return False
    return True


def load_writer(name: str | os.PathLike, examples: Sequence[Saying] = ()) -> Writer:
    """A Writer: "tiny-lm", your folder, or a repository of the Hugging Face hub.

    What is not tiny-lm must be a causal model of transformers in safetensors; it needs
    `examples`. Raises OSError with what to do if it is not there and downloads are off.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not isinstance(name, str | os.PathLike) or not str(name):
        raise ValueError(f'name must be a text, such as "tiny-lm", not {name!r}')
    where = Path(name) if Path(name).is_dir() else name
    where = models.path("tiny-lm") if name == "tiny-lm" else where
    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
        with no_loading_bars():
            model = AutoModelForCausalLM.from_pretrained(
                where, dtype=torch.float32, use_safetensors=True
            )
    except (OSError, ValueError) as error:
        raise OSError(
            f"name={str(name)!r} is no language model on this computer: pass "
            '"tiny-lm", a folder that save_pretrained wrote, or a repository, after '
            "`hf download` has fetched it or with HF_HUB_OFFLINE=0"
        ) from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Writer(model.eval().requires_grad_(False), tokenizer, tuple(examples))


@torch.no_grad()
def write(
    writer: Writer,
    texts: Sequence[str],
    meaning: bool = True,
    temperature: float = 0.0,
) -> list[Written]:
    """What the model writes for each text, with the meaning line first or without it.

    temperature 0 takes the most probable token each time; above it, tokens are drawn
    from torch's global generator. ValueError for an empty text, for a temperature below
    0, and for words that a model of whole words does not know.
    """
    check_texts(texts, "texts")
    if temperature < 0:
        raise ValueError(f"temperature={temperature} must be 0 or above")
    check_words(writer.tokenizer, texts)
    begun = [writer.begin(text, meaning) for text in texts]
    tokens = writer.tokenizer(begun, return_tensors="pt", padding=True)
    tokens = {k: v.to(writer.model.device) for k, v in tokens.items()}
    tokens.pop("token_type_ids", None)
    how = dict(do_sample=True, temperature=temperature, top_k=0, top_p=1.0)
    found = writer.model.generate(
        **tokens,
        **(how if temperature else dict(do_sample=False)),
        max_new_tokens=NEW if not writer.examples else 2 * NEW,
        pad_token_id=writer.tokenizer.pad_token_id,
    )
    new = found[:, tokens["input_ids"].shape[1] :]
    answers = writer.tokenizer.batch_decode(new, skip_special_tokens=True)
    mark = MEANING if meaning else PROMPT
    return [answer_parts(f"{mark} {answer}") for answer in answers]


def answer_parts(text: str) -> Written:
    """The meaning and the prompt in what was written; "" for what is not there."""
    text = re.sub(r"\s+([,:])", r"\1", text)  # whole words are joined by spaces
    text = text.split("\n\n")[0]  # what follows is the next example
    before, _, after = text.partition(PROMPT)
    said = before.partition(MEANING)[2]
    return Written(said.strip(), after.partition("\n")[0].strip().rstrip("."))


def check_words(tokenizer, texts: Sequence[str]) -> None:
    """Refuse words that would all become the same unknown token."""
    if tokenizer.unk_token != UNKNOWN:
        return  # a real tokenizer spells what it does not know
    known = tokenizer.get_vocab()
    for text in texts:
        for word in re.findall(PIECES, text.lower()):
            if word not in known:
                near = difflib.get_close_matches(word, list(known), 3, 0.6)
                hint = f"did you mean {' or '.join(near)}?" if near else (
                    "feelings.PHRASES and feelings.TOY_OF have what it knows"
                )  # fmt: skip
                raise ValueError(f"unknown word {word!r} in {text!r}; {hint}")
