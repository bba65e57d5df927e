"""What the recipes of the judges of pixels, points and clips share."""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from course_utils.models import plain
from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Recipe


def pixel_judge(
    kind: type[nn.Module],
    batch: Callable,
    loss: Callable,
    scored: Callable[[nn.Module, int], dict[str, float]],
    fact: str,
    *,
    card: str,
    steps: int,
    seed: int,
    offset: int,
) -> Recipe:
    """The recipe of a network `kind()` that learns from batches of 32 pictures.

    batch   batch(32, seed, generator, step)
    scored  (network, n) -> what the card says of n held-out pictures, kept as `fact`
    offset  added to the seed of the weights, so that no two judges start alike
    """

    def build() -> nn.Module:
        torch.manual_seed(seed + offset)
        net = kind()
        if any(p.ndim > 4 for p in net.parameters()):  # of clips
            return net
        return net.to(memory_format=torch.channels_last)  # faster

    def save(model: nn.Module, folder: Path) -> dict:
        weights = artifacts.half(model.state_dict())
        net = plain.frozen(kind(), weights, {})
        n = 500 if steps >= 500 else 20
        scores = scored(net, n) | {"n": n}
        rounded = {name: round(x, 4) for name, x in scores.items()}
        artifacts.store(folder, weights, {fact: rounded})
        return scores | dict(parameters=sum(p.numel() for p in net.parameters()))

    return Recipe(
        model=build,
        batch=functools.partial(batch, 32, seed),
        loss=loss,
        save=save,
        card=card,
        steps=steps,
        batch_size=32,
        lr=2e-3,
        ema=0.995,
        seed=seed,
    )
