"""A UNet that learns to draw what captions say: what all recipes of one share."""

import functools
from collections.abc import Callable
from pathlib import Path

from torch import nn

from course_utils import training
from course_utils.recipes.monitor import attribute_scores, observed, sheet_and_scores
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.unet import trunk_loss
from course_utils.tiny.worlds import World
from course_utils.training import muon


def trunk_recipe(
    *,
    model: Callable[[], nn.Module],
    batch: training.Batch,
    groups: Callable[[nn.Module], list[dict]],
    draws: Callable[[nn.Module, int], Callable],
    save: Callable[[nn.Module, Path], dict],
    world: World,
    steps: int,
    align: float = 0.5,
    decay: float = 1 / 3,
    every: int = 30,
    scored: int = 250,
    **rest: object,
) -> Recipe:
    """The recipe of a Trunk, watched in `world` as it learns.

    The rate falls in the last third only: until then there is much to learn.

    groups  the model's parameters as muon.groups
    draws   draws(model, steps) is a function of captions that gives pictures
    every   minutes between two sheets of samples
    scored  captions of each kind, for the card
    rest    goes to Recipe
    """

    def watch(states, work: Path):
        return observed(states, sheet_and_scores(draws, world), work, every)

    def save_and_score(trunk: nn.Module, folder: Path) -> dict:
        n = scored if steps >= 500 else 2
        scores = attribute_scores(draws(trunk, 20), world, n)
        return dict(n=n, rows=in_rows(scores)) | save(trunk, folder)

    return Recipe(
        model=model,
        batch=batch,
        loss=functools.partial(trunk_loss, align=align),
        save=save_and_score,
        steps=steps,
        ema=0.999 if steps > 5000 else 0.998,
        decay=decay,
        optimizer=lambda model: muon.Muon(groups(model)),
        log_every=100,
        watch=watch,
        share=1,
        **rest,
    )


def in_rows(scores: dict) -> str:
    """Rows of a model card's table: attribute, and its accuracy in each column."""
    names = dict.fromkeys(name for column in scores.values() for name in column)
    cells = (
        [name, *(f"{c[name]:.1%}" if name in c else "" for c in scores.values())]
        for name in names
    )
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)
