"""How the oracle learnt to read the toybox; and any other reader of its class."""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import measure, toybox, training
from course_utils.images import in_parts
from course_utils.oracle import UNASKED, Reader, make_reader, targets
from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.worlds import WHOLE, World, album, degraded, numpy_rng
from course_utils.training import muon

CARD = """# {name}

A small convolutional network that reads the toybox: at each of the nine places which
toy (or nothing), its colour, size, pattern and mood, and the ground. {role}

| read correctly, of {n} held-out scenes | as drawn | degraded |
|---|---|---|
{rows}

- **Data** the toybox, split "train", drawn as it is used; degraded: slightly blurred,
  noisy, brighter or darker. The scores are of the split "test".
- **Training** {steps} steps of {batch_size} pictures, {optimizer}, rate {lr},
  seed {seed}, averaged weights. {parameters:,} parameters.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""
ROLE = "It judges what generators\ndraw; no generator is trained with it."


def oracle(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The reader that judges what generators draw."""
    return reader_recipe("oracle", ROLE, WHOLE, 40, steps or 2500, seed + 1000)


def reader_recipe(
    name: str,
    role: str,
    world: World,
    width: int,
    steps: int,
    seed: int,
    turn: float | None = None,
    **choices,
) -> Recipe:
    """A Reader of so many channels that learns `world`; by Muon at the rate `turn`."""

    def save(model: nn.Module, folder: Path) -> dict:
        weights, config = artifacts.half(model.state_dict()), {"net": {"width": width}}
        net = make_reader(weights, config)
        n = 2000 if steps >= 500 else 50
        plain, used = held_out(net, world, n), held_out(net, world, n, degrade=True)
        config |= {"held_out_n": n, "held_out_accuracy": plain, "worn_accuracy": used}
        artifacts.store(folder, weights, config)
        rows = "\n".join(f"| {k} | {plain[k]:.2%} | {used[k]:.2%} |" for k in plain)
        facts = dict(name=name, role=role, n=n, rows=rows)
        facts |= dict(optimizer="Muon" if turn else "AdamW")
        return facts | dict(parameters=sum(p.numel() for p in net.parameters()))

    return Recipe(
        model=lambda: Reader(width).to(memory_format=torch.channels_last),  # faster
        batch=functools.partial(pictures_and_answers, world, 64, seed),
        loss=reading_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=64,
        lr=turn or 2e-3,
        ema=0.99 if turn else 0.998,
        optimizer=functools.partial(muon.optimizer, lr=turn) if turn else None,
        seed=seed,
        choices=choices,
    )


def pictures_and_answers(
    world: World, n: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, ...]:
    """Degraded pictures (n, 3, 64, 64), the right answers in the order of QUESTIONS.

    32 steps in a row share an album.
    """
    scenes, images = album(world, training.chapter(seed, step, 32))
    rows = torch.randint(len(scenes), (n,), generator=generator)
    answers = targets([scenes[i] for i in rows])
    return degraded(images[rows], generator), *answers.values()


def reading_loss(model: nn.Module, x: Tensor, *answers: Tensor) -> Tensor:
    """The sum over questions of their cross-entropy, each the mean over what is asked.

    `model(x)` gives logits by question: a Reader's of pictures, or a text encoder's.
    """
    total = x.new_zeros(())
    for (name, logits), answer in zip(model(x).items(), answers, strict=True):
        asked = (answer != UNASKED).sum().clamp(min=1)
        weight = 3.0 if name == "toy" else 1.0  # most places hold nothing: easy
        total = (
            total + weight * F.cross_entropy(logits, answer, reduction="sum") / asked
        )
    return total


def held_out(
    net: Reader, world: World, n: int, degrade: bool = False
) -> dict[str, float]:
    """Share of right readings of n scenes of the split "test", by attribute."""
    generator = torch.Generator().manual_seed(99)
    scenes = world.scenes(n, numpy_rng(generator), "test")
    images = in_parts(toybox.render, scenes)
    images = degraded(images, generator) if degrade else images
    scores = measure.attribute_accuracy(images, scenes, net)
    return {name: round(score, 4) for name, score in scores.items()}
