"""What the UNets of the family learn from: pictures encoded, noise, steps and words."""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import models, oracle, toybox, training
from course_utils.tiny.unet import SIDE, draw_steps
from course_utils.tiny.worlds import World, captions, numpy_rng

CHAPTER = 5000  # steps, after which all pictures are replaced by new ones


def load_eye(folder: Path) -> oracle.Reader:
    """The eye, frozen; a shipped tiny-sd has it in its folder "eye"."""
    looker = models.network(folder, oracle.Reader)
    return looker.to(memory_format=torch.channels_last)  # faster


@torch.no_grad()
def encoded(net: nn.Module, looker: nn.Module, scenes: list) -> tuple[Tensor, Tensor]:
    """Latents (B, 4, 16, 16) and the eye's maps (B, C, 8, 8), in half precision."""
    images = toybox.render(scenes).to(net.device)
    latents = net.encode(images).latent_dist.mode() * net.config.scaling_factor
    return latents.half(), looker.maps(images).half()


@torch.no_grad()
def looked_at(looker: oracle.Reader, scenes: list) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, 32, 32) and the eye's maps (B, C, 8, 8), in half precision."""
    images = toybox.render(scenes)
    small = F.interpolate(images, SIDE, mode="area")
    return small.half(), looker.maps(images).half()


def trunk_batch(
    encode: Callable, listen: Callable, world: World, n: int, pictures: int, weights
) -> training.Batch:
    """The function that draws x0, noise, t, words and what the eye sees of x0.

    encode   scenes -> x0 and what the eye sees, as `encoded`
    listen   captions -> what the model hears of them: tokens, or vectors of words
    weights  how much each step counts, (T,)
    Encoding a picture costs half as much as learning from it, so a few thousand are
    encoded at once and used for a chapter, with new captions and noise each time.
    """

    @functools.lru_cache(maxsize=1)
    def chapter(number: int) -> tuple:
        rng = numpy_rng(torch.Generator().manual_seed(number))
        scenes = world.practice(pictures, rng)
        pairs = [encode(scenes[i : i + 128]) for i in range(0, pictures, 128)]
        return scenes, *map(torch.cat, zip(*pairs, strict=True))

    def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
        scenes, x0, seen = chapter(generator.initial_seed() // CHAPTER)
        rows = torch.randint(len(scenes), (n,), generator=generator)
        said = captions([scenes[i] for i in rows], numpy_rng(generator))
        heard = torch.rand(n, generator=generator) >= 0.1  # nothing, for guidance
        words = listen([s if h else "" for s, h in zip(said, heard, strict=True)])
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        return x0[rows].float(), noise, t, words, seen[rows]

    return batch
