"""What do made-up pictures cost? Two editors from the same edits (see lesson 18).

One learns from the pairs that tiny drew and CLIP kept, its twin from true renders of
the same sentences. All else is equal: the start, the steps, the seeds.
"""

import functools
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_utils import models, toybox
from course_utils.models.pipelines import encode
from course_utils.recipes.instruct_pairs import (
    PAIRS,
    drawn_in,
    instruct_pairs,
    pairs_of,
)
from course_utils.recipes.recipe import Made, Recipe, produce
from course_utils.recipes.tiny_instruct import (
    BATCH,
    RATE,
    as_pipeline,
    instruct_recipe,
    scored_edits,
)
from course_utils.tiny.batches import in_latents
from course_utils.tiny.editor import is_valid
from course_utils.tiny.instruct import Album
from course_utils.training import write_json

TWINS = ("drawn", "rendered")

CARD = """# instruct-twins

Two InstructPix2Pix, trained for {steps} steps of 32 pairs each from the same {pairs}
edits, which a language model wrote. `drawn`: pictures drawn by tiny with
Prompt-to-Prompt and kept by the tiny CLIP. `rendered`: true renders of the same
captions. What each could do when is in NAME.jsonl, of 70 edits; NAME.json is the end,
of 210.

"""


def instruct_twins(*, steps: int | None = None, seed: int = 0) -> Made:
    """Both twins' logs; pairs that are not there yet are drawn first."""
    steps = steps or 1200
    return Made(
        make=functools.partial(_train_both, steps, seed),
        save=functools.partial(_keep, steps, seed),
        card=CARD,
        choices=dict(steps=steps, seed=seed),
    )


def _train_both(steps: int, seed: int, work: Path) -> Path:
    place, number = work.parent / "instruct-pairs", _pairs_for(steps)
    produce(instruct_pairs, place / "weights", place, steps=number, seed=seed)
    pairs = drawn_in(place, number, seed)
    for which in TWINS:
        folder = work / which
        produce(
            twin,
            folder / "end",
            folder,
            which=which,
            pairs=pairs,
            steps=steps,
            seed=seed,
        )
    return work


def _pairs_for(steps: int) -> int:
    """How many pairs are drawn; in a trial few are enough."""
    return PAIRS if steps >= 500 else steps * 8


def twin(*, which: str, pairs: Path, steps: int, seed: int) -> Recipe:
    """One of TWINS, from the pairs of a folder that instruct_pairs filled."""
    pipe = models.load("text-to-image", "tiny")

    def album(number: int) -> Album:
        good = [pair for pair in pairs_of(pairs) if is_valid(*pair[0])]
        edits, *both = zip(*good, strict=True)
        asked = [edit[1] for edit in edits]
        if which == "drawn":
            return asked, *(torch.stack(latents) for latents in both)
        return asked, *_rendered(functools.partial(encode, pipe.vae), edits)

    def save(model: nn.Module, folder: Path) -> dict:
        scores = scored_edits(as_pipeline(pipe, model), 210 if steps >= 500 else 7)
        write_json(folder / "scores.json", scores)
        return {}

    return instruct_recipe(
        pipe,
        album,
        save=save,
        card="",
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        choices=dict(which=which),
    )


def _rendered(encode, edits: list[tuple[str, str, str]]) -> tuple:
    """True pictures of the captions, and of what the instructions make of them."""
    rng = np.random.default_rng(37)
    before = [toybox.imagine(caption, rng) for caption, _, _ in edits]
    after = [toybox.apply(s, edit[1]) for s, edit in zip(before, edits, strict=True)]
    return in_latents(encode, before), in_latents(encode, after)


def _keep(steps: int, seed: int, work: Path, folder: Path) -> dict:
    for which in TWINS:
        shutil.copy(work / which / "progress.jsonl", folder / f"{which}.jsonl")
        shutil.copy(work / which / "end" / "scores.json", folder / f"{which}.json")
    pairs = drawn_in(work.parent / "instruct-pairs", _pairs_for(steps), seed)
    kept = [pair for pair in pairs_of(pairs) if is_valid(*pair[0])]
    return dict(pairs=len(kept), steps=steps)
