"""How the reader of toys in the round learnt: which toy, what colour, from where."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import training
from course_utils.oracle.views import ASKED, ViewReader, read_views
from course_utils.recipes.pixel_judge import pixel_judge
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.views import toy_pictures
from course_utils.tiny.worlds import degraded
from course_utils.toybox import solid

CARD = """# view-reader

A small network that reads 64x64 pictures of toys in the round: which toy, its colour,
from where it is seen. It judges what generators draw; no generator is trained with it.

| {n} held-out renders | |
|---|---|
| toy | {toy:.1%} |
| colour | {colour:.1%} |
| view: front, side, back, overhead | {view:.1%} |
| all three | {all:.1%} |
| azimuth, median error (not overhead) | {degrees:.1f} degrees |

- **Data** toybox.solid, every colour of every toy, from all around, in varied light,
  drawn as it is used; slightly blurred, noisy, brighter or darker.
- **Training** {steps} steps of {batch_size} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""
ALBUM = 512  # pictures drawn at once


def view_reader(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The network that says from where a toy is seen."""
    learnt = ViewReader, toys_and_views, view_reader_loss, view_scores, "held_out"
    options = dict(card=CARD, steps=steps or 6000, seed=seed, offset=9000)
    return pixel_judge(*learnt, **options)


def answers_of(solids: list, views: list) -> Tensor:
    """What the reader should say, (B, 5): numbers of ASKED, cosine and sine."""
    rows = []
    for toy, view in zip(solids, views, strict=True):
        words = toy.toy, toy.colour, view.word
        said = [v.index(w) for v, w in zip(ASKED.values(), words, strict=True)]
        turn = np.deg2rad(view.azimuth)
        rows.append([*said, np.cos(turn), np.sin(turn)])
    return torch.tensor(rows, dtype=torch.float32)


def any_toys(n: int, rng: np.random.Generator) -> tuple[list, list]:
    """n toys, and views of them from all around."""
    solids = [solid.sample_solid(rng) for _ in range(n)]
    return solids, [solid.sample_view(rng, solid.EVENLY) for _ in range(n)]


@functools.lru_cache(maxsize=1)
def _album(chapter: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng([chapter, 61])
    solids, views = any_toys(ALBUM, rng)
    return toy_pictures(solids, views, rng), answers_of(solids, views)


def toys_and_views(
    n: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, Tensor]:
    """Degraded pictures (n, 3, 64, 64), answers (n, 5); 64 steps share an album."""
    images, answers = _album(training.chapter(seed, step, 64))
    rows = torch.randint(len(images), (n,), generator=generator)
    return degraded(images[rows], generator), answers[rows]


def view_reader_loss(model: nn.Module, images: Tensor, answers: Tensor) -> Tensor:
    """Cross-entropies, and 1 - cosine between the angle and what is said of it.

    Seen from above an angle says little of what is shown: those rows do not count.
    """
    found = model(images)
    loss = sum(
        F.cross_entropy(found[name], answers[:, k].long())
        for k, name in enumerate(ASKED)
    )
    around = (answers[:, 2] != len(ASKED["view"]) - 1).float()
    off = 1 - F.cosine_similarity(found["azimuth"], answers[:, 3:])
    return loss + 2 * (around * off).mean()


def view_scores(net: nn.Module, n: int) -> dict[str, float]:
    """How often it is right about n renders that it never saw, and by how much off."""
    rng = np.random.default_rng(960)
    solids, views = any_toys(n, rng)
    said = read_views(toy_pictures(solids, views, rng), net)
    true = {
        "toy": [s.toy for s in solids],
        "colour": [s.colour for s in solids],
        "view": [v.word for v in views],
    }
    right = {k: np.array(said[k]) == np.array(true[k]) for k in true}
    off = np.array(said["azimuth"]) - np.array([v.azimuth for v in views])
    off = np.abs((off + 180) % 360 - 180)[np.array(true["view"]) != "overhead"]
    scores = {name: x.mean().item() for name, x in right.items()}
    scores["all"] = np.all(list(right.values()), axis=0).mean().item()
    return scores | {"degrees": float(np.median(off))}
