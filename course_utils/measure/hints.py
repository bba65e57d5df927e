"""Does a clip begin and end as it was told, and is there a way between?

between_scores(videos, clips)     # first, last, middle
blend(first, last, 8)             # the floor: one picture fades into the other
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils import toybox
from course_utils.measure.attributes import attribute_accuracy
from course_utils.measure.clips import check_videos
from course_utils.measure.pairs import psnr
from course_utils.models.pipelines import round_trip
from course_utils.toybox import Clip


def blend(first: Tensor, last: Tensor, frames: int = 8) -> Tensor:
    """Clips (B, frames, 3, H, W) in which pictures (B, 3, H, W) fade into others."""
    share = torch.linspace(0, 1, frames).view(1, -1, 1, 1, 1)
    return torch.lerp(first[:, None], last[:, None], share)


def between_scores(videos: Tensor, clips: Sequence[Clip]) -> dict[str, float]:
    """How well videos (B, F, 3, 64, 64) begin, end, and go between, means over B.

    first    PSNR of the first frame in dB, against the true one
    last     share of last frames in which the oracle reads everything right
    middle   mean absolute error of the frames between, against the true ones; of
             pictures in [-1, 1]
    """
    check_videos(videos, clips)
    true = toybox.film(clips, videos.shape[1])
    return {
        "first": psnr(videos[:, 0], true[:, 0]).mean().item(),
        "last": last_right(videos, clips),
        "middle": (videos - true)[:, 1:-1].abs().mean().item(),
    }


def last_right(videos: Tensor, clips: Sequence[Clip]) -> float:
    """Share of last frames in which all that can be read is right.

    Of a toy that has turned, the oracle, who never saw one turned, is asked for the
    colour and the ground only.
    """
    told = []
    for clip in clips:
        said = dict(clip.last.attributes)
        if clip.motion == "turns":
            said = {k: said[k] for k in ("colour", "ground", "count")}
            said["toy"] = [None]
        told.append(said)
    return attribute_accuracy(videos[:, -1], told)["all"]


def vae_psnr(vae, images: Tensor) -> float:
    """What the VAE alone keeps of pictures (B, 3, 64, 64): the mean PSNR in dB."""
    return psnr(round_trip(vae, images), images).mean().item()
