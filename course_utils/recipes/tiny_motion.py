"""tiny-motion: a motion module for the miniature Stable Diffusion, as AnimateDiff's.

The picture model is frozen, all of it, text encoder included (Guo et al. 2023).
"""

from pathlib import Path

from torch import nn

from course_utils import models, training
from course_utils.methods.animatediff import (
    Mover,
    animated,
    groups_of_motion,
    new_adapter,
    save_adapter,
)
from course_utils.recipes.clips import (
    BATCH,
    CLIPS,
    clip_batch,
    clip_scores,
    observed_clips,
)
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.video import video_loss
from course_utils.training import muon

RATE = 1e-3
MOTION, LAST = "jumps", 800  # what it is for, and the steps of the last part

CARD = """# tiny-motion

A motion module for tiny, as AnimateDiff's: what the toy is, the words say; it {motion}.
`MotionAdapter.from_pretrained(folder)`, for an `AnimateDiffPipeline` of tiny or of what
was tuned from it.

| of {n} clips whose captions were never seen | with it | the true clips |
|---|---|---|
| the toy {motion} | {did} | {true_did} |
| the first frame, everything right | {first} | {true_first} |
| the same toy in all frames | {same} | {true_same} |

Read by the segmenter and the oracle; DPM-Solver++, 10 steps, guidance 3.

- **Data** clips of the toybox, split "train": of all motions first, then of one. tiny's
  text encoder, which is frozen, never learnt what a motion's words mean: so a module
  of all motions moves things, but not as it is told.
- **Parts** motion modules alone; tiny is frozen.
- **Training** {steps} steps of {batch_size} clips and {last} of that motion, seed
  {seed}; Muon at {lr}, what was zero at first with AdamW at twice that; captions left
  out in 10 %; averaged weights.
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
        scores = clip_scores(ready(model), 64 if steps >= 500 else 4, MOTION)
        save_adapter(model.unet.half(), folder)
        return scores | dict(motion=MOTION, last=LAST)

    def batch(clips: int, motion: str | None = None) -> training.Batch:
        return clip_batch(pipe, min(clips, steps * BATCH), seed, motion)

    shared = dict(loss=video_loss, batch_size=BATCH, seed=seed, ema=0.998, share=1)
    shared |= dict(watch=observed_clips(ready, 8 if steps >= 500 else 4, MOTION))

    def on(model: nn.Module) -> Recipe:
        """The motion modules learn on, from one motion."""
        for name, p in model.unet.named_parameters():
            p.requires_grad_("motion_modules" in name)
        return Recipe(
            model=model.train,
            batch=batch(768, MOTION),
            save=lambda *_: {},
            card="",
            steps=LAST if steps >= 500 else steps,
            lr=RATE,
            decay=0.4,
            optimizer=lambda model: muon.Muon(groups_of_motion(model.unet, RATE)),
            **shared,
        )

    return Recipe(
        model=build,
        batch=batch(CLIPS),
        save=write,
        card=CARD,
        steps=steps,
        lr=RATE,
        decay=0.4,
        optimizer=lambda model: muon.Muon(groups_of_motion(model.unet, RATE)),
        then=on,
        **shared,
    )
