"""tiny-pixeldance: tiny-video learns to be told how a clip begins and how it ends.

PixelDance (Zeng et al. 2023). Kept is only what differs from tiny-video, in bytes.
"""

import functools
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import models, toybox, training
from course_utils.images import save_sheet
from course_utils.measure import hints
from course_utils.measure.clips import clips_to_ask
from course_utils.methods.instruct_pix2pix import widen
from course_utils.methods.pixeldance import draw_between, training_hints
from course_utils.methods.text_to_video import quicker
from course_utils.models import difference
from course_utils.models.pipelines import encode
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.tiny_video import CLIPS
from course_utils.tiny.pipelines import save, video_pipeline
from course_utils.tiny.text import tokenise
from course_utils.tiny.unet import SCHEDULE
from course_utils.tiny.video import (
    FRAMES,
    VideoTrunk,
    groups_of,
    video_batch,
    video_loss,
)
from course_utils.training import muon

BATCH, RATE = 4, 7e-4

CARD = """# tiny-pixeldance

A PixelDance of the toybox: {frames} frames of 64x64 pixels from a caption, the first
frame and, as a hint, the last one. The UNet has eight inputs: what is drawn, and the
hints. `models.path("tiny-pixeldance")` puts the ordinary folder together.

| of {n} clips that were never seen | first and last frame | first frame alone |
|---|---|---|
| first frame, PSNR in dB (VAE round trip {vae}) | {first_both} | {first_one} |
| last frame, everything right | {last_both} | {last_one} |
| frames between, mean error (linear blend {blend}) | {middle_both} | {middle_one} |

DPM-Solver++, 10 steps, guidance 2, tau 0.6.

- **Data** clips of the toybox, split "train", as tiny-video's.
- **Parts** those of tiny-video; its UNet learns on, with a second set of inputs, of
  weight zero at first.
- **Training** {steps} steps of {batch_size} clips, seed {seed}; Muon at {lr}; the last
  frame is one of the final three, with noise, and left out in 25 %; captions left out
  in 10 %; averaged weights.
- **On disk** the difference to tiny-video, a byte a weight and a scale a row.
"""


class Hinted(VideoTrunk):
    """A VideoTrunk that is also given hints; its words stay as they are."""

    def __init__(self, unet: nn.Module, encoder: nn.Module):
        super().__init__(unet, encoder)
        unet.conv_in.requires_grad_(True)
        encoder.requires_grad_(False)

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor, hints: Tensor) -> Tensor:
        """Predict v, (B, 4, F, h, w) as x_t and hints."""
        return super().forward(torch.cat([x_t, hints], 1), t, tokens)


def hinted_batch(plain: training.Batch) -> training.Batch:
    """The batches of video_batch, and hints."""

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        rows = plain(generator, step)
        return *rows, training_hints(rows[0], SCHEDULE, generator)

    return batch


def tiny_pixeldance(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """Start from the shipped tiny-video."""
    tiny, steps = models.path("tiny-video"), steps or 1200
    pipe = models.load("text-to-video", tiny)

    def build() -> nn.Module:
        return Hinted(quicker(widen(pipe.unet)), pipe.text_encoder).float().train()

    def ready(model: nn.Module):
        return video_pipeline(model.unet, model.text, pipe.vae, pipe.tokenizer)

    def write(model: nn.Module, folder: Path) -> dict:
        whole = ready(model)
        scores = hint_scores(whole, 48 if steps >= 500 else 4)
        with tempfile.TemporaryDirectory() as place:
            save(whole, Path(place))
            difference.keep_difference(Path(place), tiny, folder, "tiny-video")
        return scores

    def look(model: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        some = clips_to_ask(8 if steps >= 500 else 4)
        true, whole = toybox.film(some, FRAMES), ready(model)
        asked = [clip.caption for clip in some]
        drawn = draw_between(whole, asked, true[:, 0], true[:, -1])
        save_sheet(sheet, drawn[:8].flatten(0, 1))
        return hints.between_scores(drawn, some), asked[:8]

    return Recipe(
        model=build,
        batch=hinted_batch(
            video_batch(
                functools.partial(encode, pipe.vae),
                functools.partial(tokenise, pipe.tokenizer),
                BATCH,
                min(CLIPS, steps * BATCH),
                seed + 1,
            )
        ),
        loss=video_loss,
        save=write,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.998,
        share=1,
        decay=0.4,
        optimizer=lambda model: muon.Muon(groups_of(model, RATE)),
        watch=lambda states, work: observed(states, look, work, 15),
    )


def hint_scores(pipe, n: int) -> dict:
    """The rows of the card, as it words them."""
    some = clips_to_ask(n)
    true = toybox.film(some, FRAMES)
    asked = [clip.caption for clip in some]
    found = {}
    for name, last in (("both", true[:, -1]), ("one", None)):
        scores = hints.between_scores(draw_between(pipe, asked, true[:, 0], last), some)
        found |= {f"{key}_{name}": value for key, value in scores.items()}
    blend = hints.between_scores(hints.blend(true[:, 0], true[:, -1], FRAMES), some)
    found |= {"blend": blend["middle"], "vae": hints.vae_psnr(pipe.vae, true[:, 0])}
    words = {key: f"{value:.3g}" for key, value in found.items()}
    return words | dict(n=n, frames=FRAMES)
