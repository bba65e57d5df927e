"""Stage C's rival: tiny's UNet draws stage A's latents straight from words.

And how both are examined while they learn: what is a second compression worth?
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from diffusers import DDPMWuerstchenScheduler
from torch import Tensor, nn

from course_utils import measure
from course_utils.diffusion import guidance
from course_utils.diffusion.ratios import noised_to, ratio_weights
from course_utils.recipes.artifacts import read_log, read_progress
from course_utils.tiny.cascade import heard_states
from course_utils.tiny.worlds import WHOLE, numpy_rng
from course_utils.training import State, write_whole

SEEN = (0.125, 0.25, 0.5, 1.0)  # of a training: when it is examined
LOG = "progress.jsonl"


def ratio_loss(noise: Tensor, predicted: Tensor, r: Tensor) -> Tensor:
    """The squared error of the predicted noise, weighted as the ratios r (B,) count."""
    error = (predicted.float() - noise).square().mean((1, 2, 3))
    return (ratio_weights(r) * error).mean()


def rival_loss(
    net: nn.Module, x0: Tensor, noise: Tensor, r: Tensor, states: Tensor
) -> Tensor:
    """Stage A's latents (B, 4, 16, 16) straight from words: no second compression."""
    said = net(noised_to(x0, noise, r), r * 1000, states).sample
    return ratio_loss(noise, said, r)


@torch.no_grad()
def draw_rival(
    net: nn.Module,
    vqgan: nn.Module,
    words: tuple,
    captions: list[str],
    steps: int = 20,
    scale: float = 3.0,
    seed: int = 0,
) -> Tensor:
    """Pictures (B, 3, 64, 64) in [-1, 1] by the rival and stage A, 16 at a time."""
    options = dict(padding="max_length", truncation=True, return_tensors="pt")
    found = []
    for i in range(0, len(captions), 16):
        said = captions[i : i + 16]
        states, _ = heard_states(words[0], words[1](said + [""] * len(said), **options))
        generator = torch.Generator().manual_seed(seed + i)
        x = torch.randn(len(said), 4, 16, 16, generator=generator)
        plan = DDPMWuerstchenScheduler()
        plan.set_timesteps(steps)
        for r in plan.timesteps[:-1]:
            both = r.expand(2 * len(said))
            guess = net(torch.cat([x, x]), both * 1000, states).sample
            guess = guidance(*guess.chunk(2), scale)
            x = plan.step(guess, both[: len(said)], x, generator).prev_sample
        found.append(vqgan.decode(x * vqgan.config.scale_factor).sample)
    return torch.cat(found).clamp(0, 1) * 2 - 1


def examined(draws: Callable, n: int) -> dict[str, float]:
    """Attribute accuracies of n held-out captions with one toy, and n with two.

    draws: captions -> pictures. "mean" is that of all attributes.
    """
    scenes = [
        scene
        for k in (1, 2)
        for scene in WHOLE.scenes(
            n, numpy_rng(torch.Generator().manual_seed(50 + k)), "test", things=k
        )
    ]
    images = draws([scene.caption for scene in scenes])
    found = measure.attribute_accuracy(images, scenes)
    rest = [x for name, x in found.items() if name != "all"]
    found["mean"] = sum(rest) / len(rest)
    return {name: round(x, 4) for name, x in found.items()}


def examining(
    name: str, draws: Callable, steps: int, size: int, n: int
) -> Callable[[Iterator[State], Path], Iterator[State]]:
    """A Recipe's `watch`: note in LOG what `name` can do when; draws(net, captions)."""
    marks = {max(1, round(part * steps)) for part in SEEN}

    def watch(states: Iterator[State], work: Path) -> Iterator[State]:
        start = time.monotonic()
        for state in states:
            if state.step in marks:
                seconds = round(time.monotonic() - start, 1)
                row = dict(net=name, step=state.step, seconds=seconds)
                row |= dict(pictures=state.step * size)
                row |= examined(lambda said, net=state.ema: draws(net, said), n)
                old = read_progress(work / LOG)
                kept = [x for x in old if x["step"] < state.step]
                text = "".join(json.dumps(x) + "\n" for x in [*kept, row])
                write_whole(work / LOG, text)
            yield state

    return watch


def join_progress(work: Path, names: dict[str, str], size: int) -> None:
    """Write one LOG: what each part took, and what those examined could do when.

    names: a part's folder in `work`, and what it is called.
    """
    text = ""
    for folder, name in names.items():
        if (work / folder / LOG).exists():
            text += (work / folder / LOG).read_text(encoding="utf-8")
            continue
        last = (read_log(work / folder / "log.csv") or [{}])[-1]
        took = {key: last.get(key, 0.0) for key in ("step", "seconds")}
        row = {"net": name, **took, "pictures": size * took["step"]}
        text += json.dumps(row) + "\n"
    write_whole(work / LOG, text)
