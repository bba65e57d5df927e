"""How the segmenter learnt: toys drawn as it goes, and the masks that are known."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import measure, toybox, training
from course_utils.oracle import segmenter
from course_utils.recipes import artifacts
from course_utils.tiny.worlds import WHOLE, album, numpy_rng, worn

CARD = """# segmenter

A small U-Net that tells toys from ground, pixel by pixel, in 64x64 pictures of the
toybox. It judges what generators draw; no generator is trained with it.

| intersection over union with the true mask, {n} held-out scenes | |
|---|---|
| as drawn | {plain:.2%} |
| worn | {used:.2%} |
| an untrained guess: all is toy | {floor:.2%} |

- **Data** the toybox, split "train", drawn as it is used; worn: slightly blurred,
  noisy, brighter or darker. The scores are of the split "test".
- **Training** {steps} steps of {batch} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **Cost** COST.
- **Repeat it** `course train segmenter` (course_utils/recipes/segmenter.py).
- **On disk** safetensors in half precision; the scores above are those of this file.
- **Licence** Apache-2.0, as the course.
"""


def silhouette(
    folder: Path,
    work: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    batch: int = 32,
    lr: float = 2e-3,
) -> None:
    """Train the segmenter."""
    steps = steps or 1500
    torch.manual_seed(seed + 3000)
    run = training.train(
        segmenter.Segmenter().to(memory_format=torch.channels_last),  # faster
        lambda generator: pictures_and_masks(batch, generator),
        mask_loss,
        steps=steps,
        lr=lr,
        ema=0.995,
        seed=seed,
        save_to=work / "state.safetensors",
    )
    weights = artifacts.half(artifacts.follow(run, work).cpu().state_dict())
    net = segmenter.Segmenter().eval()
    net.load_state_dict(weights)
    n = 500 if steps >= 500 else 20
    plain, used, floor = overlap(net, n)
    scores = dict(plain=plain, used=used, floor=floor, n=n)
    parameters = sum(p.numel() for p in net.parameters())
    facts = scores | dict(steps=steps, batch=batch, lr=lr, seed=seed)
    card = CARD.format(**facts, parameters=parameters)
    config = {name: round(x, 4) for name, x in scores.items()}
    artifacts.store(folder, work, weights, {"held_out_iou": config}, card)


def pictures_and_masks(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Worn pictures (n, 3, 64, 64) and where their toys are (n, 1, 64, 64) in 0..1.

    64 steps in a row share an album.
    """
    scenes, images = album(WHOLE, generator.initial_seed() // 64)
    rows = torch.randint(len(scenes), (n,), generator=generator)
    truth = toybox.masks([scenes[i] for i in rows]).any(1, keepdim=True)
    return worn(images[rows], generator), truth.float()


def mask_loss(model: nn.Module, images: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of each pixel."""
    return F.binary_cross_entropy_with_logits(model(images), truth)


def overlap(net: nn.Module, n: int) -> tuple[float, float, float]:
    """Mean IoU with the truth: of clean pictures, of worn ones, and of "all is toy"."""
    generator = torch.Generator().manual_seed(98)
    scenes = WHOLE.scenes(n, numpy_rng(generator), "test")
    images, truth = toybox.render(scenes), toybox.masks(scenes).any(1)
    found = segmenter.silhouettes(images, net)
    used = segmenter.silhouettes(worn(images, generator), net)
    guesses = found, used, torch.ones_like(truth)
    return tuple(measure.iou(guess, truth).mean().item() for guess in guesses)
