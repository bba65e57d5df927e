"""How the dancers' pointer learnt: dolls in random poses, and the points of each."""

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import toybox
from course_utils.oracle.points import Pointer, dancer_points
from course_utils.recipes.pixel_judge import pixel_judge
from course_utils.recipes.pointer import hills, point_loss
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.worlds import degraded

CARD = """# dancer-pointer

A small U-Net that finds six points of a dancing doll in 64x64 pictures of the toybox:
centre, head, left and right hand, left and right foot. It judges what generators draw;
no generator is trained with it.

| distance from the true points in pixels, {n} held-out dancers | |
|---|---|
| as drawn | {plain:.2f} |
| degraded | {used:.2f} |
| the points of another dancer | {floor:.2f} |

- **Data** the toybox's dancers, split "train", drawn as they are used; degraded:
  slightly blurred, noisy, brighter or darker. The scores are of the split "test".
- **Training** {steps} steps of {batch_size} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""


def dancer_pointer(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The network that finds the points of dancers."""
    learnt = (
        Pointer,
        dancers_and_points,
        point_loss,
        dancer_distances,
        "held_out_pixels",
    )
    options = dict(card=CARD, steps=steps or 600, seed=seed, offset=5000)
    return pixel_judge(*learnt, **options)


def posed(n: int, rng: np.random.Generator, split: str = "train") -> list[toybox.Scene]:
    """n dancers, each in a pose of its own."""
    found = []
    for _ in range(n):
        scene = toybox.sample_dancer(rng, split)
        found += toybox.perform(scene, toybox.random_dance(rng, 8)[4:5])
    return found


def dancers_and_points(
    n: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, Tensor]:
    """Degraded pictures (n, 3, 64, 64), and their points as hills (n, 6, 64, 64)."""
    scenes = posed(n, np.random.default_rng([seed, step, 43]))
    points = toybox.keypoints(scenes)
    return degraded(toybox.render(scenes), generator), hills(points)


def dancer_distances(net: nn.Module, n: int) -> dict[str, float]:
    """Mean distance from a dancer's points: clean, degraded, and of another one."""
    scenes = posed(n, np.random.default_rng(97), "test")
    images, truth = toybox.render(scenes), toybox.keypoints(scenes)[:, 0]
    rough = degraded(images, torch.Generator().manual_seed(97))
    guesses = {
        "plain": dancer_points(images, net),
        "used": dancer_points(rough, net),
        "floor": truth.roll(1, 0),
    }
    return {
        name: (guess - truth).norm(dim=-1).nanmean().item()
        for name, guess in guesses.items()
    }
