"""tiny-lightning: tiny in 8, 4, 2 and 1 steps, the way of SDXL-Lightning.

Lin, Wang and Yang 2024. Kept is what differs from tiny-sd's UNet, a byte a weight.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from course_utils import models
from course_utils.recipes import artifacts, distilling, few_stages
from course_utils.recipes.distilling import (
    GUIDANCE,
    Shelf,
    save_unet,
    shelf_of,
    trial_or,
)
from course_utils.recipes.few_scores import exam, in_half, keeps, teachers_ends
from course_utils.recipes.recipe import Made
from course_utils.tiny.critics import Critic
from course_utils.training.captured import graph_adam, train_timed

BATCH, PICTURES, PATHS = 128, 32_768, 32_768
RATE, SLOW, CRITIC = 4e-4, 2e-4, 3e-4  # with a teacher alone; with a critic; its own
# steps of each stage, and its share of the time where a clock says when it ends
STAGES = {"16": 530, "8": 560, "4": 420, "2": 540, "1": 840}
SHARES = {"16": 0.14, "8": 0.12, "paths": 0.05, "4": 0.16, "2": 0.21, "1": 0.32}
RANKS = {"8": 8, "4": 48}  # of the change that is kept; the others keep all
CONDITIONAL = 0.5  # of a stage's steps; in the rest the critic sees the end alone

CARD = """# tiny-lightning

tiny in few steps. `tiny-lightning/4`, and /8, /2, /1, is a UNet of diffusers for that
many steps and no others, for tiny's pipeline with guidance_scale=0 and
`EulerDiscreteScheduler.from_config(pipe.scheduler.config,
timestep_spacing="trailing")`; the one for one step predicts x0, which the scheduler is
told by `prediction_type="sample"`.

- **Data** latents of the toybox, split "train", and their captions; from 4 steps down
  {paths} paths of the student of 8 steps, from noise.
- **Training** by halving: 32 steps of tiny, guidance {guidance:g}, to 16, to 8 (squared
  error of v); then 4, 2 and 1 steps with a critic made of tiny's UNet, conditional at
  first, beside the squared error, both equally strong at the student's output. Steps
  of {batch_size}: {stages}. Seed {seed}, AdamW, averaged weights.
- **On disk** the difference to tiny-sd's UNet, a byte a weight and a scale a row; of 8
  and 4 steps as two factors of ranks {rank}, a LoRA found after the training.
  teacher.safetensors has the teacher's own latents for lesson 10: of three sets of 64
  captions in 20 and 50 steps, and of "a cat" in 20.
"""


def learn_halving(
    shelf: Shelf,
    name: str,
    teacher,
    start,
    scale: float,
    keep,
    n: int,
    place: Path,
    **options,
) -> tuple[nn.Module, int]:
    """The student of int(name) steps from a teacher of twice as many."""
    student, average = distilling.copied(start)
    optimizer = graph_adam([student], RATE)
    step = few_stages.halving(shelf, teacher, student, average, optimizer, scale)
    draw = few_stages.halving_draws(shelf, int(name), n)
    options |= dict(look=lambda: keep(name, average), label=name)
    done = train_timed(step, draw, [optimizer], log=place / "log.csv", **options)
    print(f"{name}: {done} steps, {keep(name, average)}", flush=True)
    return average, done


def learn_convincing(
    shelf: Shelf,
    name: str,
    paths: tuple,
    start,
    critic,
    keep,
    n: int,
    place: Path,
    **options,
) -> tuple[nn.Module, int]:
    """The student of int(name) steps, from one of twice as many, and with a critic.

    The critic goes on learning from where the stage before left it.
    """
    count, done = int(name), 0
    student, average = distilling.copied(start)
    if count == 1:
        for net in (student, average):
            says_clean(net)
    both = (
        graph_adam([student], SLOW, (0.5, 0.99)),
        graph_adam([critic], CRITIC, (0.0, 0.99)),
    )
    draw = few_stages.convincing_draws(shelf, paths, count, n, noisy=count < 4)
    steps, seconds = options.pop("steps", None), options.pop("seconds", math.inf)
    options |= dict(look=lambda: keep(name, average), label=name)
    for share, beside in ((CONDITIONAL, True), (1 - CONDITIONAL, False)):
        own = dict(beside=beside, clean=count == 1)
        step = few_stages.convincing(shelf, student, average, critic, both, **own)
        part = max(1, round(steps * share)) if steps else None
        log = place / ("beside" if beside else "alone") / "log.csv"
        options |= dict(steps=part, seconds=seconds * share, log=log)
        done += train_timed(step, draw, both, **options)
        print(f"{name}: {done} steps, {keep(name, average)}", flush=True)
    return average, done


@torch.no_grad()
def says_clean(unet: nn.Module) -> None:
    """From v to x0, in place: at t = 999 one is the other's negative, within 1 %."""
    unet.conv_out.weight.neg_()
    unet.conv_out.bias.neg_()


