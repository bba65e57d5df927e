"""tiny-reflow: tiny learns its own guided walks, made straight.

Reflow (Liu et al. 2022; InstaFlow, 2023), from tiny's weights (tiny/reflow.py). Kept is
the difference to tiny, in bytes.
"""

import copy
import functools
import tempfile
from pathlib import Path

from torch import nn

from course_utils import models
from course_utils.models.difference import keep_difference
from course_utils.recipes.monitor import attribute_scores
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.flow import draw_as_flow
from course_utils.tiny.reflow import (
    Straightened,
    reflow_batch,
    reflow_loss,
)
from course_utils.tiny.worlds import WHOLE
from course_utils.training import muon

BATCH, RATE, PAIRS = 32, 4e-4, 768
TRIED = (1, 2, 4, 8)  # Euler steps

CARD = """# tiny-reflow

tiny, after rectified flow's second round: its guided walks from noise to pictures,
learnt as straight lines. Few steps are enough, and no guidance: half the calls a step.
`models.path("tiny-reflow")` puts the ordinary folder together, and plain diffusers
loads it: `StableDiffusionPipeline.from_pretrained(folder)`. Its UNet still predicts v;
by Euler's even steps `tiny.flow.draw_as_flow(pipe, captions, guidance=1, shift=1)`
walks it.

| right in everything, of {n} held-out captions | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle; guidance 1, but tiny 3.

- **Data** {pairs} pairs of noise and the picture to which tiny walks from there in
  eight steps, guidance 3; captions of the toybox, split "train". No true picture.
- **Parts** tiny's; all of the UNet learns.
- **Training** {steps} steps of {batch_size} pairs, seed {seed}; times the eighths,
  where 1, 2, 4 and 8 even steps stop; Muon at {lr}; averaged weights.
- **On disk** the difference to tiny, a byte a weight and a scale a row, safetensors.
"""


def tiny_reflow(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """tiny's UNet, learning straight lines."""
    steps, seed = steps or 166, seed + 2800
    pipe = models.load("text-to-image", "tiny")
    size = BATCH if steps >= 100 else 4

    def build() -> nn.Module:
        unet = copy.deepcopy(pipe.unet)  # the teacher stays as it is
        return Straightened(unet.train().requires_grad_(True))

    return Recipe(
        model=build,
        batch=reflow_batch(pipe, size, min(PAIRS, steps * size), seed),
        loss=reflow_loss,
        save=functools.partial(save_reflow, n=100 if steps >= 100 else 2),
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.98,
        decay=0.7,
        optimizer=lambda model: muon.Muon(muon.groups(model, RATE)),
        share=1,
    )


def save_reflow(model: Straightened, folder: Path, n: int) -> dict:
    """Write what differs from tiny's UNet, in bytes; return what the card says."""
    with tempfile.TemporaryDirectory() as place:
        model.unet.half().save_pretrained(Path(place) / "unet")
        keep_difference(Path(place), models.path("tiny"), folder, "tiny-sd")
    kept = models.load("text-to-image", models.shipped.made_whole(folder))
    tiny = models.load("text-to-image", "tiny")
    lines = []
    for name, pipe, guidance in (("", kept, 1.0), ("tiny, ", tiny, 3.0)):
        for steps in TRIED:
            options = dict(steps=steps, guidance=guidance, shift=1.0)
            draws = functools.partial(draw_as_flow, pipe, **options)
            found = attribute_scores(draws, WHOLE, n)
            cells = [f"{found[f'{k} toy']['all']:.1%}" for k in (1, 2)]
            many = "1 step" if steps == 1 else f"{steps} steps"
            lines.append(f"| {name}{many} | {' | '.join(cells)} |")
    return dict(rows="\n".join(lines), n=n, pairs=PAIRS)
