"""Does a clip begin and end as it was told, and is there a way between?

between_scores(videos, clips)     # first, last, middle
blend(first, last, 8)             # the floor: one picture fades into the other
sketched(clips)                   # last frames as a sketch: a disc for a toy
sketch_scores(videos, clips)           # is the right toy where the sketch was?
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils import toybox
from course_utils.diffusion.forward import check_same
from course_utils.images import check_floats, check_whole
from course_utils.measure.attributes import attribute_accuracy
from course_utils.measure.clips import check_told, read_frames, tracks
from course_utils.measure.pairs import psnr
from course_utils.models.pipelines import round_trip
from course_utils.toybox import Clip, Scene, Thing

NEAR = 6.0  # pixels: as far as a toy may be from where it was sketched


def blend(first: Tensor, last: Tensor, frames: int = 8) -> Tensor:
    """Clips (B, frames, 3, H, W) in which pictures (B, 3, H, W) fade into others."""
    check_floats(first, "first", 4)
    check_same("first", first, "last", last)
    check_whole(frames, "frames", 2)
    last, share = last.to(first), torch.linspace(0, 1, frames).to(first)
    return torch.lerp(first[:, None], last[:, None], share.view(1, -1, 1, 1, 1))


def between_scores(videos: Tensor, clips: Sequence[Clip]) -> dict[str, float]:
    """How well videos (B, F, 3, 64, 64) begin, end, and go between, means over B.

    first    PSNR of the first frame in dB, against the true one
    last     share of last frames in which the oracle reads everything right
    middle   mean absolute error of the frames between, against the true ones; of
             pictures in [-1, 1]
    """
    check_told(videos, clips)
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


def sketched(clips: Sequence[Clip]) -> Tensor:
    """The last frames as somebody might sketch them, (B, 3, 64, 64) in [-1, 1].

    Each toy is a plain disc of its colour and size, where it will be.
    """
    toybox.check_clips(clips)
    things = [clip.last.things[0] for clip in clips]
    discs = [
        Thing("circle", x.colour, x.size, place=x.place, shift=x.shift) for x in things
    ]
    pairs = zip(discs, clips, strict=True)
    return toybox.render([Scene([disc], clip.last.ground) for disc, clip in pairs])


def sketch_scores(videos: Tensor, clips: Sequence[Clip]) -> dict[str, float]:
    """What videos (B, F, 3, 64, 64) made of sketched last frames, shares of B.

    place   the toy ends within NEAR pixels of its place
    toy     it is the right kind of toy in the last frame: no disc
    """
    check_told(videos, clips)
    goals, _ = tracks(toybox.film(clips, videos.shape[1])[:, -2:])
    centres, _ = tracks(videos[:, -2:])
    near = (centres[:, -1] - goals[:, -1]).norm(dim=1) < NEAR  # nan is not near
    seen = [row[-1]["toy"] for row in read_frames(videos[:, -2:])]
    kinds = [clip.last.things[0].toy for clip in clips]
    same = [a == b for a, b in zip(seen, kinds, strict=True)]
    return {"place": near.float().mean().item(), "toy": sum(same) / len(same)}


def vae_psnr(vae, images: Tensor) -> float:
    """What the VAE alone keeps of pictures (B, 3, 64, 64): the mean PSNR in dB."""
    return psnr(round_trip(vae, images), images).mean().item()
