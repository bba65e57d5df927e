"""The contestants of `course bench training`: the plain loop, ours, and between them.

Plain is what the text-to-image example of diffusers does: AdamW, all steps t as often,
the text encoder frozen, nothing to align with. Ours is the recipe of tiny-sd. Network,
parts, pictures, captions and noise are the same for all, and so are the averaged
weights and bfloat16 where it is faster. No rate falls at the end: so each point of a
curve is what a training of that length gives, whatever its length.
"""

import functools
import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import diffusion, measure, toybox, training
from course_utils.images import in_parts
from course_utils.methods.distillation import velocity_of
from course_utils.models.pipelines import round_trip
from course_utils.recipes.components import Components
from course_utils.recipes.tiny_sd import RATE, trunk_draws, trunk_groups
from course_utils.tiny import text
from course_utils.tiny.batches import encoded
from course_utils.tiny.unet import (
    CHANNELS,
    SCHEDULE,
    Trunk,
    build_unet,
    draw_steps,
    step_weights,
    trunk_loss,
)
from course_utils.tiny.worlds import SMALL, World
from course_utils.training import muon

LOOKS = 6  # at each training, the last one at its end
FLOOR = 0.05  # the least sigma that divides, as in Li and He 2025


@dataclass(frozen=True)
class Entry:
    """One way to train; as it is by default, the plain one.

    muon     Muon for AdamW
    weights  steps t as often as they count (min-SNR), not all as often
    align    what the alignment of features weighs (REPA)
    hears    the text encoder learns on, at 0.3 of the rate
    rate     the peak
    clean    the network predicts x0, and its error is still that of v
    """

    muon: bool = False
    weights: bool = False
    align: float = 0.0
    hears: bool = False
    rate: float = 1e-3
    clean: bool = False


PLAIN = Entry()
OURS = Entry(muon=True, weights=True, align=0.5, hears=True, rate=RATE)
ENTRIES = {
    "plain": PLAIN,
    "plain+muon": replace(PLAIN, muon=True, rate=RATE),
    "ours": OURS,
    "ours-alignment": replace(OURS, align=0.0),
    "plain+alignment": replace(PLAIN, align=0.5),
    "plain+weights": replace(PLAIN, weights=True),
    "plain+text": replace(PLAIN, hears=True),
    "plain+rate": replace(PLAIN, rate=RATE),
    "ours-muon": replace(OURS, muon=False),
    "ours-weights": replace(OURS, weights=False),
    "ours-text": replace(OURS, hears=False),
    "plain+x0": replace(PLAIN, clean=True),
}


@dataclass(frozen=True)
class Track:
    """What all race on: a world, the UNet's channels, and how many pictures."""

    world: World
    channels: tuple[int, int, int]
    pictures: int


TRACKS = {
    False: Track(SMALL, CHANNELS, 10_240),
    True: Track(replace(SMALL, most=1), (32, 64, 96), 2560),  # one toy, a thinner UNet
}


