"""instruct-lm: a small GPT-2 that thinks of edits (InstructPix2Pix, section 3.1)."""

import functools
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import models, training
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.editor import (
    as_tokens,
    build_editor,
    edit_in_words,
    is_valid,
    next_word_loss,
    write_edits,
)
from course_utils.tiny.text import save_tokenizer
from course_utils.training import muon

BATCH, RATE, LINES, CHAPTER = 32, 2e-3, 20_000, 5000

CARD = """# instruct-lm

A GPT2LMHeadModel of {parameters:,} parameters that goes on with a caption of the
toybox: "caption > instruction > edited caption". Of {n} captions of its
grammar, {valid:.1%} led to an edited caption that is what the instruction makes of the
first.

- **Data** random edits of scenes of the split "train", in words.
- **Training** {steps} steps of {batch_size} lines, Muon at {lr}, seed {seed}, averaged
  weights.
- **On disk** safetensors in half precision, with the tokenizer of tiny-sd.
"""


def instruct_lm(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The language model; its tokenizer is that of the shipped miniature."""
    from transformers import CLIPTokenizer

    steps = steps or 1500
    tokenizer = CLIPTokenizer.from_pretrained(models.path("tiny") / "tokenizer")
    tokenizer.model_max_length = 10_000

    def save(model: nn.Module, folder: Path) -> dict:
        n = 500 if steps >= 500 else 4
        valid = valid_rate(model, tokenizer, n)
        model.half().save_pretrained(folder)
        save_tokenizer(tokenizer, folder)
        parameters = sum(p.numel() for p in model.parameters())
        return dict(n=n, valid=valid, parameters=parameters)

    return Recipe(
        model=functools.partial(build_editor, tokenizer),
        batch=_batches(tokenizer, min(LINES, steps * BATCH), seed),
        loss=next_word_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.998,
        decay=0.5,
        optimizer=lambda model: muon.Muon(muon.groups(model, RATE)),
    )


def _batches(tokenizer, lines: int, seed: int) -> training.Batch:
    """Draws BATCH of the lines of a chapter, which are written at once."""

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> Tensor:
        rng = np.random.default_rng([number, 29])
        return as_tokens(tokenizer, [edit_in_words(rng) for _ in range(lines)])

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor]:
        tokens = album(training.chapter(seed, step, CHAPTER))
        rows = tokens[torch.randint(len(tokens), (BATCH,), generator=generator)]
        ends = (rows == tokenizer.eos_token_id).float().argmax(1)
        return (rows[:, : int(ends.max()) + 1],)

    return batch


def valid_rate(model: nn.Module, tokenizer, n: int, seed: int = 0) -> float:
    """The share of valid edits that it thinks of for n captions of its grammar."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 41])  # none of the lines that it learnt
    said = [edit_in_words(rng)[0] for _ in range(n)]
    parts = [said[i : i + 100] for i in range(0, n, 100)]
    found = [x for part in parts for x in write_edits(model, tokenizer, part)]
    return sum(is_valid(*edit) for edit in found) / n
