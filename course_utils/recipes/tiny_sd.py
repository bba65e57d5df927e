"""The miniature Stable Diffusion: from nothing to text-to-image on two CPU cores."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import PartialState
from torch import nn

from course_utils import session, training
from course_utils.models.pipelines import draw
from course_utils.recipes import artifacts
from course_utils.recipes.components import PARTS, load_parts, train_parts
from course_utils.recipes.monitor import attribute_scores, observed
from course_utils.tiny import text
from course_utils.tiny.batches import encoded, trunk_batch
from course_utils.tiny.pipelines import pipeline, save
from course_utils.tiny.unet import SCHEDULE, Trunk, build_unet, step_weights, trunk_loss
from course_utils.tiny.worlds import SMALL, WHOLE, World
from course_utils.training import muon
from course_utils.training.speed import faster

HELPS = ("alignment", "weighting", "muon")

CARD = """# tiny-sd

A miniature Stable Diffusion: 64x64 pictures of the toybox from captions in its words.
Plain diffusers loads it:
`StableDiffusionPipeline.from_pretrained(folder)(prompt, guidance_scale=3)`.

| right, of {n} held-out captions each | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle, DPM-Solver++, 20 steps, guidance 3.

- **Data** the toybox, split "train", drawn as it is used: {toys} toys, up to {most} at
  once. Combinations of toy and colour that are held out are in toybox.HELD_OUT.
- **Parts** AutoencoderKL (f = 4, 4 channels), CLIPTextModel (3 layers, 128 wide) and
  CLIPTokenizer (the toybox's words), UNet2DConditionModel (64, 96, 128).
- **Training** {steps} steps of {batch} pictures, v-prediction, betas 1e-4 to 0.02, Muon
  at {lr}, seed {seed}, captions dropped in one of ten, averaged weights.
- **Cost** COST; for the UNet, after its parts.
- **Repeat it** `course train tiny-sd{option}` (course_utils/recipes/tiny_sd.py).
- **On disk** safetensors in half precision; progress.jsonl is what it could do when.
- **Licence** Apache-2.0, as the course.
"""


def tiny_sd(
    folder: Path,
    work: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    small: bool = False,
    batch: int = 32,
    lr: float = 1.5e-3,
    without: str = "",
) -> None:
    """Train the miniature Stable Diffusion, and first the parts that are not there yet.

    Leaves sheets of samples and progress.jsonl in `work` while it learns. `without` one
    of HELPS it stops after two thirds of the steps: long enough to see whether it is
    missed (lesson 09).
    """
    if without not in ("", *HELPS):
        raise ValueError(f"without must be one of {', '.join(HELPS)}, not {without!r}")
    world, enough = (SMALL, 1800) if small else (WHOLE, 12_500)
    if without:  # long enough to see it: until the rate would begin to fall
        enough = enough * 2 // 3
    parts = train_parts(work.parent, steps=steps, seed=seed, small=small)
    net, tokenizer, encoder, looker = load_parts(*(parts[name] for name in PARTS))
    device = PartialState().device
    net.to(device), looker.to(device)
    torch.set_num_threads(session.threads(share=1))
    torch.manual_seed(seed)
    steps = steps or enough
    model = faster(Trunk(build_unet(), encoder, looker.ground.in_features), steps)
    weights = step_weights(SCHEDULE)
    weights = torch.ones_like(weights) if without == "weighting" else weights
    matrices = functools.partial(muon.groups, muon=without != "muon")
    batches = trunk_batch(
        functools.partial(encoded, net, looker),
        functools.partial(text.tokenise, tokenizer),
        world,
        batch,
        min(10_240 if small else 20_480, steps * batch),
        weights,
    )

    def draws(trunk: nn.Module) -> Callable:
        return functools.partial(draw, pipeline(trunk, net, tokenizer), steps=10)

    trunk = grown(
        model,
        batches,
        matrices(nn.ModuleList([model.unet, model.head]), lr)
        + matrices(model.text, 0.3 * lr),
        draws,
        world,
        work,
        steps=steps,
        seed=seed,
        align=0.0 if without == "alignment" else 0.5,
        decay=0.0 if without else 1 / 3,
        every=10 if small else 30,
    )
    pipe = pipeline(trunk, net.cpu(), tokenizer)
    n = 250 if steps >= 500 and not without else 2
    scores = attribute_scores(functools.partial(draw, pipe), world, n)
    save(pipe, folder)
    shutil.copytree(parts["eye"], folder / "eye", dirs_exist_ok=True)
    toys = len(world.toys)
    facts = dict(n=n, rows=in_rows(scores), toys=toys, most=world.most, steps=steps)
    facts |= dict(batch=batch, lr=lr, seed=seed, option=" --small" if small else "")
    if (work / "progress.jsonl").exists():
        shutil.copy(work / "progress.jsonl", folder)
    artifacts.write_card(folder, work, CARD.format(**facts))


def grown(
    model: nn.Module,
    batches: training.Batch,
    groups: list[dict],
    draws: Callable,
    world: World,
    work: Path,
    *,
    steps: int,
    seed: int,
    align: float = 0.5,
    decay: float = 1 / 3,
    every: int = 30,
) -> nn.Module:
    """Train a Trunk and watch it in `world` as it learns; return its averaged weights.

    The rate falls in the last third only: until then there is much to learn. groups are
    muon.groups; draws(model) is a function of captions; every, in minutes.
    """
    run = training.train(
        model,
        batches,
        functools.partial(trunk_loss, align=align),
        steps=steps,
        ema=0.999 if steps > 5000 else 0.998,
        seed=seed,
        decay=decay,
        optimizer=muon.Muon(groups),
        save_to=work / "state.safetensors",
    )
    run = observed(run, draws, world, work, every)
    return artifacts.follow(run, work, every=100).cpu()


def in_rows(scores: dict) -> str:
    """Rows of a model card's table: attribute, and its accuracy in each column."""
    names = dict.fromkeys(name for column in scores.values() for name in column)
    cells = (
        [name, *(f"{c[name]:.1%}" if name in c else "" for c in scores.values())]
        for name in names
    )
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)
