"""How the segmenter learnt: toys drawn as it goes, and the masks that are known."""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import measure, toybox, training
from course_utils.models import plain
from course_utils.oracle.segmenter import Segmenter, silhouettes
from course_utils.recipes import artifacts
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
    steps = steps or 1500

    def build() -> nn.Module:
        torch.manual_seed(seed + 3000)
        return Segmenter().to(memory_format=torch.channels_last)  # faster

    def save(model: nn.Module, folder: Path) -> dict:
        weights = artifacts.half(model.state_dict())
        net = plain.frozen(Segmenter(), weights, {})
        n = 500 if steps >= 500 else 20
        scores = overlap(net, n) | {"n": n}
        rounded = {name: round(x, 4) for name, x in scores.items()}
        artifacts.store(folder, weights, {"held_out_iou": rounded})
        return scores | dict(parameters=sum(p.numel() for p in net.parameters()))

    return Recipe(
        model=build,
        batch=functools.partial(pictures_and_masks, 32, seed),
        loss=mask_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=32,
        lr=2e-3,
        ema=0.995,
        seed=seed,
    )


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
