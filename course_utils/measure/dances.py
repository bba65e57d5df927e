"""Does the doll in a clip dance as told, and is it still the same doll?

    keypoint_error(videos, scenes)    # pixels from the given skeleton's points
    same_doll(videos, scenes)         # colour, pattern and ground, frame by frame
    seam_error(videos, scenes, at)    # jumps where two windows meet

Videos are (B, F, 3, 64, 64) in [-1, 1]; scenes are those of each frame, B lists of F.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_list
from course_utils.measure.clips import check_videos
from course_utils.oracle.points import dancer_points
from course_utils.toybox import Scene
from course_utils.toybox.dance import SCALE

MISSED = 32.0  # pixels, half a picture: what a point that is not there counts
LOOKS = ("colour", "pattern")


def check_scenes_of(videos: Tensor, scenes: Sequence[Sequence[Scene]]) -> None:
    """Refuse scenes that are not one for each frame of each video."""
    check_videos(videos)
    check_list(scenes, "scenes", list | tuple, "toybox.perform(...)")
    for row in scenes:
        toybox.check_scenes(row)
    if [len(row) for row in scenes] != [videos.shape[1]] * len(videos):
        raise ValueError(
            f"scenes must be {len(videos)} lists of {videos.shape[1]} scenes, one for "
            "each frame of each video"
        )


def keypoint_error(videos: Tensor, scenes: Sequence[Sequence[Scene]]) -> Tensor:
    """Mean distance of head, hands and feet from where they should be, (B,), pixels."""
    check_scenes_of(videos, scenes)
    wanted = torch.stack([toybox.keypoints(list(row))[:, 0] for row in scenes])
    found = dancer_points(videos.flatten(0, 1)).view_as(wanted)
    apart = (found - wanted)[..., 1:, :].norm(dim=-1)
    return apart.nan_to_num(MISSED).mean((1, 2))


def same_doll(videos: Tensor, scenes: Sequence[Sequence[Scene]]) -> Tensor:
    """Share of frames with the doll's colour, its pattern and its ground right, (B,).

    The oracle knows no dancer so large: it is shown the frames made smaller.
    """
    check_scenes_of(videos, scenes)
    zoom = torch.eye(2, 3)[None] * SCALE
    flat = videos.flatten(0, 1)
    grid = F.affine_grid(
        zoom.expand(len(flat), 2, 3), list(flat.shape), align_corners=False
    )
    small = F.grid_sample(flat, grid, align_corners=False, padding_mode="border")
    dolls, grounds = oracle.read(small), oracle.read(flat)
    right = []
    flat_scenes = [scene for row in scenes for scene in row]
    for scene, doll, ground in zip(flat_scenes, dolls, grounds, strict=True):
        k = doll["place"].index("middle") if "middle" in doll["place"] else None
        thing = scene.things[0]
        same = [k is not None and doll[n][k] == getattr(thing, n) for n in LOOKS]
        right.append(all(same) and ground["ground"] == scene.ground)
    return torch.tensor(right).float().view(videos.shape[:2]).mean(1)


def seam_error(
    videos: Tensor, scenes: Sequence[Sequence[Scene]], at: Sequence[int]
) -> Tensor:
    """How wrong the change from one frame to the next is where windows meet, (B,).

    at   the first frames of the windows but the first: the change to each is looked at
    The mean absolute difference from the true clip's change, of pictures in [-1, 1].
    """
    check_scenes_of(videos, scenes)
    if not at or not all(0 < k < videos.shape[1] for k in at):
        raise ValueError(f"at={at} must name frames, from 1 to {videos.shape[1] - 1}")
    true = torch.stack([toybox.render(list(row)) for row in scenes])
    after, before = list(at), [k - 1 for k in at]
    changes = [x[:, after] - x[:, before] for x in (videos, true)]
    return (changes[0] - changes[1]).abs().mean((1, 2, 3, 4))
