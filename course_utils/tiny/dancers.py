"""What the animation miniature learns from: dancing dolls, their poses, their looks."""

import functools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import diffusion, toybox, training
from course_utils.methods.magic_animate import Animator
from course_utils.tiny.batches import CHAPTER
from course_utils.tiny.unet import MEAN_WEIGHT, SCHEDULE, draw_steps, step_weights
from course_utils.toybox import Scene

DROPPED = 0.1  # of the steps without look and words, for guidance


def some_dance(rng: np.random.Generator, frames: int) -> tuple[Scene, list[Scene]]:
    """A doll in one pose, and the same doll dancing: its scene in each frame."""
    doll = toybox.sample_dancer(rng)
    first = toybox.perform(doll, toybox.random_dance(rng, 8)[4:5])[0]
    start = int(rng.integers(4))  # a single frame is no key pose only
    moves = toybox.random_dance(rng, frames + 8)[start : start + frames]
    return first, toybox.perform(doll, moves)


def dancing_batch(
    encode: Callable[[Tensor], Tensor],
    words: tuple[Tensor, Tensor],
    n: int,
    frames: int,
    dances: int,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x0, noise, t, words, looks and poses of n dances.

    encode  pictures -> latents; `dances` dances are encoded at once, for a chapter
    words   what is said of all, and the empty text: (1, tokens, D) each
    Looks that are all zero stand for none.
    """
    weights = step_weights(SCHEDULE)

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[list[list[Scene]], Tensor, Tensor]:
        rng = np.random.default_rng([number, frames, 53])
        pairs = [some_dance(rng, frames) for _ in range(dances)]
        looks, clips = [], []
        for k in range(0, dances, 32):
            some = pairs[k : k + 32]
            looks.append(encode(toybox.render([look for look, _ in some])).half())
            flat = [scene for _, row in some for scene in row]
            latents = encode(toybox.render(flat)).half()
            clips.append(latents.unflatten(0, (len(some), frames)).transpose(1, 2))
        return [row for _, row in pairs], torch.cat(clips), torch.cat(looks)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        scenes, x0, looks = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(scenes), (n,), generator=generator)
        some = [scene for i in rows for scene in scenes[i]]
        poses = toybox.poses(some).unflatten(0, (n, frames))
        told = bool(torch.rand(1, generator=generator) >= DROPPED)
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        said = words[0 if told else 1].expand(n, -1, -1)
        return x0[rows].float(), noise, t, said, looks[rows].float() * told, poses

    return batch


def dancing_loss(
    model: Animator,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    words: Tensor,
    looks: Tensor,
    poses: Tensor,
) -> Tensor:
    """The error of v; t comes from draw_steps, so that the weight is in it."""
    x_t = diffusion.add_noise(x0, noise, t, SCHEDULE)
    v = model(x_t, t, words, looks if looks.any() else None, poses)
    return MEAN_WEIGHT * F.mse_loss(v, diffusion.velocity(x0, noise, t, SCHEDULE))
