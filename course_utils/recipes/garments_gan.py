"""Lesson 02's game, for longer: a DCGAN that draws garments of 28x28."""

import copy
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from course_utils import data, training
from course_utils.methods import gan
from course_utils.recipes import artifacts, garments

OPTIONS = dict(size=28, z=64, width=32)
BATCH, LR, GAMMA = 64, 1e-3, 0.1
CHAPTER = 500  # turns of the game between two savings


def garments_gan(
    folder: Path, work: Path, *, steps: int | None = None, seed: int = 0
) -> None:
    """Play the game with R1 on garments; `folder` gets the generator."""
    steps = steps or 3000
    run = play_in_chapters(data.load("fashion").images, work, steps, seed)
    weights = artifacts.half(artifacts.follow(run, work).cpu().state_dict())
    generator = gan.Generator(**OPTIONS)
    generator.load_state_dict(weights)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made = generator.eval()(torch.randn(garments.SCORED, 64, generator=rng))
    facts = dict(
        name="garments-gan",
        file="garments_gan",
        what="The generator of a DCGAN (Radford et al. 2016).",
        usage="`network(z)`, with 64 normal numbers a picture.",
        walk="one call each",
        training=f"{steps} turns of {BATCH} pictures, Adam, rate {LR} falling to 0, "
        f"seed {seed},\n  averaged weights (0.999). Non-saturating loss, R1 with gamma "
        f"{GAMMA}.",
        parameters=sum(p.numel() for p in generator.parameters()),
    )
    config = {"network": "methods.gan.Generator", "options": OPTIONS}
    garments.keep(folder, work, made, weights, config, facts)


def play_in_chapters(
    real: Tensor, work: Path, steps: int, seed: int
) -> Iterator[training.State]:
    """gan.play in chapters of 500 turns, each at a lower rate than the last.

    What the players know is saved after each; a run that was killed goes on there.
    Adam begins each chapter anew: it finds its averages again in a few turns.
    """
    torch.manual_seed(seed)
    forger, critic = gan.Generator(**OPTIONS), gan.Discriminator(28, 24)
    average = copy.deepcopy(forger).eval().requires_grad_(False)
    players = nn.ModuleDict(dict(forger=forger, critic=critic, average=average))
    file, done = work / "state.safetensors", 0
    if file.exists():
        with safe_open(file, "pt") as saved:
            done = int(saved.metadata()["step"])
            players.load_state_dict(
                {key: saved.get_tensor(key) for key in saved.keys()}
            )
    if done >= steps:
        yield training.State(done, float("nan"), 0.0, players, average)
    for start in range(done, steps, CHAPTER):
        rng = torch.Generator().manual_seed(seed * training.loop.STRIDE + start)
        lr, turns = LR * (1 - start / steps), min(CHAPTER, steps - start)
        losses = gan.play(
            forger,
            critic,
            real=lambda rng=rng: data.draw(real, BATCH, rng),
            noise=lambda rng=rng: torch.randn(BATCH, 64, generator=rng),
            steps=turns,
            gamma=GAMMA,
            lr=lr,
            betas=(0.0, 0.99),
        )
        for step, (d_loss, _) in enumerate(losses, start + 1):
            training.update_ema(average, forger, min(0.999, step / (step + 9)))
            yield training.State(step, d_loss, lr, players, average)
        file.parent.mkdir(parents=True, exist_ok=True)
        known = {key: x.contiguous() for key, x in players.state_dict().items()}
        save_file(known, file, metadata={"step": str(start + turns)})
