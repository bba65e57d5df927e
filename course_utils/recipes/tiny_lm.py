"""tiny-lm: a small Llama that turns feelings and metaphors into prompts."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import training
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.feelings import sayings
from course_utils.tiny.language import (
    Writer,
    answer_loss,
    build_language_model,
    line,
    line_tokens,
    word_tokenizer,
    write,
)
from course_utils.training import muon

BATCH, RATE, LINES, CHAPTER = 32, 2e-3, 20_000, 5000
EVERY = 50  # steps from one look at what it can do to the next

CARD = """# tiny-lm

A LlamaForCausalLM of {parameters:,} parameters that goes on with a saying about a
feeling: "text / meaning: ... / prompt: ...", or straight with "prompt: ...". Of {n}
sayings of which no phrase was in its training, {thought:.1%} got the prompt of the
lexicon with the meaning line and {at_once:.1%} without it. Of {n} metaphors after "no
longer", where it has only read feelings, {thought_turned:.1%} and {at_once_turned:.1%}.

- **Data** sayings of the kind "train" of the course's lexicon, half of the lines
  with their meaning.
- **Training** {steps} steps of {batch_size} lines, Muon at {lr}, seed {seed}, averaged
  weights; only answers count in the loss. What it could do when is in progress.jsonl.
- **On disk** safetensors in half precision, with a tokenizer of whole words.
"""


def tiny_lm(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The language model and its tokenizer; both are transformers classes."""
    steps = steps or 350
    tokenizer = word_tokenizer()

    def save(model: nn.Module, folder: Path) -> dict:
        n = 200 if steps >= 300 else 4
        facts = _shares_right(Writer(model.eval(), tokenizer), n, seed)
        model.half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        parameters = sum(p.numel() for p in model.parameters())
        return facts | dict(n=n, parameters=parameters)

    return Recipe(
        model=functools.partial(build_language_model, tokenizer),
        batch=_batches(tokenizer, min(LINES, steps * BATCH), seed),
        loss=answer_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.99,
        decay=0.3,
        optimizer=lambda model: muon.Muon(muon.groups(model, RATE)),
        watch=functools.partial(_watched, tokenizer, 100 if steps >= 300 else 2, seed),
    )


def _batches(tokenizer, lines: int, seed: int) -> training.Batch:
    """Draws BATCH of the lines of a chapter: every other one has its meaning."""

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([number, 31])
        said = sayings(rng, lines)
        texts = [line(saying, k % 2 == 0) for k, saying in enumerate(said)]
        return line_tokens(tokenizer, texts)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        tokens, answer = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(tokens), (BATCH,), generator=generator)
        longest = int(answer[rows].any(0).nonzero().max()) + 1
        return tokens[rows, :longest], answer[rows, :longest]

    return batch


def _watched(
    tokenizer, n: int, seed: int, states: Iterator[training.State], work: Path
) -> Iterator[training.State]:
    """Pass the states on; note in progress.jsonl how n of each kind are answered."""
    log = work / "progress.jsonl"
    for state in states:
        if state.step % EVERY == 0:
            facts = _shares_right(Writer(state.ema, tokenizer), n, seed + 1)
            old = log.read_text("utf-8").splitlines() if log.exists() else []
            kept = [x for x in map(json.loads, old) if x["step"] < state.step]
            rows = [*kept, dict(step=state.step, n=n) | facts]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            training.write_whole(log, text)
        yield state


def _shares_right(writer: Writer, n: int, seed: int) -> dict[str, float]:
    """The share of prompts that are the lexicon's, for both kinds of new sayings."""
    rng, found = np.random.default_rng([seed, 43]), {}
    for kind, end in (("new phrases", ""), ("new turns", "_turned")):
        asked = sayings(rng, n, kind)
        for meaning, name in ((True, "thought"), (False, "at_once")):
            wrote = write(writer, [x.text for x in asked], meaning)
            right = [w.prompt == x.prompt for w, x in zip(wrote, asked, strict=True)]
            found[name + end] = sum(right) / n
    return found
