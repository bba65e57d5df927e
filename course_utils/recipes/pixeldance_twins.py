"""What is the rough treatment of the last frame worth? Two PixelDances (lesson 24).

One learns as the paper has it: the last frame is one of the final three, with noise,
sometimes missing. Its twin always gets the true one. All else is equal.
"""

import functools
import json
from pathlib import Path

from torch import nn

from course_utils import toybox
from course_utils.measure import hints
from course_utils.measure.clips import clips_to_ask, did
from course_utils.measure.pairs import psnr
from course_utils.methods.pixeldance import draw_between, hints_of, training_hints
from course_utils.recipes.clips import BATCH, MANY
from course_utils.recipes.recipe import Made, Recipe, produce
from course_utils.recipes.tiny_pixeldance import (
    hinted_recipe,
    in_pipeline,
    started,
)
from course_utils.training import write_json

CARD = """# pixeldance-twins

Two networks, trained as tiny-pixeldance for {steps} steps of {batch_size} clips each,
seed {seed}. `rough`: the last frame is one of the final three, has noise, and is left
out in 25 %. `exact`: always the true last frame. twins.json holds what each made of {n}
clips that were never seen.

"""


def _exact(x0, schedule, generator):
    """Hints with the true first and the true last frame."""
    return hints_of(x0[:, :, 0], x0[:, :, -1], x0.shape[2])


GIVES = {"rough": training_hints, "exact": _exact}


def pixeldance_twins(
    *, steps: int | None = None, seed: int = 0, small: bool = False
) -> Made:
    """Both twins' scores; small ones are learnt on two cores."""
    steps, size = steps or (400 if small else 600), BATCH if small else MANY
    return Made(
        make=functools.partial(_train_both, steps, size, seed),
        save=_keep,
        card=CARD,
        facts=dict(batch_size=size, n=_count(steps), steps=steps, seed=seed),
        choices=dict(steps=steps, seed=seed, small=small),
    )


def _count(steps: int) -> int:
    return 48 if steps >= 400 else 2


def _train_both(steps: int, size: int, seed: int, work: Path) -> Path:
    for which in GIVES:
        place, options = work / which, dict(steps=steps, size=size, seed=seed)
        produce(hinted_twin, place / "end", place, which=which, **options)
    return work


def hinted_twin(*, which: str, steps: int, size: int, seed: int) -> Recipe:
    """One of GIVES; what is kept of it are its scores."""
    pipe = started()

    def write(model: nn.Module, folder: Path) -> dict:
        scores = twin_scores(in_pipeline(pipe, model), _count(steps))
        write_json(folder / "scores.json", scores)
        return {}

    options = dict(steps=steps, seed=seed, batch_size=size)
    options |= dict(choices=dict(which=which))
    return hinted_recipe(pipe, write, "", GIVES[which], **options)


def twin_scores(pipe, n: int) -> dict[str, float]:
    """What the last frame does to n clips each.

    last     dB to the true last frame, when that one is given and looked at to the end
    sketch   dB to a sketch that is given in its place, when no word says what it means:
             how much of a rough picture is copied
    did      without a last frame: the share in which the toy does what the words say
    """
    some = clips_to_ask(n)
    true, asked = toybox.film(some), [clip.caption for clip in some]
    exact = draw_between(pipe, asked, true[:, 0], true[:, -1], tau=1.0)
    alone = draw_between(pipe, asked, true[:, 0])
    kinds = [toy for toy in toybox.ATTRIBUTES["toy"] if toy != "circle"]
    moved = clips_to_ask(n, motion=toybox.MOTIONS[:4], toy=kinds)
    rough, start = hints.sketched(moved), toybox.film(moved)[:, 0]
    copied = draw_between(pipe, [""] * n, start, rough, tau=1.0)
    return {
        "last": psnr(exact[:, -1], true[:, -1]).mean().item(),
        "sketch": psnr(copied[:, -1], rough).mean().item(),
        "did": did(alone, some).float().mean().item(),
    }


def _keep(work: Path, folder: Path) -> dict:
    places = {which: work / which / "end" / "scores.json" for which in GIVES}
    scores = {which: json.loads(place.read_text()) for which, place in places.items()}
    write_json(folder / "twins.json", scores)
    return {}
