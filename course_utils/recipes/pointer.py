"""How the pointer learnt: toys drawn as it goes, and the points that are known."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import toybox, training
from course_utils.oracle.points import SPREAD, Pointer, keypoints
from course_utils.recipes.pixel_judge import pixel_judge
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.worlds import WHOLE, album, degraded, numpy_rng

CARD = """# pointer

A small U-Net that finds six points of each toy in 64x64 pictures of the toybox: centre,
top, left, right and both feet; a doll's left and right are its hands. It judges what
generators draw; no generator is trained with it.

| distance from the true points of one doll in pixels, {n} held-out scenes | |
|---|---|
| as drawn | {plain:.2f} |
| degraded | {used:.2f} |
| the points of another doll | {floor:.2f} |

- **Data** the toybox, split "train", drawn as it is used; degraded: slightly blurred,
  noisy, brighter or darker. The scores are of the split "test".
- **Training** {steps} steps of {batch_size} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""


def pointer(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The network that finds the points of toys."""
    learnt = Pointer, pictures_and_points, point_loss, distances, "held_out_pixels"
    options = dict(card=CARD, steps=steps or 1200, seed=seed, offset=4000)
    return pixel_judge(*learnt, **options)


def pictures_and_points(
    n: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, Tensor]:
    """Degraded pictures (n, 3, 64, 64), and their points as hills (n, 6, 64, 64).

    64 steps in a row share an album.
    """
    scenes, images = album(WHOLE, training.chapter(seed, step, 64))
    rows = torch.randint(len(scenes), (n,), generator=generator)
    points = toybox.keypoints([scenes[i] for i in rows])
    return degraded(images[rows], generator), hills(points)


def hills(points: Tensor, size: int = 64) -> Tensor:
    """Points (B, things, K, 2) as hills of height 1, (B, K, size, size)."""
    at = torch.arange(size) + 0.5
    x, y = points.nan_to_num(-1e4).unbind(-1)  # (B, things, K)
    across = (-((at - x[..., None]) ** 2) / (2 * SPREAD**2)).exp()
    down = (-((at - y[..., None]) ** 2) / (2 * SPREAD**2)).exp()
    return (down[..., :, None] * across[..., None, :]).amax(1)


def point_loss(model: nn.Module, images: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of each pixel, those on a hill counting more."""
    error = F.binary_cross_entropy_with_logits(model(images), truth, reduction="none")
    return (error * (1 + 20 * truth)).mean()


def distances(net: nn.Module, n: int) -> dict[str, float]:
    """Mean distance from a doll's points: clean, degraded, and of another doll."""
    generator = torch.Generator().manual_seed(97)
    rng = numpy_rng(generator)
    scenes = WHOLE.scenes(n, rng, "test", toy="doll", things=1)
    images, truth = toybox.render(scenes), toybox.keypoints(scenes)[:, 0]
    guesses = {
        "plain": keypoints(images, net=net),
        "used": keypoints(degraded(images, generator), net=net),
        "floor": truth.roll(1, 0),
    }
    return {
        name: (guess - truth).norm(dim=-1).nanmean().item()
        for name, guess in guesses.items()
    }
