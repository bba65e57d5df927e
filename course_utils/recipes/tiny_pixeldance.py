"""tiny-pixeldance: tiny-video learns to be told how a clip begins and how it ends.

PixelDance (Zeng et al. 2023). Kept is only what differs from tiny-video, in bytes.
"""

import tempfile
from collections.abc import Callable
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
from course_utils.models.quiet import quiet
from course_utils.recipes.clips import BATCH, CLIPS, MANY, clip_batch
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.pipelines import save, video_pipeline
from course_utils.tiny.unet import SCHEDULE
from course_utils.tiny.video import (
    FRAMES,
    VideoTrunk,
    groups_of,
    video_loss,
)
from course_utils.training import muon

RATE, OLD = 7e-4, 0.6  # OLD: of the rate, for what was no layer of time
# steps, clips at once, clips to choose from: on a GPU, and on two cores
WHOLE, SMALL = (2050, MANY, 6144), (1200, BATCH, CLIPS)

CARD = """# tiny-pixeldance

A PixelDance of the toybox: {frames} frames of 64x64 pixels from a caption, the first
frame and, as a hint, the last one. The UNet has eight inputs: what is drawn, and the
hints. `models.path("tiny-pixeldance")` puts the ordinary folder together.

| of {n} clips never seen; told: | first and last | first | both, none held |
|---|---|---|---|
| first frame, PSNR in dB (VAE {vae}) | {first_both} | {first_one} | {first_loose} |
| last frame, everything right | {last_both} | {last_one} | {last_loose} |
| between, mean error (blend {blend}) | {middle_both} | {middle_one} | {middle_loose} |

DPM-Solver++, 10 steps, guidance 2, tau 0.6; the first frame is held, but in the last
column.

- **Data** clips of the toybox, split "train", as tiny-video's.
- **Parts** those of tiny-video; of its UNet the layers of time, the attentions and the
  first layer learn on, that one with a second set of inputs, of weight zero at first.
- **Training** {steps} steps of {batch_size} clips, seed {seed}; Muon at {lr}; the last
  frame is one of the final three, with noise, and left out in 25 %; captions left out
  in 10 %; averaged weights. This is for a GPU; `--small`: 1200 steps of 4.
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


def hinted_batch(
    plain: training.Batch, give: Callable = training_hints
) -> training.Batch:
    """The batches of video_batch, and the hints that `give` makes of them."""

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        rows = plain(generator, step)
        return *rows, give(rows[0], SCHEDULE, generator)

    return batch


def tiny_pixeldance(
    *, steps: int | None = None, seed: int = 0, small: bool = False
) -> Recipe:
    """Start from the shipped tiny-video; what is small is learnt on two cores."""
    enough, n, clips = SMALL if small else WHOLE
    steps, pipe = steps or enough, started()

    def write(model: nn.Module, folder: Path) -> dict:
        whole = in_pipeline(pipe, model)
        scores = hint_scores(whole, 48 if steps >= 500 else 2)
        with tempfile.TemporaryDirectory() as place:
            save(whole, Path(place))
            start = models.path("tiny-video")
            difference.keep_difference(Path(place), start, folder, "tiny-video")
        return scores

    def look(model: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        some = clips_to_ask(8 if steps >= 500 else 2)
        true = toybox.film(some, FRAMES)
        asked, ends = [clip.caption for clip in some], (true[:, 0], true[:, -1])
        drawn = draw_between(in_pipeline(pipe, model), asked, *ends, hold=False)
        save_sheet(sheet, drawn[:8].flatten(0, 1))
        return hints.between_scores(drawn, some), asked[:8]

    options = dict(
        watch=lambda states, work: observed(states, look, work, 15),
        steps=steps,
        seed=seed,
        batch_size=n,
        choices=dict(small=small),
    )
    return hinted_recipe(pipe, write, CARD, clips=clips, **options)


def hinted_recipe(
    pipe,
    write: Callable,
    card: str,
    give: Callable = training_hints,
    clips: int = CLIPS,
    **options,
) -> Recipe:
    """A pipeline's UNet, widened, learns to be hinted at as `give` has it.

    write, card  as a Recipe's `save` and `card`
    clips        how many are drawn to choose from
    options      as a Recipe's: steps, seed, batch_size
    """
    n, seed = options["batch_size"], options["seed"]
    plain = clip_batch(pipe, min(clips, options["steps"] * n), seed + 1, n=n)

    def build() -> nn.Module:
        return Hinted(quicker(widen(pipe.unet)), pipe.text_encoder).float().train()

    return Recipe(
        model=build,
        batch=hinted_batch(plain, give),
        loss=video_loss,
        save=write,
        card=card,
        lr=RATE,
        ema=0.998,
        share=1,
        decay=0.4,
        optimizer=lambda model: muon.Muon(groups_of(model, RATE, OLD)),
        **options,
    )


def in_pipeline(pipe, model: Hinted):
    """What draws with the network: a TextToVideoSDPipeline."""
    return video_pipeline(model.unet, model.text, pipe.vae, pipe.tokenizer)


def started():
    """What all PixelDances start from: the shipped tiny-video."""
    with quiet():
        return models.load("text-to-video", models.path("tiny-video"))


def hint_scores(pipe, n: int) -> dict:
    """The rows of the card, as it words them."""
    some = clips_to_ask(n)
    true = toybox.film(some, FRAMES)
    asked, first, last = [clip.caption for clip in some], true[:, 0], true[:, -1]
    drawn = {
        "both": draw_between(pipe, asked, first, last),
        "one": draw_between(pipe, asked, first),
        "loose": draw_between(pipe, asked, first, last, hold=False),
    }
    found = {}
    for name, videos in drawn.items():
        scores = hints.between_scores(videos, some)
        found |= {f"{key}_{name}": value for key, value in scores.items()}
    blend = hints.between_scores(hints.blend(first, last, FRAMES), some)
    found |= {"blend": blend["middle"], "vae": hints.vae_psnr(pipe.vae, first)}
    words = {key: f"{value:.3g}" for key, value in found.items()}
    return words | dict(n=n, frames=FRAMES)
