"""What a picture must follow, as a picture: edges, scribbles, segments, poses, depth.

All are (B, 3, size, size) in 0..1, white or coloured on black, as a ControlNet wants
them (Zhang et al. 2023), and not in -1..1 as pictures are.
"""

import colorsys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils.images import check_floats, check_tensor
from course_utils.toybox.annotations import depth, edges, scribbles, segmentation
from course_utils.toybox.attributes import ATTRIBUTES
from course_utils.toybox.scene import Scene
from course_utils.toybox.skeleton import poses

_TOYS = ATTRIBUTES["toy"]
# black for the ground; for the toys hues all around, light and dark in turn
SEGMENT_COLOURS = [(0.0, 0.0, 0.0)] + [
    colorsys.hsv_to_rgb(k / len(_TOYS), 0.9, (1.0, 0.6)[k % 2])
    for k in range(len(_TOYS))
]


def condition(
    kind: str, scenes: Sequence[Scene], size: int = 64, seed: int = 0
) -> Tensor:
    """Pictures of what a picture of each scene must follow; `kind` is of CONDITIONS.

    edges         outlines of the toys, white
    scribble      the same as a shaky hand draws them; `seed` is of the hand
    segmentation  each pixel in the colour of the kind of toy that it shows
    pose          the skeletons of the dolls, each bone in its own colour
    depth         the nearer, the lighter
    """
    if kind not in CONDITIONS:
        raise ValueError(f"kind={kind!r} is not one of: {', '.join(CONDITIONS)}")
    options = {"seed": seed} if kind == "scribble" else {}
    return CONDITIONS[kind](scenes, size, **options).expand(-1, 3, -1, -1)


def coloured_segments(scenes: Sequence[Scene], size: int = 64) -> Tensor:
    """`segmentation` in SEGMENT_COLOURS: (B, 3, size, size) in 0..1."""
    return coloured(segmentation(scenes, size))


CONDITIONS: dict[str, Callable[..., Tensor]] = {
    "edges": edges,
    "scribble": scribbles,
    "segmentation": coloured_segments,
    "pose": poses,
    "depth": depth,
}


def coloured(classes: Tensor) -> Tensor:
    """Classes (B, S, S) as `segmentation` has them in colours: (B, 3, S, S) in 0..1."""
    check_tensor(classes, "classes")
    known = classes.dtype == torch.long and classes.min() >= 0
    if not known or classes.max() > len(_TOYS):
        raise ValueError(
            f"classes must be whole numbers 0..{len(_TOYS)}, as toybox.segmentation "
            f"has them, not {classes.dtype}"
        )
    return torch.tensor(SEGMENT_COLOURS, device=classes.device)[classes].movedim(-1, 1)


def uncoloured(pictures: Tensor) -> Tensor:
    """The inverse of `coloured`; other colours count as the nearest of the known."""
    check_floats(pictures, "pictures", 4)
    if pictures.shape[1] != 3 or not pictures.isfinite().all():
        raise ValueError("pictures must be finite, (B, 3, H, W)")
    pictures = pictures.float()
    colours = torch.tensor(SEGMENT_COLOURS, device=pictures.device)
    apart = torch.cdist(pictures.movedim(1, -1).flatten(0, 2), colours)
    return apart.argmin(1).view(len(pictures), *pictures.shape[2:])
