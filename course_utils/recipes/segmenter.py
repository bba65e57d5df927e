"""How the segmenter learnt: toys drawn as it goes, and the masks that are known."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import measure, toybox, training
from course_utils.oracle.segmenter import Segmenter, silhouettes
from course_utils.recipes.pixel_judge import pixel_judge
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.worlds import WHOLE, album, degraded, numpy_rng

CARD = """# segmenter

A small U-Net that tells toys from ground, pixel by pixel, in 64x64 pictures of the
toybox. It judges what generators draw; no generator is trained with it.

| intersection over union with the true mask, {n} held-out scenes | |
|---|---|
| as drawn | {plain:.2%} |
| degraded | {used:.2%} |
| an untrained guess: all is toy | {floor:.2%} |

- **Data** the toybox, split "train", drawn as it is used; degraded: slightly blurred,
  noisy, brighter or darker. The scores are of the split "test".
- **Training** {steps} steps of {batch_size} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""


def segmenter(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The network that tells toys from ground."""
    learnt = Segmenter, pictures_and_masks, mask_loss, overlap, "held_out_iou"
    options = dict(card=CARD, steps=steps or 1500, seed=seed, offset=3000)
    return pixel_judge(*learnt, **options)


def pictures_and_masks(
    n: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, Tensor]:
    """Degraded pictures (n, 3, 64, 64), where their toys are (n, 1, 64, 64) in 0..1.

    64 steps in a row share an album.
    """
    scenes, images = album(WHOLE, training.chapter(seed, step, 64))
    rows = torch.randint(len(scenes), (n,), generator=generator)
    truth = toybox.masks([scenes[i] for i in rows]).any(1, keepdim=True)
    return degraded(images[rows], generator), truth.float()


def mask_loss(model: nn.Module, images: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of each pixel."""
    return F.binary_cross_entropy_with_logits(model(images), truth)


def overlap(net: nn.Module, n: int) -> dict[str, float]:
    """Mean IoU with the truth, of clean pictures, of degraded ones, of "all is toy"."""
    generator = torch.Generator().manual_seed(98)
    scenes = WHOLE.scenes(n, numpy_rng(generator), "test")
    images, truth = toybox.render(scenes), toybox.masks(scenes).any(1)
    guesses = {
        "plain": silhouettes(images, net),
        "used": silhouettes(degraded(images, generator), net),
        "floor": torch.ones_like(truth),
    }
    return {k: measure.iou(guess, truth).mean().item() for k, guess in guesses.items()}
