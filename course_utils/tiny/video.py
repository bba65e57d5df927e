"""What the text-to-video miniature learns from: clips, and captions that say a motion.

At first what drew pictures stays as it is where it only draws: ResNet blocks and
convolutions. What is new learns, and so do the words and how a frame listens to them:
no picture ever taught them what "moves left" means. Once toys move, the rest learns on,
too: toys between two places are new to it.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, toybox, training
from course_utils.methods.text_to_video import is_temporal, new_ends
from course_utils.tiny.batches import CHAPTER
from course_utils.tiny.unet import MEAN_WEIGHT, SCHEDULE, draw_steps, step_weights
from course_utils.tiny.worlds import numpy_rng
from course_utils.training import muon
from course_utils.training.speed import half_is_faster

FRAMES = 8
DROPPED = 0.1  # of the captions, for guidance


class VideoTrunk(nn.Module):
    """What is trained: a 3-D UNet and the text encoder."""

    def __init__(self, unet: nn.Module, encoder: nn.Module):
        super().__init__()
        self.unet, self.text = unet, encoder
        for name, p in unet.named_parameters():
            p.requires_grad_(is_temporal(name) or ".attentions." in name)

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """Predict v, (B, 4, F, h, w) as x_t; t (B,), tokens (B, length)."""
        words = self.text(tokens).last_hidden_state
        return self.unet(x_t, t, words).sample


def groups_of(model: VideoTrunk, rate: float, old: float = 0.3) -> list[dict]:
    """Parameter groups for Muon: what is new at `rate`, what was there at `old` of it.

    The layers that start at zero have to leave it before what stands before them can
    learn, and Muon takes them away too slowly: AdamW, at twice the rate.
    """
    ends = {id(p) for layer in new_ends(model.unet) for p in layer.parameters()}
    parts = {(new, flat): [] for new in (True, False) for flat in (True, False)}
    for name, p in model.unet.named_parameters():
        if p.requires_grad and id(p) not in ends:
            parts[is_temporal(name), p.ndim < 2].append(p)
    groups = [
        {"params": some, "lr": rate if new else old * rate, "muon": not flat}
        for (new, flat), some in parts.items()
    ]
    first = [p for layer in new_ends(model.unet) for p in layer.parameters()]
    groups.append({"params": first, "lr": 2 * rate, "muon": False})
    return groups + muon.groups(model.text, 0.3 * rate)


def video_loss(
    model: nn.Module, x0: Tensor, noise: Tensor, t: Tensor, *told: Tensor
) -> Tensor:
    """The error of v; the steps t come from draw_steps, so that the weight is in it.

    x0, noise (B, 4, F, h, w): all frames of a clip are at the same step. `told` is what
    else the model is given.
    """
    x_t = diffusion.add_noise(x0, noise, t, SCHEDULE)
    with torch.autocast(x0.device.type, torch.bfloat16, half_is_faster(x0.device)):
        v = model(x_t, t, *told)
    error = F.mse_loss(v.float(), diffusion.velocity(x0, noise, t, SCHEDULE))
    return MEAN_WEIGHT * error


def video_captions(clips: list[toybox.Clip], rng) -> list[str]:
    """A caption for each: half say all, others leave some out, a fifth nearly all."""
    kinds = rng.choice(3, len(clips), p=(0.5, 0.3, 0.2))
    return [
        toybox.describe_clip(clip, rng, (0.75, 0.2)[kind - 1]) if kind else clip.caption
        for clip, kind in zip(clips, kinds, strict=True)
    ]


def in_clip_latents(encode: Callable, clips: list[toybox.Clip]) -> Tensor:
    """True clips as `encode` has their frames: (N, 4, F, h, w), in half precision."""
    found = []
    for k in range(0, len(clips), 16):
        video = toybox.film(clips[k : k + 16], FRAMES)
        latents = encode(video.flatten(0, 1)).half()
        found.append(latents.unflatten(0, video.shape[:2]).transpose(1, 2))
    return torch.cat(found)


def video_batch(
    encode: Callable[[Tensor], Tensor],
    listen: Callable[[list[str]], Tensor],
    n: int,
    clips: int,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x0, noise, t and the words.

    encode  pictures -> latents; `clips` of them are encoded at once, for a chapter
    listen  texts -> tokens
    """
    weights = step_weights(SCHEDULE)

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[list[toybox.Clip], Tensor]:
        rng = numpy_rng(torch.Generator().manual_seed(number))
        some = [toybox.sample_clip(rng) for _ in range(clips)]
        return some, in_clip_latents(encode, some)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        some, x0 = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(some), (n,), generator=generator)
        said = video_captions([some[i] for i in rows], numpy_rng(generator))
        told = torch.rand(n, generator=generator) >= DROPPED
        words = listen([s if h else "" for s, h in zip(said, told, strict=True)])
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        return x0[rows].float(), noise, t, words

    return batch
