"""The two readers of pictures: the oracle, which judges, and the eye, which teaches.

They share a class and the toybox, but neither seed nor width: a generator that is
aligned with the eye has not been flattered by its judge.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import measure, oracle, toybox, training
from course_utils.images import in_parts
from course_utils.recipes import artifacts
from course_utils.tiny.worlds import SMALL, WHOLE, World, album, numpy_rng, worn

CARD = """# {name}

A small convolutional network that reads the toybox: at each of the nine places which
toy (or nothing), its colour, size, pattern and mood, and the ground. {role}

| read correctly, of {n} held-out scenes | as drawn | worn |
|---|---|---|
{rows}

- **Data** the toybox, split "train", drawn as it is used; worn: slightly blurred,
  noisy, brighter or darker. The scores are of the split "test".
- **Training** {steps} steps of {batch} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **Cost** COST.
- **Repeat it** `course train {name}` (course_utils/recipes/oracle.py).
- **On disk** safetensors in half precision; the scores above are those of this file.
- **Licence** Apache-2.0, as the course.
"""
JUDGE = "It judges what generators\ndraw; no generator is trained with it."
TEACHER = (
    "The maps of 8x8 that it\ncomputes of a picture are what the miniature Stable "
    "Diffusion is aligned with."
)


def judge_of_scenes(
    folder: Path, work: Path, *, steps: int | None = None, seed: int = 0
) -> None:
    """Train the oracle."""
    _reader("oracle", folder, work, WHOLE, steps or 2500, seed + 1000, 40, JUDGE)


def eye(
    folder: Path,
    work: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    small: bool = False,
) -> None:
    """Train the network that the miniature Stable Diffusion is aligned with."""
    world, enough = (SMALL, 500) if small else (WHOLE, 2500)
    _reader("eye", folder, work, world, steps or enough, seed + 2000, 32, TEACHER)


def _reader(
    name: str,
    folder: Path,
    work: Path,
    world: World,
    steps: int,
    seed: int,
    width: int,
    role: str,
    batch: int = 64,
    lr: float = 2e-3,
) -> None:
    torch.manual_seed(seed)
    net = oracle.Reader(width).to(memory_format=torch.channels_last)  # faster
    run = training.train(
        net,
        lambda generator: pictures_and_answers(world, batch, generator),
        reading_loss,
        steps=steps,
        lr=lr,
        ema=0.998,
        seed=seed,
        save_to=work / "state.safetensors",
    )
    weights = artifacts.half(artifacts.follow(run, work).cpu().state_dict())
    config = {"net": {"width": width}}
    net = oracle.make_reader(weights, config)
    n = 2000 if steps >= 500 else 50
    plain, used = held_out(net, world, n), held_out(net, world, n, wear=True)
    config |= {"held_out_n": n, "held_out_accuracy": plain, "worn_accuracy": used}
    rows = "\n".join(f"| {k} | {plain[k]:.2%} | {used[k]:.2%} |" for k in plain)
    parameters = sum(p.numel() for p in net.parameters())
    facts = dict(name=name, role=role, n=n, rows=rows, steps=steps, batch=batch, lr=lr)
    card = CARD.format(**facts, seed=seed, parameters=parameters)
    artifacts.store(folder, work, weights, config, card)


def pictures_and_answers(
    world: World, n: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Worn pictures (n, 3, 64, 64) and the right answers, in the order of QUESTIONS.

    32 steps in a row share an album.
    """
    scenes, images = album(world, generator.initial_seed() // 32)
    rows = torch.randint(len(scenes), (n,), generator=generator)
    answers = oracle.targets([scenes[i] for i in rows])
    return worn(images[rows], generator), *answers.values()


def reading_loss(model: nn.Module, x: Tensor, *answers: Tensor) -> Tensor:
    """The sum over questions of their cross-entropy, each the mean over what is asked.

    `model(x)` gives logits by question: a Reader's of pictures, or a text encoder's.
    """
    total = x.new_zeros(())
    for (name, logits), answer in zip(model(x).items(), answers, strict=True):
        asked = (answer != oracle.UNASKED).sum().clamp(min=1)
        weight = 3.0 if name == "toy" else 1.0  # most places hold nothing: easy
        total = (
            total + weight * F.cross_entropy(logits, answer, reduction="sum") / asked
        )
    return total


def held_out(
    net: oracle.Reader, world: World, n: int, wear: bool = False
) -> dict[str, float]:
    """Share of right readings of n scenes of the split "test", by attribute."""
    generator = torch.Generator().manual_seed(99)
    scenes = world.scenes(n, numpy_rng(generator), "test")
    images = in_parts(toybox.render, scenes)
    images = worn(images, generator) if wear else images
    scores = measure.attribute_accuracy(images, scenes, net)
    return {name: round(score, 4) for name, score in scores.items()}
