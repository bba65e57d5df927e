"""The upscalers of lesson 03: SRGAN, and the same network on tamer losses."""

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import models, training
from course_utils.networks.images_to_images import SRResNet
from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.batches import load_alignment_encoder
from course_utils.tiny.upscalers import GRAIN, UpscalerGame, snapshot
from course_utils.tiny.worlds import WHOLE, album

CHAPTER, ALBUM = 1000, 4096  # steps with the same pictures; how many
BATCH, FEWER = 16, 8  # pictures a step: of one network, of the game

CARD = """# upscalers

Three networks of the same shape, SRResNet (Ledig et al. 2017), small: 16x16 pictures of
the toybox to 64x64. Their names say which losses brought them up: "mse" the mean
squared error; "features" and what the alignment encoder of tiny-sd sees; "srgan" and a
PatchGAN critic with R1. Lesson 03 compares them.

- **Data** scenes of the whole toybox, split "train", drawn as they are used:
  {pictures:,} pictures; made small by bicubic splines, with noise of spread {grain}.
- **Training** {first} steps of {batch_size} pictures by the mean squared error, Adam
  at {lr}; then {after} steps of {fewer} of all three at once, on the same pictures,
  Adam at 0.0005. Seed {seed}, averaged weights. {parameters:,} parameters each.
- **On disk** safetensors, a byte a weight and a scale a row.
"""


def upscalers(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The mean squared error first; the three go on from there."""
    first, after = (steps, steps) if steps else (1500, 1000)

    def adam(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def square_error(net: nn.Module, truth: Tensor, small: Tensor) -> Tensor:
        return (net(small) - truth).square().mean()

    def save(game: nn.Module, folder: Path) -> dict:
        nets = game.upscalers
        artifacts.store_in_bytes(folder, artifacts.half(nets.state_dict()), {})
        pictures = min(ALBUM, BATCH * max(first, after))
        chapters = -(-first // CHAPTER) + -(-after // CHAPTER)
        parameters = sum(p.numel() for p in nets["mse"].parameters())
        facts = dict(parameters=parameters, pictures=pictures * chapters)
        return facts | dict(first=first, after=after, fewer=FEWER, grain=GRAIN)

    then = functools.partial(_three, steps=after, seed=seed)
    return Recipe(
        model=SRResNet,
        batch=snapshot_batch(BATCH, seed),
        loss=square_error,
        save=save,
        card=CARD,
        steps=first,
        batch_size=BATCH,
        seed=seed,
        optimizer=adam,
        then=then,
    )


def _three(start: nn.Module, steps: int, seed: int) -> Recipe:
    eye = load_alignment_encoder(models.path("tiny") / "eye")

    def adam(game: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(game.parameters(), 5e-4, (0.5, 0.99), fused=True)

    return Recipe(
        model=lambda: UpscalerGame(start),
        batch=snapshot_batch(FEWER, seed + 1),
        loss=lambda game, *pair: sum(game(*pair, eye).values()),
        save=lambda game, folder: {},
        card="",
        steps=steps,
        batch_size=FEWER,
        seed=seed + 1,
        optimizer=adam,
        ema=0.998,
    )


def snapshot_batch(n: int, seed: int) -> training.Batch:
    """The function that draws pictures (n, 3, 64, 64) and their snapshots."""

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        _, images = album(WHOLE, training.chapter(seed, step, CHAPTER), ALBUM)
        rows = torch.randint(len(images), (n,), generator=generator)
        truth = images[rows].contiguous(memory_format=torch.channels_last)
        return truth, snapshot(truth, generator)

    return batch
