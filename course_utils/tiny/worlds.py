"""The toybox as training data: scenes and pictures drawn from a torch generator."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from course_utils import toybox
from course_utils.images import check_generator, in_parts


@dataclass(frozen=True)
class World:
    """The part of the toybox that a model learns: which toys, patterns, how many."""

    toys: tuple[str, ...]
    patterns: tuple[str, ...]
    most: int

    def scenes(
        self, n: int, rng: np.random.Generator, split: str = "train", **choices: object
    ) -> list[toybox.Scene]:
        """Draw n scenes; choices go to `toybox.sample`."""
        own = dict(toy=list(self.toys), pattern=list(self.patterns))
        return [
            toybox.sample(rng, split, **own | self._count(rng) | choices)
            for _ in range(n)
        ]

    def practice(self, n: int, rng: np.random.Generator) -> list[toybox.Scene]:
        """Draw n scenes to learn from: a fifth of them show small faces, if it has any.

        The mouth of a small face is two pixels wide and hardly counts in a loss, so
        without these its mood is wrong in one small face of eight.
        """
        faces = [toy for toy in toybox.FACES if toy in self.toys]
        small = self.scenes(n // 5, rng, toy=faces, size="small") if faces else []
        return small + self.scenes(n - len(small), rng)

    def _count(self, rng: np.random.Generator) -> dict:
        """The toybox's own mixture, or one and two toys in equal parts."""
        return {} if self.most == 3 else {"things": 1 + int(rng.random() * self.most)}


WHOLE = World(*(tuple(toybox.ATTRIBUTES[x]) for x in ("toy", "pattern")), most=3)
SMALL = World(tuple(toybox.SHAPES), ("plain",), most=2)


def numpy_rng(generator: torch.Generator) -> np.random.Generator:
    """A numpy generator that depends on nothing but where the torch one stands."""
    check_generator(generator)
    return np.random.default_rng(
        torch.randint(2**62, (2,), generator=generator).tolist()
    )


@functools.lru_cache(maxsize=1)
def album(
    world: World, chapter: int, n: int = 1024
) -> tuple[list[toybox.Scene], Tensor]:
    """The n scenes and pictures (n, 3, 64, 64) of a `training.chapter`.

    Drawn at once, which is twice as fast as in small batches; each chapter anew.
    """
    scenes = world.scenes(n, np.random.default_rng([n, chapter]))
    return scenes, in_parts(toybox.render, scenes)


def captions(scenes: list[toybox.Scene], rng: np.random.Generator) -> list[str]:
    """A caption for each: half say all, others leave some out, a fifth nearly all.

    The short ones are what people type first: "a red cat".
    """
    kinds = rng.choice(3, len(scenes), p=(0.5, 0.3, 0.2))
    return [
        toybox.describe(scene, rng, (0.75, 0.2)[kind - 1]) if kind else scene.caption
        for scene, kind in zip(scenes, kinds, strict=True)
    ]


def degraded(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, C, H, W) a little blurred, brighter or darker, and noisy.

    So that a reader also reads what generators draw, and what a VAE has squeezed. A
    third of the pictures stay as they are.
    """
    n = len(images)
    blur, light, noise = (torch.rand(n, 3, generator=generator) * 1.5 - 0.5).relu().T
    shape = (n, 1, 1, 1)
    soft = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1
    )
    images = torch.lerp(images, soft, 0.7 * blur.view(shape))
    tilt = torch.randn(n, 3, 1, 1, generator=generator)  # of each colour
    images = images + 0.06 * light.view(shape) * tilt
    grain = torch.randn(images.shape, generator=generator)
    return (images + 0.08 * noise.view(shape) * grain).clamp(-1, 1)