def chain(
    shelf: Shelf,
    keep: Callable[[str, nn.Module], str],
    *,
    work: Path,
    seconds: float = math.inf,
    steps: dict[str, int] | None = None,
    n: int = BATCH,
    paths: int = PATHS,
) -> tuple[dict[str, nn.Module], dict[str, int]]:
    """All stages; the UNets of 8, 4, 2, 1 steps, and how many steps each took.

    keep     keep(name, average) says how good a stage is
    work     keeps what is finished, so that a chain that was stopped goes on; log.csv
    seconds  of all, shared by SHARES; or `steps` of each stage
    """
    unet, along, done, found = shelf.pipe.unet, None, {}, {}
    shares, end = dict(SHARES), time.perf_counter() + seconds

    def given(name: str) -> float:
        """A stage's share of the seconds that are left."""
        left, share = end - time.perf_counter(), shares.pop(name)
        return max(1.0, left * share / (share + sum(shares.values())))

    teacher, critic = unet, Critic(unet).to(shelf.device)
    critic.requires_grad_(True).train()
    for name in STAGES:
        own = dict(seconds=given(name), n=n, keep=keep, place=work / name)
        own |= dict(steps=steps[name]) if steps else {}
        file, last = work / name / "model.safetensors", teacher
        ready = load_file(file) if file.exists() else None
        if int(name) < 8 and along is None and ready is None:
            along = few_stages.walked_paths(shelf, found["8"], 8, paths, given("paths"))
            print(f"paths: {len(along[0])}", flush=True)
        if ready is not None:
            teacher = distilling.copied(unet)[1]
            teacher.load_state_dict({k: x.float() for k, x in ready.items()})
            done[name] = steps[name] if steps else 0
        elif int(name) >= 8:
            scale = GUIDANCE if last is unet else 1.0
            teacher, done[name] = learn_halving(shelf, name, last, last, scale, **own)
        else:
            teacher, done[name] = learn_convincing(
                shelf, name, along, last, critic, **own
            )
        found[name] = teacher
        if ready is None:
            in_half(file, teacher)
    halves = [work / name / part for name in "421" for part in ("beside", "alone")]
    artifacts.join_logs([work / "16", work / "8", *halves], work)
    return {name: found[name] for name in ("8", "4", "2", "1")}, done


def tiny_lightning(*, steps: int | None = None, seed: int = 0) -> Made:
    """Start from the shipped tiny-sd; a GPU takes minutes, a CPU a day or two.

    `steps` are those of each stage, to try it out.
    """
    each = dict.fromkeys(STAGES, steps) if steps else STAGES
    n = trial_or(BATCH, each["1"])
    many = min(PICTURES, 10 * sum(each.values()) * n)

    def make(work: Path) -> dict[str, nn.Module]:
        place = shelf_of(many, seed)
        keep = keeps(exam(place, trial_or(96, each["1"])))
        return chain(place, keep, work=work, steps=each, n=n, paths=many)[0]

    def save(found: dict[str, nn.Module], folder: Path) -> dict:
        for name, unet in found.items():
            save_unet(unet, folder / name, RANKS.get(name))
        pipe = models.load("text-to-image", "tiny")
        pipe.set_progress_bar_config(disable=True)
        trial = each["1"] < 50
        sheet = teachers_ends(pipe, *(2, (1, 2)) if trial else (64,))
        save_file(sheet, folder / "teacher.safetensors")
        return {}

    said = ", ".join(f"{k} for {name}" for name, k in each.items())
    facts = dict(stages=said, batch_size=n, seed=seed, paths=many)
    return Made(
        make=make,
        save=save,
        card=CARD,
        facts=facts
        | dict(guidance=GUIDANCE, rank=" and ".join(map(str, RANKS.values()))),
    )
