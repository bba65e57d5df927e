"""tiny-closeup: close-ups of toys drawn in pixels, from a few words, for illusions.

The recipe of tiny-pixel in another world: one toy fills 48x48 pixels, and most of how
it looks is left open, so that one picture can be two. The folder is an IFPipeline.
"""

import functools
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import save_sheet
from course_utils.models import difference
from course_utils.models.pipelines import draw, words_of
from course_utils.oracle.closeups import SIDE, CloseupReader, read_closeups
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.tiny_pixel import text_of
from course_utils.tiny.closeups import CAPTIONS, closeup_batch
from course_utils.tiny.pipelines import pixel_pipeline
from course_utils.tiny.text import save_text
from course_utils.tiny.unet import (
    SCHEDULE,
    Trunk,
    build_pixel_unet,
    step_weights,
    trunk_loss,
)
from course_utils.training import muon
from course_utils.training.speed import faster

BATCH, RATE, STEPS = 32, 1.5e-3, 6000
FLOOR = 2  # of the UNet, where it is 12x12, as the maps of its eye

CARD = """# tiny-closeup

A text-to-image model in 48x48 pixels: one toy fills the picture. Plain diffusers loads
it: `IFPipeline.from_pretrained(folder)("a cat", guidance_scale=5)`.

| the toy is right, of {n} captions each | |
|---|---|
{rows}

Read by closeup-reader; DPM-Solver++, 20 steps, guidance 3.

- **Data** close-ups of the toybox, drawn as they are used: nine toys that wobble, lean
  and wear patches, never upside down. A caption says the toy, and at times its colour
  and mood.
- **Parts** UNet2DConditionModel (32, 64, 96, 128), predicts v; of its six outputs three
  are not used (IFPipeline expects a variance there). CLIPTextModel and CLIPTokenizer
  are those of tiny-sd, for up to 77 tokens.
- **Training** {steps} steps of {batch_size} pictures, betas 1e-4 to 0.02, Muon at {lr},
  seed {seed}, captions dropped in one of ten, aligned with closeup-eye, averaged
  weights.
- **On disk** what differs from tiny-sd, a byte a weight (`models.path` puts the folder
  together).
"""


def tiny_closeup(
    *, steps: int | None = None, seed: int = 0, eye: nn.Module | None = None
) -> Recipe:
    """The UNet that draws close-ups, told by tiny-sd's text encoder.

    It is aligned with the shipped closeup-eye, if no other `eye` is given.
    """
    steps = steps or STEPS
    eye = eye or models.network("closeup-eye", CloseupReader)
    voice = closeup_voice()
    table = words_of(voice, CAPTIONS).detach()

    def look(trunk: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        asked = [f"a {toy}" for toy in toybox.DRAWN for _ in range(8)]
        asked = asked if steps >= 500 else asked[:1]
        drawn = draw(voiced(trunk.unet, voice), asked)
        save_sheet(sheet, drawn, 8)
        return closeup_scores(asked, drawn), asked

    def save(trunk: nn.Module, folder: Path) -> dict:
        n = 100 if steps >= 500 else 1
        asked = [f"a {toy}" for toy in toybox.DRAWN for _ in range(n)]
        asked = asked if steps >= 500 else asked[:1]
        scores = closeup_scores(asked, draw(voiced(trunk.unet, voice), asked))
        save_closeup(trunk.unet, voice, folder)
        rows = "\n".join(f"| {toy} | {share:.1%} |" for toy, share in scores.items())
        return dict(n=n, rows=rows)

    return Recipe(
        model=lambda: faster(closeup_trunk(eye), steps),
        batch=closeup_batch(
            eye, table, BATCH, min(10_240, steps * BATCH), step_weights(SCHEDULE), seed
        ),
        loss=trunk_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.998,
        decay=0.5,
        optimizer=lambda model: muon.Muon(muon.groups(model, lr=RATE)),
        log_every=100,
        watch=lambda states, work: observed(states, look, work, 30),
        share=1,
    )


def closeup_trunk(eye: CloseupReader) -> Trunk:
    """What is trained, with fresh weights."""
    channels = eye.body[-1].num_features
    return Trunk(build_pixel_unet(SIDE), None, channels, floor=FLOOR)


@functools.cache
def closeup_voice():
    """An IFPipeline with tiny's text encoder and a UNet that knows nothing."""
    return pixel_pipeline(build_pixel_unet(SIDE), *text_of(models.path("tiny")))


def voiced(unet: nn.Module, voice):
    """An IFPipeline that draws with this UNet, told as `voice` is."""
    return pixel_pipeline(unet, voice.text_encoder, voice.tokenizer)


def save_closeup(unet: nn.Module, voice, folder: Path) -> None:
    """Write the pipeline as what differs from tiny-sd."""
    whole = pixel_pipeline(unet.half(), voice.text_encoder.half(), voice.tokenizer)
    with tempfile.TemporaryDirectory() as place:
        whole.save_pretrained(place)
        save_text(whole.text_encoder, whole.tokenizer, Path(place))
        difference.keep_difference(Path(place), models.path("tiny"), folder)
    voice.text_encoder.float()


def closeup_scores(
    asked: list[str], drawn: Tensor, net: nn.Module | None = None
) -> dict[str, float]:
    """Share of pictures that are read as the toy that was asked for, by toy."""
    said = read_closeups(drawn, net)
    right: dict[str, list] = {}
    for prompt, toy in zip(asked, said, strict=True):
        right.setdefault(prompt.split()[-1], []).append(prompt.split()[-1] == toy)
    shares = {toy: sum(some) / len(some) for toy, some in right.items()}
    return shares | {
        "all": float(torch.tensor([*sum(right.values(), [])]).float().mean())
    }
