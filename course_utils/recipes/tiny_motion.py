"""tiny-motion: a motion module for the miniature Stable Diffusion, as AnimateDiff's.

The picture model is frozen, all of it, text encoder included (Guo et al. 2023).
"""

import functools
from pathlib import Path

from torch import nn

from course_utils import models
from course_utils.images import save_sheet
from course_utils.measure import clips as judge
from course_utils.methods.animatediff import (
    Mover,
    animated,
    groups_of_motion,
    new_adapter,
    save_adapter,
)
from course_utils.methods.text_to_video import draw_clips
from course_utils.models.pipelines import encode
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.tiny_video import CLIPS, clip_rows, clip_scores
from course_utils.tiny.text import tokenise
from course_utils.tiny.video import FRAMES, video_batch, video_loss
from course_utils.training import muon

BATCH, RATE = 4, 1e-3

CARD = """# tiny-motion

A motion module for tiny, as AnimateDiff's: `MotionAdapter.from_pretrained(folder)`, for
an `AnimateDiffPipeline` of tiny or of what was tuned from it.

| of {n} clips whose captions were never seen | with it | the true clips |
|---|---|---|
| the toy does what was said | {did} | {true_did} |
| of those that move: in the right direction | {moves} | {true_moves} |
| the first frame, everything right | {first} | {true_first} |
| the same toy in all frames | {same} | {true_same} |

Read by the segmenter and the oracle; DPM-Solver++, 10 steps, guidance 3. The text
encoder, which is tiny's, never learnt what a motion's words mean.

- **Data** clips of the toybox, split "train", as tiny-video's.
- **Parts** motion modules alone; tiny is frozen.
- **Training** {steps} steps of {batch_size} clips, seed {seed}; Muon at {lr}, what was
  zero at first with AdamW at twice that; captions left out in 10 %; averaged weights.
- **On disk** safetensors in half precision.
"""


def tiny_motion(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """Start from modules that add nothing."""
    steps = steps or 1000
    pipe = models.load("text-to-image", "tiny")

    def build() -> nn.Module:
        adapter = new_adapter(pipe.unet, seed=seed)
        return Mover(pipe.unet, pipe.text_encoder, adapter).float().train()

    def ready(model: nn.Module):
        made = animated(pipe, new_adapter(pipe.unet))
        made.unet = model.unet
        return made

    def write(model: nn.Module, folder: Path) -> dict:
        scores = clip_scores(ready(model), 96 if steps >= 500 else 4)
        save_adapter(model.unet.half(), folder)
        return scores

    def look(model: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        some = judge.clips_to_ask(8 if steps >= 500 else 4)
        asked = [clip.caption for clip in some]
        videos = draw_clips(ready(model), asked, frames=FRAMES)
        save_sheet(sheet, videos[:8].flatten(0, 1))
        return clip_rows(videos, some), asked[:8]

    return Recipe(
        model=build,
        batch=video_batch(
            functools.partial(encode, pipe.vae),
            functools.partial(tokenise, pipe.tokenizer),
            BATCH,
            min(CLIPS, steps * BATCH),
            seed,
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
        optimizer=lambda model: muon.Muon(groups_of_motion(model.unet, RATE)),
        watch=lambda states, work: observed(states, look, work, 15),
    )
