"""What an IP-Adapter learns from: a picture to draw, words, and a picture shown.

If the picture shown were always the one to draw, it would say all that the words say,
and nobody could tell which of the two was obeyed. So most are of another scene: what
the words leave unsaid is the same in both, and all that they say is drawn anew.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from course_utils import toybox, training
from course_utils.tiny.batches import CHAPTER
from course_utils.tiny.unet import SCHEDULE, draw_steps, step_weights
from course_utils.tiny.worlds import WHOLE, numpy_rng

SAME, DROPPED = 0.25, 0.05  # pictures shown that are the one to draw; what is left out
ASIDE = ("colour", "size", "pattern", "place", "mood")  # what may be said of a toy


class Shown(NamedTuple):
    """A scene to draw, what is said of it, and the scene that is shown beside that."""

    scene: toybox.Scene
    caption: str
    shown: toybox.Scene


def shown_pairs(n: int, rng: np.random.Generator) -> list[Shown]:
    """n of them, of the split "train", with one toy, or two in a few that are SAME."""
    return [_pair(rng) for _ in range(n)]


def _pair(rng: np.random.Generator) -> Shown:
    same = rng.random() < SAME
    two = same and rng.random() < 0.4
    [scene] = WHOLE.scenes(1, rng, things=2 if two else 1)
    all_of_it = scene.attributes
    said = {"toy": all_of_it["toy"], "count": all_of_it["count"]}
    for name in ASIDE:
        if all_of_it.get(name, [None])[0] and rng.random() < 0.5:
            said[name] = all_of_it[name]
    if rng.random() < 0.4:
        said["ground"] = all_of_it["ground"]
    caption = toybox.say(said, rng)
    return Shown(scene, caption, scene if same else _another(scene, said, rng))


def _another(scene: toybox.Scene, said: dict, rng: np.random.Generator):
    """A scene with what is not said of this one, and else any."""
    alike = {"ground": scene.ground} if "ground" not in said else {}
    for name in ASIDE:
        value = scene.attributes.get(name, [None])[0]
        if value and name not in said:
            alike[name] = value
    [other] = WHOLE.scenes(1, rng, things=1, **alike)
    return other


def left_out(n: int, same: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which words and which pictures are not told, two of (n,) bool.

    Words alone 5 %, pictures alone 5 %, both 5 % (Ye et al. 2023). Words alone are left
    out only where the picture is the `same`: else nothing would say what to draw.
    """
    chance = torch.rand(n, generator=generator)
    both, no_picture = chance < DROPPED, chance < 2 * DROPPED
    no_words = both | ((chance > 1 - DROPPED / SAME) & same)
    return no_words, no_picture


def shown_batch(
    encode: Callable[[list], Tensor],
    look: Callable[[list], Tensor],
    listen: Callable[[list[str]], Tensor],
    n: int,
    pictures: int,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x0, noise, t, words and the embedding of what is shown.

    encode  scenes -> latents; `pictures` of them are encoded at once, for a chapter
    look    scenes -> embeddings (B, E)
    listen  texts -> vectors of words
    """
    weights = step_weights(SCHEDULE)

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple:
        rng = numpy_rng(torch.Generator().manual_seed(number))
        pairs = shown_pairs(pictures, rng)
        same = torch.tensor([pair.scene is pair.shown for pair in pairs])
        return (
            [pair.caption for pair in pairs],
            encode([pair.scene for pair in pairs]),
            look([pair.shown for pair in pairs]),
            same,
        )

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        said, x0, images, same = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(said), (n,), generator=generator)
        no_words, no_picture = left_out(n, same[rows], generator)
        texts = ["" if no else said[i] for i, no in zip(rows, no_words, strict=True)]
        shown = images[rows].float() * ~no_picture[:, None]
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        return x0[rows].float(), noise, t, listen(texts), shown

    return batch
