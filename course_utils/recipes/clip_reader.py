"""How the reader of clips learnt: it says what the toy does."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import toybox, training
from course_utils.measure.distances import fid
from course_utils.oracle.clips import VERBS, ClipReader, clip_features
from course_utils.recipes.pixel_judge import pixel_judge
from course_utils.recipes.recipe import Recipe

CARD = """# clip-reader

A small 3-D network that sees a clip of 64x64 pictures as a whole. It learnt to say what
the toy does; its features are for the video FID. It judges what generators draw; no
generator is trained with it.

| {n} held-out clips | |
|---|---|
| the motion is named right | {right:.1%} |
| frames in the wrong order: named right | {backwards:.1%} |
| video FID of half of them to the other half | {fid_self:.2f} |
| video FID to the first frames, repeated | {fid_still:.1f} |

- **Data** clips of the toybox, split "train". The scores are of the split "test".
- **Training** {steps} steps of {batch_size} clips, AdamW, rate {lr}, seed {seed},
  averaged weights. {parameters:,} parameters.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""


def clip_reader(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The network that names motions."""
    learnt = ClipReader, clips_and_verbs, verb_loss, reader_scores, "held_out"
    options = dict(card=CARD, steps=steps or 2500, seed=seed, offset=6000)
    return pixel_judge(*learnt, **options)


def verb_of(clip: toybox.Clip) -> int:
    """The number of a clip's motion in VERBS."""
    colour = clip.motion.startswith("becomes")
    return VERBS.index("becomes" if colour else clip.motion)


@functools.lru_cache(maxsize=1)
def _album(chapter: int) -> tuple[Tensor, Tensor]:
    """256 clips, each verb as often as any other, and their verbs."""
    rng, clips = np.random.default_rng([chapter, 59]), []
    for k in range(256):
        verb = VERBS[k % len(VERBS)]
        ways = toybox.MOTIONS[8:] if verb == "becomes" else [verb]
        clips.append(toybox.sample_clip(rng, motion=ways))
    return toybox.film(clips), torch.tensor([verb_of(clip) for clip in clips])


def clips_and_verbs(
    n: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, Tensor]:
    """Clips (n, 8, 3, 64, 64), verbs (n,); 16 steps in a row share an album."""
    videos, verbs = _album(training.chapter(seed, step, 16))
    rows = torch.randint(len(videos), (n,), generator=generator)
    grain = torch.randn(n, *videos.shape[1:], generator=generator)
    rough = 0.06 * torch.rand(n, 1, 1, 1, 1, generator=generator)
    return (videos[rows] + rough * grain).clamp(-1, 1), verbs[rows]


def verb_loss(model: nn.Module, videos: Tensor, verbs: Tensor) -> Tensor:
    """Cross-entropy of the verbs."""
    return F.cross_entropy(model(videos), verbs)


def reader_scores(net: nn.Module, n: int) -> dict[str, float]:
    """How often it is right, and what its FID says of known differences."""
    rng = np.random.default_rng(97)
    clips = [toybox.sample_clip(rng, "test") for _ in range(n)]
    videos, verbs = toybox.film(clips), torch.tensor([verb_of(c) for c in clips])
    with torch.no_grad():
        found = net(videos).argmax(1)
        wrong = net(videos.flip(1)).argmax(1)
    frozen = videos[:, :1].expand_as(videos)
    seen, still = (clip_features(x, net) for x in (videos, frozen))
    half = n // 2
    big = half > seen.shape[1]  # a covariance needs more clips than features
    return {
        "right": (found == verbs).float().mean().item(),
        "backwards": (wrong == verbs).float().mean().item(),
        "fid_self": fid(seen[:half], seen[half:]) if big else 0.0,
        "fid_still": fid(seen[:half], still[half:]) if big else 0.0,
    }
