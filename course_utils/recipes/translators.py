"""The painters of lesson 03: pix2pix, and each of its two losses alone."""

import copy
import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import toybox, training
from course_utils.images import in_parts
from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.translators import WEIGHT, TranslatorGame, label_maps
from course_utils.tiny.worlds import WHOLE

CHAPTER, ALBUM, BATCH = 2000, 4096, 8  # steps with the same pictures; how many
RATE, AFTER = 5e-4, 3e-4  # of the first part, and of the second

CARD = """# translators

Three networks of the same shape, the U-Net of pix2pix (Isola et al. 2017), small: maps
of labels (which kind of ground or toy is at each pixel) to pictures of the toybox.
Their names say which losses brought them up: "l1" the absolute error; "cgan" a PatchGAN
critic with R1, which sees map and picture; "both" their sum, the error {weight:.0f}
times. Lesson 03 compares them.

- **Data** scenes of the whole toybox, split "train", drawn as they are used:
  {pictures:,} pictures.
- **Training** {steps} steps of all three at once, on the same {batch_size} pictures a
  step, Adam at {lr}; then {after} more at {lower}. Seed {seed}, averaged weights.
  {parameters:,} parameters each.
- **On disk** safetensors, a byte a weight and a scale a row.
"""


def translators(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """All three at once, on the same pictures; then the same again, more gently."""
    first, after = (steps, steps) if steps else (3000, 1000)
    again = functools.partial(_part, steps=after, seed=seed + 1, lr=AFTER)

    def save(game: nn.Module, folder: Path) -> dict:
        nets = game.translators
        artifacts.store_in_bytes(folder, artifacts.half(nets.state_dict()), {})
        chapters = -(-first // CHAPTER) + -(-after // CHAPTER)
        parameters = sum(p.numel() for p in nets["both"].parameters())
        facts = dict(parameters=parameters, weight=WEIGHT, after=after, lower=AFTER)
        return facts | dict(pictures=min(ALBUM, BATCH * first) * chapters)

    recipe = _part(TranslatorGame(), steps=first, seed=seed, lr=RATE)
    return replace(recipe, model=TranslatorGame, save=save, card=CARD, then=again)


def _part(start: nn.Module, *, steps: int, seed: int, lr: float) -> Recipe:
    """Go on from `start`, on pictures of another seed."""

    def adam(game: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(game.parameters(), lr, (0.5, 0.99), fused=True)

    return Recipe(
        model=lambda: copy.deepcopy(start).requires_grad_(),
        batch=pair_batch(seed),
        loss=lambda game, truth, maps: sum(game(truth, maps).values()),
        save=lambda game, folder: {},
        card="",
        steps=steps,
        batch_size=BATCH,
        lr=lr,
        seed=seed,
        optimizer=adam,
    )


def pair_batch(seed: int) -> training.Batch:
    """The function that draws pictures (BATCH, 3, 64, 64) and their label maps."""

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[Tensor, Tensor]:
        scenes = WHOLE.scenes(ALBUM, np.random.default_rng([3, number]))
        return in_parts(toybox.render, scenes).half(), in_parts(label_maps, scenes)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        images, maps = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        truth = images[rows].float().contiguous(memory_format=torch.channels_last)
        return truth, maps[rows]

    return batch
