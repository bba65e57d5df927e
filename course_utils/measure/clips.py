"""Does a clip show what its words say? Where the toy is, what it is, and what it does.

    did(videos, clips)            # does the toy move, turn, grow, jump, change as told?
    track_error(videos, clips)    # pixels from where it should be
    identity(videos, clips)       # does it stay the same toy?
    flicker(videos)               # how much changes that nobody asked to change

Videos are (B, F, 3, 64, 64) in [-1, 1]. The toy is what the segmenter sees; for the
oracle, which looks at nine places, each frame is shifted so that the toy is in the
middle.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_floats, check_images, check_tensor, check_whole
from course_utils.measure.attributes import attribute_accuracy
from course_utils.measure.distances import fid
from course_utils.oracle.clips import clip_features
from course_utils.oracle.segmenter import silhouettes
from course_utils.toybox import Clip

LOST = 32.0  # pixels, half a picture: what a toy that is not there counts
FAR = 8.0  # pixels: half of what a toy moves
HIGH = 6.0  # pixels: half of what it jumps
LARGER = 1.4  # of its area, which doubles
LOOK = ("toy", "colour", "pattern", "mood")


def clips_to_ask(n: int, seed: int = 0, **choices) -> list[Clip]:
    """n clips of the split "test", whose first frames no training ever showed."""
    check_whole(n, "n")
    check_whole(seed, "seed", 0)
    rng = np.random.default_rng([n, seed, 41])
    return [toybox.sample_clip(rng, "test", **choices) for _ in range(n)]


def check_videos(videos: object) -> None:
    """Refuse what is no (B, F, 3, 64, 64) in [-1, 1] of two frames or more."""
    check_tensor(videos, "videos")
    shape = tuple(videos.shape)
    if videos.ndim != 5 or shape[2:] != (3, 64, 64) or shape[1] < 2:
        raise ValueError(
            f"videos has shape {shape}: pass (B, F, 3, 64, 64), two frames or more"
        )
    if not len(videos):
        raise ValueError("videos is empty: pass one or more")
    check_images(videos.flatten(0, 1), 3, 64, "videos")


def check_told(videos: object, clips: Sequence[Clip]) -> None:
    """Refuse what is no videos, no clips, or not as many of both."""
    check_videos(videos)
    toybox.check_clips(clips)
    if len(clips) != len(videos):
        raise ValueError(f"{len(videos)} videos for {len(clips)} clips: pair them")


def tracks(videos: Tensor) -> tuple[Tensor, Tensor]:
    """Where the toy is and how large: centres (B, F, 2), x and y, and areas (B, F).

    In pixels. A centre is the mean of those that are toy, nan where they are under 12.
    """
    check_videos(videos)
    shown = silhouettes(videos.flatten(0, 1)).float()
    areas = shown.sum((1, 2))
    at = torch.arange(64) + 0.5
    x, y = (shown.sum(1) * at).sum(1), (shown.sum(2) * at).sum(1)
    centres = torch.stack([x, y], 1) / areas[:, None].clamp(min=1)
    centres[areas < 12] = math.nan
    return tuple(z.unflatten(0, videos.shape[:2]) for z in (centres, areas))


def in_the_middle(videos: Tensor, centres: Tensor) -> Tensor:
    """Each frame shifted so that the toy's centre is at its middle, same shape.

    By parts of a pixel, too; what comes in at the edges repeats them.
    """
    check_floats(videos, "videos", 5)
    check_floats(centres, "centres", 3)
    if centres.shape != (*videos.shape[:2], 2):
        raise ValueError(
            f"centres must be (B, F, 2), one for each frame of videos, which is "
            f"{tuple(videos.shape)}, not {tuple(centres.shape)}"
        )
    flat, at = videos.flatten(0, 1), centres.flatten(0, 1).nan_to_num(32.0)
    shift = torch.eye(2, 3).repeat(len(flat), 1, 1)
    shift[:, :, 2] = at / 32 - 1
    grid = F.affine_grid(shift, list(flat.shape), align_corners=False).to(flat)
    options = dict(align_corners=False, padding_mode="border")
    return F.grid_sample(flat, grid, **options).view(videos.shape)


def read_frames(videos: Tensor) -> list[list[dict]]:
    """What the oracle reads in each frame: clip by clip, frame by frame.

    The toy is the one that stands in the middle after the shift; None where the oracle
    sees none. `ground` is read as the frame is.
    """
    centres, _ = tracks(videos)
    toys = oracle.read(in_the_middle(videos, centres).flatten(0, 1))
    grounds = oracle.read(videos.flatten(0, 1))
    found = []
    for toy, ground in zip(toys, grounds, strict=True):
        k = toy["place"].index("middle") if "middle" in toy["place"] else None
        names = (*LOOK, "size")
        look = {n: toy[n][k] if k is not None and n in toy else None for n in names}
        found.append(look | {"ground": ground["ground"]})
    step = videos.shape[1]
    return [found[k : k + step] for k in range(0, len(found), step)]


def did(videos: Tensor, clips: Sequence[Clip]) -> Tensor:
    """Whether the toy does what the clip says, (B,) bool.

    moves    mostly in this direction, by half of the way at least
    jumps    in the middle higher than at both ends, by half at least
    grows    to 1.4 times its area; shrinks: the other way round (the truth is 2.07)
    turns    the last frame looks more like the first turned by a quarter clockwise
             than like the first as it is, or turned the other way
    becomes  it has the new colour in the last frame, and not in the first
    """
    check_told(videos, clips)
    centres, areas = tracks(videos)
    right = torch.zeros(len(clips), dtype=torch.bool)
    reads = None
    for k, clip in enumerate(clips):
        verb, _, to = clip.motion.partition(" ")
        if verb == "moves":
            right[k] = direction_of(centres[k]) == to
        elif verb == "jumps":
            middle = videos.shape[1] // 2
            low = centres[k, [0, -1], 1].amin()
            right[k] = bool(low - centres[k, middle - 1 : middle + 1, 1].mean() > HIGH)
        elif verb in ("grows", "shrinks"):
            ratio = areas[k, -1] / areas[k, 0].clamp(min=1)
            right[k] = ratio > LARGER if verb == "grows" else 1 / ratio > LARGER
        elif verb == "turns":
            right[k] = _turned(videos[k], centres[k])
        else:
            reads = reads or read_frames(videos[:, [0, -1]])
            first, last = (seen["colour"] for seen in reads[k])
            right[k] = last == to and first not in (to, None)
    return right


def direction_of(centres: Tensor) -> str | None:
    """Where a toy went, by its centres (F, 2): left, right, up, down or None."""
    x, y = (centres[-1] - centres[0]).nan_to_num(0).tolist()
    if max(abs(x), abs(y)) < FAR:
        return None
    if abs(x) > abs(y):
        return "right" if x > 0 else "left"
    return "down" if y > 0 else "up"


def _turned(video: Tensor, centres: Tensor) -> bool:
    """Is the toy in the last frame that of the first, turned a quarter clockwise?"""
    ends = in_the_middle(video[None, [0, -1]], centres[None, [0, -1]])[0]
    first, last = ends[..., 14:50, 14:50]  # what the largest toy needs
    ways = {k: first.rot90(k, (1, 2)) for k in (-1, 0, 1)}  # -1 is clockwise
    gaps = {k: (way - last).square().mean().item() for k, way in ways.items()}
    return min(gaps, key=gaps.get) == -1


def track_error(videos: Tensor, clips: Sequence[Clip]) -> Tensor:
    """Mean distance in pixels from the true clip's centres, frame by frame, (B,).

    The start is not counted, only the way: both are seen from their first frames. LOST
    where there is no toy.
    """
    check_told(videos, clips)
    ways = [_way(x) for x in (videos, toybox.film(clips, videos.shape[1]))]
    return (ways[0] - ways[1]).norm(dim=-1).nan_to_num(LOST)[:, 1:].mean(1)


def _way(videos: Tensor) -> Tensor:
    centres, _ = tracks(videos)
    return centres - centres[:, :1]


def identity(videos: Tensor, clips: Sequence[Clip]) -> Tensor:
    """Whether the toy stays the same toy, on the same ground, all along, (B,) bool.

    Kind, pattern, mood and ground never change; the colour only if the clip says so. Of
    a toy that turns, which the oracle never saw, only colour and ground are compared.
    """
    check_told(videos, clips)
    kept = []
    for seen, clip in zip(read_frames(videos), clips, strict=True):
        names = [*LOOK, "ground"]
        if clip.motion.startswith("becomes"):
            names.remove("colour")
        if clip.motion == "turns":
            names = ["colour", "ground"]
        kept.append(all(len({look[name] for look in seen}) == 1 for name in names))
    return torch.tensor(kept)


def first_frame_scores(videos: Tensor, clips: Sequence[Clip]) -> dict[str, float]:
    """`attribute_accuracy` of the first frames, by what the captions say of them."""
    check_told(videos, clips)
    return attribute_accuracy(videos[:, 0], [clip.scene for clip in clips])


def flicker(videos: Tensor) -> Tensor:
    """Mean absolute difference from frame to frame of what should not change, (B,).

    The ground where no toy is in either frame, and the toy, held in the middle. In
    units of pictures, whose values span 2. A true clip has a little: its toy is drawn
    at parts of a pixel.
    """
    centres, _ = tracks(videos)
    shown = silhouettes(videos.flatten(0, 1)).float().unflatten(0, videos.shape[:2])
    still = in_the_middle(videos, centres)
    toy = in_the_middle(shown[:, :, None], centres)[:, :, 0] > 0.99
    both = toy[:, 1:] & toy[:, :-1]
    wide = F.max_pool2d(shown, 5, 1, 2)
    neither = (wide[:, 1:] + wide[:, :-1]) == 0
    parts = [
        ((x[:, 1:] - x[:, :-1]).abs().mean(2) * mask).sum((1, 2, 3))
        / mask.sum((1, 2, 3)).clamp(min=1)
        for x, mask in ((videos, neither), (still, both))
    ]
    return torch.stack(parts).mean(0)


def video_fid(videos: Tensor, others: Tensor) -> float:
    """`measure.fid` of two sets of videos, 19 or more in each, in a 3-D network's eyes.

    A tiny FVD (Unterthiner et al. 2019), of oracle.clips' features. Biased upwards, the
    more the fewer clips: compare at equal numbers only, never with published ones.
    """
    for some in (videos, others):
        check_videos(some)
    return fid(*map(clip_features, (videos, others)))
