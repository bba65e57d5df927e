"""What the recipes of networks that draw clips share: batches, looks, scores."""

import functools
from collections.abc import Callable
from pathlib import Path

from torch import nn

from course_utils import toybox, training
from course_utils.images import save_sheet
from course_utils.measure import clips as judge
from course_utils.methods.text_to_video import draw_clips
from course_utils.models.pipelines import encode
from course_utils.recipes.monitor import observed
from course_utils.tiny.text import tokenise
from course_utils.tiny.video import FRAMES, video_batch

BATCH, CLIPS = 4, 3072  # CLIPS: as many are drawn at once, for a chapter
MANY = 64  # a batch for a GPU; one core takes half a minute a step for it


def clip_batch(
    pipe, clips: int, seed: int, motion: str | None = None, n: int = BATCH
) -> training.Batch:
    """`video_batch` of n clips, in a pipeline's latents and tokens."""
    see = functools.partial(encode, pipe.vae)
    hear = functools.partial(tokenise, pipe.tokenizer)
    return video_batch(see, hear, n, clips, seed, motion)


def observed_clips(ready: Callable, n: int, motion: str | None = None) -> Callable:
    """A Recipe's `watch`: n clips, drawn by the pipeline that `ready` makes."""

    def look(model: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        some = judge.clips_to_ask(n, motion=motion)
        asked = [clip.caption for clip in some]
        videos = draw_clips(ready(model), asked, frames=FRAMES)
        save_sheet(sheet, videos.flatten(0, 1))
        return clip_rows(videos, some), asked

    return lambda states, work: observed(states, look, work, 15)


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
    words = {name: f"{value:.1%}" for name, value in found.items()}
    return words | dict(n=n, frames=FRAMES)
