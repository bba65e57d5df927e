"""The tokenizer of the toybox's words, and a text encoder that understands them.

Before it meets a picture, the encoder learns to say from one token what its caption
says: a UNet that has to teach it that learns colours ten times more slowly.
"""

import json
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from course_utils import oracle, toybox
from course_utils.models.pipelines import check_texts
from course_utils.training import write_whole

WORDS = 77  # tokens; IFPipeline insists
LENGTH = 48  # tokens; three toys with all that can be said of them need 45
MOTIONS = """moving moves from into slowly quickly turning spinning jumping bouncing
growing shrinking waving dancing walking up down towards away then while""".split()
START, END = "<|startoftext|>", "<|endoftext|>"


def merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding, learnt until every word is one token (Sennrich et al. 2016).

    Again and again join the pair of neighbours that is seen most often.
    """
    parts = [[*word[:-1], word[-1] + "</w>"] for word in sorted(set(words))]
    joined = []
    while any(len(word) > 1 for word in parts):
        pairs = Counter(p for w in parts for p in zip(w, w[1:], strict=False))
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        parts = [_join(word, best) for word in parts]
        joined.append(best)
    return joined


def _join(word: list[str], pair: tuple[str, str]) -> list[str]:
    result = []
    for part in word:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token -> id and the merges: all bytes first, then words, the two specials last.

    The bytes are what an unknown word falls into. An end with the id 2 would be taken
    for the one of an old checkpoint and pooled wrongly; ours is far from that.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())  # 256, one for each byte
    joined = merges([*toybox.VOCABULARY, *MOTIONS])
    names = letters + [letter + "</w>" for letter in letters]
    names += dict.fromkeys(a + b for a, b in joined)
    names = [*dict.fromkeys(names), START, END]
    return {name: i for i, name in enumerate(names)}, joined


def build_tokenizer():
    """A transformers CLIPTokenizer with one token for each word of the toybox."""
    from transformers import CLIPTokenizer

    ids, joined = vocabulary()
    return CLIPTokenizer(vocab=ids, merges=joined, model_max_length=LENGTH)


def build_text_encoder(tokenizer):
    """A transformers CLIPTextModel of 3 layers, 128 wide, with fresh weights."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def tokenise(tokenizer, texts: list[str]) -> Tensor:
    """Token ids (B, LENGTH), as Stable Diffusion's pipeline makes them."""
    check_texts(texts, "texts")
    options = dict(padding="max_length", truncation=True, return_tensors="pt")
    return tokenizer(texts, **options).input_ids


class Listener(nn.Module):
    """A text encoder, and the oracle's questions put to its one pooled token."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(
            {
                name: nn.Linear(128, len(values) * (1 if name == "ground" else 9))
                for name, values in oracle.QUESTIONS.items()
            }
        )

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        """Logits as a Reader's: (B, tokens) -> question -> (B, answers[, 9])."""
        pooled = self.encoder(tokens).pooler_output  # (B, 128), at the end token
        logits = {name: head(pooled) for name, head in self.heads.items()}
        shaped = {
            k: x.unflatten(1, (-1, 9)) for k, x in logits.items() if k != "ground"
        }
        return shaped | {"ground": logits["ground"]}


def save_text(encoder: nn.Module, tokenizer, folder: Path) -> None:
    """Write folder/tokenizer and folder/text_encoder, for old transformers and new.

    Old ones want the keys to begin with text_model; new ones understand that as well.
    """
    save_tokenizer(tokenizer, folder / "tokenizer")
    encoder.save_pretrained(folder / "text_encoder")
    ask_for_single(folder / "text_encoder")
    file = folder / "text_encoder" / "model.safetensors"
    weights = load_file(file)
    weights = {
        f"text_model.{k.removeprefix('text_model.')}": x for k, x in weights.items()
    }
    save_file(weights, file, metadata={"format": "pt"})


def save_tokenizer(tokenizer, folder: Path) -> None:
    """Write the tokenizer; old transformers read vocab.json and merges.txt."""
    tokenizer.save_pretrained(folder)
    ids, joined = vocabulary()
    lines = ["#version: 0.2", *(" ".join(pair) for pair in joined)]
    for name, text in (
        ("vocab.json", json.dumps(ids, ensure_ascii=False)),
        ("merges.txt", "\n".join(lines)),
    ):
        write_whole(folder / name, text + "\n")


def ask_for_single(folder: Path) -> None:
    """Have new transformers load half precision as single, as old ones always do.

    They would load it as it is, next to a UNet in single.
    """
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | {"dtype": "float32"}
    write_whole(file, json.dumps(config, indent=2) + "\n")


def for_more_words(encoder: nn.Module, tokenizer) -> tuple[nn.Module, object]:
    """The same text encoder with WORDS places: the last one, of an end, repeated."""
    from transformers import CLIPTextModel

    config = encoder.config.__class__.from_dict(encoder.config.to_dict())
    config.max_position_embeddings = WORDS
    weights = dict(encoder.state_dict())
    [name] = [k for k in weights if k.endswith("position_embedding.weight")]
    places = weights[name]
    more = places[-1:].expand(WORDS - len(places), -1)
    weights[name] = torch.cat([places, more])
    longer = CLIPTextModel(config)
    missing, _ = longer.load_state_dict(weights, strict=False)
    assert not [k for k in missing if not k.endswith("position_ids")], missing
    tokenizer.model_max_length = WORDS
    return longer.eval().requires_grad_(False), tokenizer
