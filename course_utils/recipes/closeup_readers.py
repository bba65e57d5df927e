"""closeup-reader judges illusions; closeup-eye shows their painter what to look at.

Two networks of one class that learn from the same kind of pictures, each from its own:
what judges has never been learnt from. The eye is the alignment encoder (REPA, Yu et
al. 2024) of tiny-closeup.
"""

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import toybox
from course_utils.models import frozen
from course_utils.oracle.closeups import ANSWERS, CloseupReader, read_closeups
from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.closeups import closeup_album, puzzles, reading_error
from course_utils.training import chapter

CHAPTER, ALBUM = 500, 8192  # steps, after which new pictures are drawn; how many
BATCH, RATE, STEPS = 128, 2e-3, 4000
SEEDS = {"closeup-reader": 7000, "closeup-eye": 8000}
WIDTHS = {"closeup-reader": 24, "closeup-eye": 32}

CARD = """# {name}

Says which of nine toys fills a picture of 48x48 pixels, or that none does. {role}

| read correctly, of {n} held-out close-ups | |
|---|---|
| as drawn | {plain:.1%} |
| half turned: "nothing", and a fish still one | {turned:.1%} |
| worn, another one shining through, or nothing to read | {puzzled:.1%} |

- **Data** close-ups of the toybox, drawn as they are used, many with another one,
  turned, shining through by a third at most; where it is nearly half, that counts as
  "nothing", as do turned ones and fog.
- **Training** {steps} steps of {batch_size} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **On disk** a byte a weight; the scores above are of the weights before rounding.
"""
ROLES = {
    "closeup-reader": "It\njudges illusions; none is made with its help.",
    "closeup-eye": "The\nalignment encoder of tiny-closeup.",
}


def closeup_reader(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The judge of lesson 13."""
    return closeup_reading("closeup-reader", steps, seed)


def closeup_eye(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """What tiny-closeup is aligned with."""
    return closeup_reading("closeup-eye", steps, seed)


def closeup_reading(name: str, steps: int | None, seed: int) -> Recipe:
    """A CloseupReader, by its name."""
    steps, seed = steps or STEPS, seed + SEEDS[name]

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[Tensor, Tensor]:
        n = min(ALBUM, steps * BATCH)
        drawn = closeup_album(n, torch.Generator().manual_seed(number), None)
        return drawn[0], drawn[3]

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        return puzzles(*album(chapter(seed, step, CHAPTER)), BATCH, generator)

    def save(model: nn.Module, folder: Path) -> dict:
        scores = reading_scores(model, 2000 if steps >= 500 else 50)
        store_closeup_reader(model, WIDTHS[name], folder, scores)
        parameters = sum(p.numel() for p in model.parameters())
        return scores | dict(name=name, role=ROLES[name], parameters=parameters)

    return Recipe(
        model=lambda: CloseupReader(WIDTHS[name]).to(memory_format=torch.channels_last),
        batch=batch,
        loss=reading_error,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        ema=0.998,
        seed=seed,
    )


def store_closeup_reader(
    model: nn.Module, width: int, folder: Path, scores: dict
) -> None:
    """Write a reader's weights, a byte each, and what it can do."""
    config = {"net": {"width": width}} | scores
    artifacts.store_in_bytes(folder, artifacts.half(model.state_dict()), config)


def reading_scores(net: nn.Module, n: int = 2000) -> dict:
    """Shares of right readings of pictures that no training has seen."""
    net = frozen(net, net.state_dict(), {}).cpu()
    generator = torch.Generator().manual_seed(99)
    x0, _, _, toy = closeup_album(n, generator, None)
    x0, fish = x0.float(), toybox.DRAWN.index("fish")
    right = [toybox.DRAWN[k] for k in toy.tolist()]
    turned = ["fish" if k == fish else "nothing" for k in toy.tolist()]
    puzzled, answers = puzzles(x0, toy, n, generator)
    asked = {
        "plain": (x0, right),
        "turned": (x0.rot90(2, (2, 3)), turned),
        "puzzled": (puzzled, [ANSWERS[k] for k in answers.tolist()]),
    }
    return {name: round(_share(net, *pair), 4) for name, pair in asked.items()} | {
        "n": n
    }


def _share(net: nn.Module, images: Tensor, right: list[str]) -> float:
    said = read_closeups(images, net)
    return sum(a == b for a, b in zip(said, right, strict=True)) / len(right)
