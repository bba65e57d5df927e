"""tiny-controlnet-*: the miniature Stable Diffusion learns to follow pictures.

ControlNet (Zhang et al. 2023): a copy of the encoder learns, the trunk is frozen. Kept
is only what differs from tiny's encoder, in bytes (models/difference.py).
"""

import functools
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import save_sheet
from course_utils.measure.controls import (
    caption_of,
    control_scenes,
    followed,
    said_right,
)
from course_utils.methods.controlnet import (
    attach,
    control_loss,
    draw_controlled,
    optimizer_of,
)
from course_utils.models import difference
from course_utils.models.pipelines import draw, encode
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.batches import in_latents
from course_utils.tiny.control import control_batch
from course_utils.tiny.unet import MEAN_WEIGHT, SCHEDULE

BATCH, RATE, PICTURES = 32, 1e-3, 12_288

CARD = """# {name}

A ControlNet of the toybox: tiny draws what the words say where a picture of {kind}
says. `models.path("{name}")` puts the ordinary folder together, and plain diffusers
loads it: `ControlNetModel.from_pretrained(folder)`, for a
`StableDiffusionControlNetPipeline` of tiny.

| {n} scenes that were never seen | {measure} | what the words say |
|---|---|---|
| with it | {with_it} | {said_with_it} |
| tiny without it | {without} | {said_without} |
| true renders | {true} | {said_true} |

The captions say neither where the toys are nor how big. Read by the oracle;
DPM-Solver++, 20 steps, guidance 3.

- **Data** the toybox, split "train", and the conditions that it knows of every scene.
- **Parts** a copy of tiny's encoder, {parameters:,} parameters; tiny itself is frozen.
- **Training** {steps} steps of {batch_size} pictures, seed {seed}; the copy with Muon
  at {lr}, what was zero at first with AdamW at twice that; captions left out in 30 %;
  averaged weights.
- **On disk** the difference to tiny's encoder, a byte a weight and a scale a row,
  safetensors.
"""
MEASURES = {
    "edges": "F1 of the lines",
    "scribble": "F1 of the lines, within two pixels",
    "segmentation": "IoU of the segments",
    "pose": "pixels from the points",
}


def tiny_controlnet_edges(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """Outlines of the toys."""
    return _recipe("edges", steps, seed)


def tiny_controlnet_scribble(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """Outlines as a shaky hand draws them."""
    return _recipe("scribble", steps, seed)


def tiny_controlnet_segmentation(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The kind of toy that each pixel shows."""
    return _recipe("segmentation", steps, seed)


def tiny_controlnet_pose(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """Skeletons of dolls."""
    return _recipe("pose", steps, seed)


def _recipe(kind: str, steps: int | None, seed: int) -> Recipe:
    steps, name = steps or 1000, f"tiny-controlnet-{kind}"
    pipe = models.load("text-to-image", "tiny")
    pipe.unet.requires_grad_(False)
    n = 128 if steps >= 500 else 4

    def listen(texts: list[str]) -> Tensor:
        with torch.no_grad():
            return pipe.encode_prompt(texts, pipe.device, 1, False)[0]

    def build() -> nn.Module:
        control = attach(pipe.unet).float().train().requires_grad_(True)
        return control.to(memory_format=torch.channels_last)

    def loss(control: nn.Module, *batch: Tensor) -> Tensor:
        return MEAN_WEIGHT * control_loss(control, pipe.unet, *batch, SCHEDULE)

    def write(control: nn.Module, folder: Path) -> dict:
        with tempfile.TemporaryDirectory() as place:
            control.half().save_pretrained(place)
            base = models.path("tiny") / "unet"
            difference.keep_difference(Path(place), base, folder)
        facts = dict(name=name, kind=kind, measure=MEASURES[kind], n=n)
        size = sum(p.numel() for p in control.parameters())
        return facts | control_scores(control.float(), kind, n) | dict(parameters=size)

    return Recipe(
        model=build,
        batch=control_batch(
            kind,
            functools.partial(in_latents, functools.partial(encode, pipe.vae)),
            listen,
            BATCH,
            min(PICTURES, steps * BATCH),
            seed,
        ),
        loss=loss,
        save=write,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.998,
        decay=0.4,
        optimizer=functools.partial(optimizer_of, rate=RATE),
        watch=lambda states, work: observed(
            states, functools.partial(_look, kind, n // 4), work, 10
        ),
    )


def _tiny_with(control: nn.Module):
    return models.load("control", "tiny", controlnet=control)


def _look(kind: str, n: int, control: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
    """n scenes, the conditions and what is drawn of them on a sheet, and scores."""
    scenes = control_scenes(kind, n)
    captions = [caption_of(scene) for scene in scenes]
    shown = toybox.condition(kind, scenes)
    images = draw_controlled(_tiny_with(control), captions, shown, 10)
    save_sheet(sheet, torch.stack([shown * 2 - 1, images], 1).flatten(0, 1)[:64])
    right = said_right(images, scenes)["all"]
    follows = followed(kind, images, scenes).mean().item()
    return dict(followed=round(follows, 4), said=round(right, 4)), captions[:32]


def control_scores(control: nn.Module, kind: str, n: int) -> dict:
    """How well n scenes are followed and their words obeyed, in the card's words."""
    scenes = control_scenes(kind, n)
    captions = [caption_of(scene) for scene in scenes]
    pipe, shown = _tiny_with(control), toybox.condition(kind, scenes)
    drawn = {
        "with_it": draw_controlled(pipe, captions, shown),
        "without": draw(models.load("text-to-image", "tiny"), captions),
        "true": toybox.render(scenes),
    }
    found = {}
    for name, images in drawn.items():
        found[name] = f"{followed(kind, images, scenes).mean().item():.2f}"
        found[f"said_{name}"] = f"{said_right(images, scenes)['all']:.0%}"
    return found