class CleanTrunk(Trunk):
    """A Trunk whose UNet predicts x0; it answers with the v that this means."""

    def forward(self, x_t: Tensor, t: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return v, as a Trunk does, and the features.

        Where sigma is below FLOOR it is taken for that: v says nothing there.
        """
        x0, features = super().forward(x_t, t, words)
        v = velocity_of(x0.float(), x_t, t, SCHEDULE)
        sigma = (1 - SCHEDULE.alpha_bar.to(t.device)[t]).sqrt().view(-1, 1, 1, 1)
        return v * (sigma / sigma.clamp(min=FLOOR)), features


def contestant(
    entry: Entry, encoder: nn.Module, features: int, track: Track
) -> tuple[Trunk, torch.optim.Optimizer, training.Loss]:
    """Fresh weights, their optimizer and their loss; the text encoder is a copy."""
    kind = CleanTrunk if entry.clean else Trunk
    trunk = kind(build_unet(track.channels), deepcopy(encoder), features)
    trunk.text.requires_grad_(entry.hears)
    groups = trunk_groups(trunk, entry.muon, entry.rate)
    if not entry.hears:
        groups = groups[:2]
    if entry.muon:
        optimizer = muon.Muon(groups)
    else:
        groups = [{k: g[k] for k in ("params", "lr")} for g in groups]
        optimizer = torch.optim.AdamW(groups, weight_decay=1e-2, fused=True)
    return trunk, optimizer, functools.partial(trunk_loss, align=entry.align)


def steps_redrawn(batch: training.Batch, weights: Tensor) -> training.Batch:
    """The same pictures, captions and noise; steps t as often as these weights say."""

    def again(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        x0, noise, t, words, maps = batch(generator, step)
        return x0, noise, draw_steps(len(t), weights, generator), words, maps

    return again


@dataclass
class RaceExam:
    """Held-out captions: their error at fixed steps and noise, and their pictures.

    The error is that of v, and no step counts more: it is nobody's own loss.
    """

    parts: Components
    scenes: dict[str, list[toybox.Scene]]  # "one_toy", and if the world has, "two_toys"
    x0: Tensor
    noise: Tensor
    t: Tensor
    words: Tensor

    @torch.no_grad()
    def error(self, trunk: nn.Module) -> float:
        """Mean squared error of v over steps from the first to the last."""
        x_t = diffusion.add_noise(self.x0, self.noise, self.t, SCHEDULE)
        v = diffusion.velocity(self.x0, self.noise, self.t, SCHEDULE)
        pairs = zip(x_t.split(64), self.t.split(64), self.words.split(64), strict=True)
        found = torch.cat([trunk(*some)[0].float() for some in pairs])
        return (found - v).square().mean().item()

    def look(self, trunk: nn.Module, steps: int = 10) -> dict[str, float]:
        """The error as "loss"; all right as "one_toy"; "one_toy_colour" and so on."""
        found = {"loss": self.error(trunk)}
        draws = trunk_draws(self.parts, trunk, steps)
        for task, scenes in self.scenes.items():
            images = draws([scene.caption for scene in scenes])
            found |= named(task, measure.grades(images, scenes))
        return {name: round(x, 5) for name, x in found.items()}

    def bounds(self) -> dict[str, dict[str, float]]:
        """The floor, pictures of other captions, and the ceiling, true ones by VAE."""
        both: dict[str, dict] = {"floor": {}, "ceiling": {}}
        for task, scenes in self.scenes.items():
            true = in_parts(toybox.render, scenes)
            best = round_trip(self.parts.vae, true)
            both["floor"] |= named(task, measure.grades(true.roll(1, 0), scenes))
            both["ceiling"] |= named(task, measure.grades(best, scenes))
        return both


def named(task: str, grades: dict[str, float]) -> dict[str, float]:
    """Grades of a task: what is all right has its name, the others are TASK_NAME."""
    return {task if k == "all" else f"{task}_{k}": x for k, x in grades.items()}


def race_exam(parts: Components, world: World, n: int, seed: int = 26) -> RaceExam:
    """Of n captions a task, split "test"; the error is of 4 n pairs of x0 and noise."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    tasks = ("one_toy", "two_toys")[: world.most]
    asked = {
        task: world.scenes(n, rng, "test", things=k) for k, task in enumerate(tasks, 1)
    }
    seen = world.scenes(4 * n, rng, "test")
    x0 = encoded(parts.vae, parts.alignment_encoder, seen)[0].float().cpu()
    t = torch.linspace(0, len(SCHEDULE.beta) - 1, len(x0)).long()
    words = text.tokenise(parts.tokenizer, [scene.caption for scene in seen])
    noise = torch.randn(x0.shape, generator=generator)
    return RaceExam(parts, asked, x0, noise, t, words)


def race_curve(
    states: Iterator[training.State],
    look: Callable[[nn.Module], dict],
    seconds: float,
    looks: int = LOOKS,
    clock: Callable[[], float] = time.process_time,
) -> Iterator[dict]:
    """Yield what each look finds, `looks` of them in so many seconds; looks are free.

    The clock is the processor's, over its threads: other work on the machine, which
    would slow one entry and spare the next, does not count.
    """
    spent, due = 0.0, seconds / looks
    threads = torch.get_num_threads()
    start = clock()
    for state in states:
        now = spent + (clock() - start) / threads
        if now >= due:
            due = (math.floor(now / seconds * looks + 1e-9) + 1) * seconds / looks
            yield dict(seconds=round(now, 2), step=state.step) | look(state.ema)
            if now >= seconds:
                return
            spent, start = now, clock()


def race_step_weights(entry: Entry) -> Tensor:
    """How often each step t is drawn for this entry, (T,)."""
    weights = step_weights(SCHEDULE)
    return weights if entry.weights else torch.ones_like(weights)
