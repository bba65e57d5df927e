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


def load_alignment_encoder(folder: Path) -> oracle.Reader:
    """The network that the UNet is aligned with (REPA), frozen.

    A shipped tiny-sd has it in its folder "eye".
    """
    encoder = models.network(folder, oracle.Reader)
    return encoder.to(memory_format=torch.channels_last)  # faster


@torch.no_grad()
def encoded(vae: nn.Module, encoder: nn.Module, scenes: list) -> tuple[Tensor, Tensor]:
    """Latents (B, 4, 16, 16) and the alignment encoder's maps (B, C, 8, 8), in half."""
    images = toybox.render(scenes).to(vae.device)
    latents = vae.encode(images).latent_dist.mode() * vae.config.scaling_factor
    return latents.half(), encoder.maps(images).half()


def in_latents(encode: Callable, scenes: list) -> Tensor:
    """True renders as `encode` has them, in half precision."""
    parts = (scenes[i : i + 128] for i in range(0, len(scenes), 128))
    return torch.cat([encode(toybox.render(some)).half() for some in parts])


@torch.no_grad()
def encoded_pixels(encoder: oracle.Reader, scenes: list) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, 32, 32) and the alignment encoder's maps (B, C, 8, 8), in half.

    The maps are of the pictures at 64x64, which it has learnt to read.
    """
    images = toybox.render(scenes)
    small = F.interpolate(images, SIDE, mode="area")
    return small.half(), encoder.maps(images).half()


def trunk_batch(
    encode: Callable,
    listen: Callable,
    world: World,
    n: int,
    pictures: int,
    weights: Tensor,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x0, noise, t, words and the maps of x0.

    encode   scenes -> x0 and the alignment encoder's maps, as `encoded`
    listen   captions -> what the model hears of them: tokens, or vectors of words
    weights  how much each step counts, (T,)
    seed     of the training: each has pictures of its own
    Encoding a picture costs half as much as learning from it, so a few thousand are
    encoded at once and used for a chapter, with new captions and noise each time.
    """

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple:
        rng = numpy_rng(torch.Generator().manual_seed(number))
        scenes = world.practice(pictures, rng)
        pairs = [encode(scenes[i : i + 128]) for i in range(0, pictures, 128)]
        return scenes, *map(torch.cat, zip(*pairs, strict=True))

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        scenes, x0, maps = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(scenes), (n,), generator=generator)
        said = captions([scenes[i] for i in rows], numpy_rng(generator))
        heard = torch.rand(n, generator=generator) >= 0.1  # nothing, for guidance
        words = listen([s if h else "" for s, h in zip(said, heard, strict=True)])
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        return x0[rows].float(), noise, t, words, maps[rows]

    return batch
