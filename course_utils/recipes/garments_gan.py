"""Lesson 02's game, for longer: a DCGAN that draws garments of 28x28."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from course_utils import data, session, training
from course_utils.methods import gan
from course_utils.recipes import artifacts, garments
from course_utils.recipes.recipe import Made

OPTIONS = dict(size=28, z=64, width=32)
BATCH, LR, GAMMA = 64, 1e-3, 0.1
CHAPTER = 500  # turns of the game between two savings
TRAINING = (
    "{steps} turns of {batch} pictures, Adam, rate {lr} falling to 0, seed {seed},\n"
    "  averaged weights (0.999). Non-saturating loss, R1 with gamma {gamma}."
)


def garments_gan(*, steps: int | None = None, seed: int = 0) -> Made:
    """The generator of a game with R1 on garments."""
    steps, real = steps or 3000, data.load("fashion").images
    known = dict(steps=steps, batch=BATCH, lr=LR, seed=seed, gamma=GAMMA)

    def make(work: Path) -> nn.Module:
        torch.set_num_threads(session.threads())
        return artifacts.follow(play_in_chapters(real, work, steps, seed), work).cpu()

    def save(generator: nn.Module, folder: Path) -> dict:
        weights, rng = garments.halve(generator), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            made = generator(torch.randn(garments.SCORED, 64, generator=rng))
        config = {"network": "methods.gan.Generator", "options": OPTIONS}
        return garments.store_scored(folder, generator, weights, config, made)

    facts = dict(
        name="garments-gan",
        what="The generator of a DCGAN (Radford et al. 2016).",
        usage="`network(z)`, with 64 normal numbers a picture.",
        walk="one call each",
        training=TRAINING.format(**known),
    )
    return Made(make=make, save=save, card=garments.CARD, facts=facts)


def play_in_chapters(
    real: Tensor, work: Path, steps: int, seed: int
) -> Iterator[training.State]:
    """gan.play in chapters of 500 turns, each at a lower rate than the last.

    What the players know is saved after each; a run that was killed goes on there.
    Adam begins each chapter anew: it finds its averages again in a few turns.
    ValueError if `work` holds a game with other steps or another seed.
    """
    torch.manual_seed(seed)
    forger, critic = gan.Generator(**OPTIONS), gan.Discriminator(28, 24)
    average = copy.deepcopy(forger).eval().requires_grad_(False)
    players = nn.ModuleDict(dict(forger=forger, critic=critic, average=average))
    file, done, settings = work / "state.safetensors", 0, dict(steps=steps, seed=seed)
    if file.exists():
        training.check_settings(file, settings)
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
        weights = {key: x.contiguous() for key, x in players.state_dict().items()}
        known = {"step": str(start + turns), "settings": json.dumps(settings)}
        training.save_whole(weights, file, known)
