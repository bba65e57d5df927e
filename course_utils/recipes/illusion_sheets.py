"""Illusions for lesson 13, more of them than a lesson can wait for."""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from course_utils import models, session, toybox
from course_utils.images import save_sheet
from course_utils.measure.illusions import prompt_sets
from course_utils.methods.anagrams import VIEWS, draw_anagrams
from course_utils.methods.illusions import ARRANGEMENTS, FEWER, make_illusions
from course_utils.recipes.recipe import Made
from course_utils.tiny.illusions import ANAGRAMS, SINGLE, sheet_file
from course_utils.training import save_whole, write_whole

CARD = """# illusion-sheets

Illusions by tiny-closeup, their prompts drawn at random and none left out: the primes
of Diffusion Illusions (Burgert et al. 2023), what one prints, and Visual Anagrams (Geng
et al. 2024). One takes up to a minute on a core, too long for a lesson that measures
many. Lesson 13 turns them, lays them over one another and counts what closeup-reader
sees.

| sheet | sets of prompts | seconds a set |
|---|---|---|
{rows}

- **Sets** of different toys (`measure.illusions.prompt_sets`); `config.json` has them.
  "single" has one prompt a picture, for comparison.
"""
# sets, seed of the prompts, and how they are made
PRINTED = {
    "flip": dict(strengths=FEWER, num_steps=10, fit_steps=80, guidance=8.0),
    "rotation overlay": dict(guidance=8.0),
    "hidden overlay": dict(),
}
SETS, SEED = 12, 7
MANY = {"half turn": (72, 0, 40)}  # sets, seed of the prompts, steps; of the other
FEW = 12, 7, 20  # views these


def illusion_sheets(
    *, steps: int | None = None, seed: int = 0, pipe=None, most: int | None = None
) -> Made:
    """Sheets of illusions of each kind, by the shipped tiny-closeup if no other `pipe`.

    steps, most   fewer steps, and fewer sets of each kind, to try it out
    """

    def save(drawn: dict[str, dict], folder: Path) -> dict:
        rows, sets = [], {}
        for kind, found in drawn.items():
            save_sheet(folder / sheet_file(kind), found["images"] * 2 - 1, 12, 1)
            sets[kind], n = found["sets"], len(found["sets"])
            rows.append(f"| {kind} | {n} | {found['seconds'] / n:.2g} |")
        text = json.dumps({"sets": sets}) + "\n"
        write_whole(folder / "config.json", text)
        return {"rows": "\n".join(rows)}

    make = functools.partial(draw_illusions, pipe, most, seed, steps)
    return Made(make=make, save=save, card=CARD)


def draw_illusions(
    pipe, most: int | None, seed: int, steps: int | None, work: Path
) -> dict:
    """Kind -> images in [0, 1], seconds, sets. Goes on where it was stopped."""
    work.mkdir(parents=True, exist_ok=True)
    if pipe is None:
        pipe = models.load("text-to-image", "tiny-closeup").to(session.device)
        pipe.set_progress_bar_config(disable=True)
    drawn = {}
    for kind, (sets, draw) in _kinds(pipe, seed, steps).items():
        sets, file = sets[:most], work / f"{kind}-{most}-{steps}.safetensors"
        if not file.exists():
            start = time.perf_counter()
            images = draw(sets).cpu().contiguous()
            seconds = torch.tensor(time.perf_counter() - start)
            save_whole({"images": images, "seconds": seconds}, file)
            print(f"{kind}: {len(sets)} sets in {seconds:.0f} s", flush=True)
        kept = load_file(file)
        drawn[kind] = kept | {"seconds": kept["seconds"].item(), "sets": sets}
    return drawn


def _kinds(pipe, seed: int, steps: int | None) -> dict[str, tuple[list, Callable]]:
    """Kind -> its sets of prompts, and what draws them: sets -> images in [0, 1]."""

    def primes(kind: str, sets: list) -> Tensor:
        less = dict(strengths=(1.0, 0.5), num_steps=steps, fit_steps=steps)
        options = PRINTED[kind] | (less if steps else {})
        stages = make_illusions(pipe, ARRANGEMENTS[kind], sets, seed=seed, **options)
        *_, last = stages
        return last.primes.flatten(0, 1)

    def pages(names: list[str], number: int, guidance: float, sets: list) -> Tensor:
        views, steps_ = [VIEWS[name] for name in names], steps or number
        parts = [
            draw_anagrams(pipe, sets[i : i + 4], views, steps_, guidance, seed + i)
            for i in range(0, len(sets), 4)
        ]
        return (torch.cat(parts) + 1) / 2

    kinds = {}
    for kind in PRINTED:
        sets = prompt_sets(SETS, ARRANGEMENTS[kind].views, SEED)
        kinds[kind] = sets, functools.partial(primes, kind)
    for name in ANAGRAMS:
        n, own, number = MANY.get(name, FEW)
        draw = functools.partial(pages, ["as it is", name], number, 8.0)
        kinds[f"anagram {name}"] = prompt_sets(n, 2, own), draw
    asked = [[f"a {toy}"] for toy in toybox.DRAWN for _ in range(16)]
    return kinds | {SINGLE: (asked, functools.partial(pages, ["as it is"], 40, 5.0))}
