"""What the ControlNets of the toybox learn from: pictures, words, what to follow."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from course_utils import toybox, training
from course_utils.tiny.batches import CHAPTER
from course_utils.tiny.unet import SCHEDULE, draw_steps, step_weights
from course_utils.tiny.worlds import WHOLE, captions, numpy_rng

DROPPED = 0.3  # of the captions: what nobody says, the condition must show


def control_batch(
    kind: str,
    encode: Callable[[list], Tensor],
    listen: Callable[[list[str]], Tensor],
    n: int,
    pictures: int,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x0, noise, t, words and the condition.

    encode  scenes -> latents; `pictures` of them are encoded at once, for a chapter
    listen  texts -> vectors of words
    """
    weights = step_weights(SCHEDULE)
    choices = {"toy": ["doll"]} if kind == "pose" else {}  # others have no pose

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[list[toybox.Scene], Tensor]:
        rng = numpy_rng(torch.Generator().manual_seed(number))
        scenes = WHOLE.scenes(pictures, rng, **choices)
        return scenes, encode(scenes)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        scenes, x0 = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(scenes), (n,), generator=generator)
        some = [scenes[i] for i in rows]
        said = captions(some, numpy_rng(generator))
        told = torch.rand(n, generator=generator) >= DROPPED
        words = listen([s if h else "" for s, h in zip(said, told, strict=True)])
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        return (
            x0[rows].float(),
            noise,
            t,
            words,
            toybox.condition(kind, some, seed=step),
        )

    return batch
