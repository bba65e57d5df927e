"""tiny-video: the miniature Stable Diffusion learns to make clips.

Text-to-video as ModelScope and Zeroscope have it: tiny's UNet, inflated. Kept is only
what differs from tiny-sd, in bytes (models/difference.py).
"""

import functools
import tempfile
from pathlib import Path

from torch import nn

from course_utils import models, toybox
from course_utils.images import save_sheet
from course_utils.measure import clips as judge
from course_utils.methods.text_to_video import as_saved, draw_clips, inflate, quicker
from course_utils.models import difference
from course_utils.models.pipelines import encode
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.pipelines import save, video_pipeline
from course_utils.tiny.text import tokenise
from course_utils.tiny.video import (
    FRAMES,
    VideoTrunk,
    groups_of,
    video_batch,
    video_loss,
)
from course_utils.training import muon

BATCH, RATE, CLIPS = 4, 1e-3, 3072
LATER = ((700, 5e-4), (700, 5e-4), (1600, 8e-4))  # steps and rates of what follows
HEAD = 16  # transformer_in is eight heads wide: with 32, half of all time would be its

CARD = """# tiny-video

Text to video in the toybox: clips of {frames} frames of 64x64 pixels from captions such
as "a small red star moves left". `models.path("tiny-video")` puts the ordinary folder
together, and plain diffusers loads it: `TextToVideoSDPipeline.from_pretrained(folder)`.

| of {n} clips whose captions were never seen | tiny-video | the true clips |
|---|---|---|
| the toy does what was said | {did} | {true_did} |
| of those that move: in the right direction | {moves} | {true_moves} |
| the first frame, everything right | {first} | {true_first} |
| the same toy in all frames | {same} | {true_same} |

Read by the segmenter and the oracle; DPM-Solver++, 10 steps, guidance 3.

- **Data** clips of the toybox, split "train": one toy that moves, turns, grows,
  shrinks, jumps or changes its colour.
- **Parts** those of tiny-sd, its UNet inflated to a UNet3DConditionModel. Temporal
  layers, attention and the text encoder learn, at last all.
- **Training** {steps} steps of {batch_size} clips, seed {seed}; Muon at {lr} for what
  is new, at 0.3 of it for attention and words, the rest frozen; then all learns, for
  {later}; captions left out in 10 %; averaged weights.
- **On disk** the difference to tiny-sd, a byte a weight and a scale a row, safetensors.
"""


def tiny_video(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """Start from the shipped miniature."""
    tiny, steps = models.path("tiny"), steps or 2400
    pipe = models.load("text-to-image", tiny)

    def build() -> nn.Module:
        deep = quicker(as_saved(inflate(pipe.unet, HEAD)))
        encoder = pipe.text_encoder.requires_grad_(True)
        return VideoTrunk(deep, encoder).float().train()

    def ready(model: nn.Module):
        return video_pipeline(model.unet, model.text, pipe.vae, pipe.tokenizer)

    def write(model: nn.Module, folder: Path) -> dict:
        whole = ready(model)
        scores = clip_scores(whole, 96 if steps >= 500 else 4)
        with tempfile.TemporaryDirectory() as place:
            save(whole, Path(place))
            difference.keep_difference(Path(place), tiny, folder)
        return scores

    def look(model: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        some = judge.clips_to_ask(8 if steps >= 500 else 4)
        asked = [clip.caption for clip in some]
        videos = draw_clips(ready(model), asked, frames=FRAMES)
        save_sheet(sheet, videos[:8].flatten(0, 1))
        return clip_rows(videos, some), asked[:8]

    def batch(number: int, clips: int = CLIPS):
        return video_batch(
            functools.partial(encode, pipe.vae),
            functools.partial(tokenise, pipe.tokenizer),
            BATCH,
            min(clips, steps * BATCH),
            number,
        )

    shared = dict(loss=video_loss, batch_size=BATCH, ema=0.998, share=1)
    shared |= dict(watch=lambda states, work: observed(states, look, work, 15))

    def on(model: nn.Module, part: int = 1) -> Recipe:
        """All of it learns on, at a rate that only falls; then again."""
        more, rate = LATER[part - 1]
        return Recipe(
            model=lambda: model.train().requires_grad_(True),
            batch=batch(seed + part, 2048),
            save=lambda *_: {},
            card="",
            steps=more if steps >= 500 else steps,
            lr=rate,
            seed=seed + part,
            optimizer=lambda model: muon.Muon(groups_of(model, rate, 1.0)),
            then=(lambda model: on(model, part + 1)) if part < len(LATER) else None,
            **shared,
        )

    return Recipe(
        model=build,
        batch=batch(seed),
        save=write,
        card=CARD,
        steps=steps,
        lr=RATE,
        seed=seed,
        decay=0.4,
        optimizer=lambda model: muon.Muon(groups_of(model, RATE)),
        then=on,
        **shared,
    )


def clip_rows(videos, some: list[toybox.Clip]) -> dict[str, float]:
    """How well videos show the clips: the rows of the card."""
    right = judge.did(videos, some).float()
    moves = [k for k, clip in enumerate(some) if clip.motion.startswith("moves")]
    return {
        "did": round(right.mean().item(), 4),
        "moves": round(right[moves].mean().item(), 4),
        "first": round(judge.first_frame_scores(videos, some)["all"], 4),
        "same": round(judge.identity(videos, some).float().mean().item(), 4),
    }


def clip_scores(pipe, n: int, motion: str | None = None) -> dict:
    """The rows of the card, as it words them, for all motions or for one."""
    some = judge.clips_to_ask(n, motion=motion)
    asked = [clip.caption for clip in some]
    drawn = clip_rows(draw_clips(pipe, asked, frames=FRAMES), some)
    true = clip_rows(toybox.film(some, FRAMES), some)
    found = drawn | {f"true_{name}": value for name, value in true.items()}
    later = ", then ".join(f"{steps} steps at {rate:g}" for steps, rate in LATER)
    return {name: f"{value:.1%}" for name, value in found.items()} | dict(
        n=n, frames=FRAMES, later=later
    )
