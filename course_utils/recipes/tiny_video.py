"""tiny-video: the miniature Stable Diffusion learns to make clips.

Text-to-video as ModelScope and Zeroscope have it: tiny's UNet, inflated. Kept is only
what differs from tiny-sd, in bytes (models/difference.py).
"""

import tempfile
from pathlib import Path

from torch import nn

from course_utils import models, training
from course_utils.methods.text_to_video import as_saved, inflate, quicker
from course_utils.models import difference
from course_utils.recipes.clips import (
    BATCH,
    CLIPS,
    MANY,
    clip_batch,
    clip_scores,
    observed_clips,
)
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.pipelines import save, video_pipeline
from course_utils.tiny.video import VideoTrunk, groups_of, video_loss
from course_utils.training import muon

RATE = 1e-3
# What follows, each with a rate that falls to nothing: steps, rate, clips at once, and
# how many clips are drawn to choose from. The last is for a GPU: more steps of BATCH
# had ended to help.
LATER = (
    (700, 5e-4, BATCH, 2048),
    (700, 5e-4, BATCH, 2048),
    (1600, 8e-4, BATCH, 2048),
    (1450, 1e-3, MANY, 16_384),
)
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
  is new, at 0.3 of it for attention and words, the rest frozen; then all learns:
{later}
  Captions left out in 10 %; averaged weights. With `--small` the last part is left
  out: it is for a GPU.
- **On disk** the difference to tiny-sd, a byte a weight and a scale a row, safetensors.
"""


def tiny_video(
    *, steps: int | None = None, seed: int = 0, small: bool = False
) -> Recipe:
    """Start from the shipped miniature; what is small is learnt on two cores."""
    tiny, steps = models.path("tiny"), steps or 2400
    parts = LATER[:-1] if small else LATER
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
        return scores | dict(later=later)

    later = "\n".join(
        f"  - {more} steps of {n} clips, at {rate:g}" for more, rate, n, _ in parts
    )

    def batch(number: int, clips: int = CLIPS, n: int = BATCH) -> training.Batch:
        return clip_batch(pipe, min(clips, steps * n), number, n=n)

    shared = dict(loss=video_loss, ema=0.998, share=1)
    shared |= dict(watch=observed_clips(ready, 8 if steps >= 500 else 4))

    def on(model: nn.Module, part: int = 1) -> Recipe:
        """All of it learns on, at a rate that only falls; then again."""
        more, rate, n, clips = parts[part - 1]
        return Recipe(
            model=lambda: model.train().requires_grad_(True),
            batch=batch(seed + part, clips, n),
            batch_size=n,
            save=lambda *_: {},
            card="",
            steps=more if steps >= 500 else steps,
            lr=rate,
            seed=seed + part,
            optimizer=lambda model: muon.Muon(groups_of(model, rate, 1.0)),
            then=(lambda model: on(model, part + 1)) if part < len(parts) else None,
            **shared,
        )

    return Recipe(
        model=build,
        batch=batch(seed),
        batch_size=BATCH,
        save=write,
        card=CARD,
        steps=steps,
        choices=dict(small=small),
        lr=RATE,
        seed=seed,
        decay=0.4,
        optimizer=lambda model: muon.Muon(groups_of(model, RATE)),
        then=on,
        **shared,
    )
