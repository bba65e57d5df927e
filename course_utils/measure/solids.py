"""Is it a toy in the round? What is seen of a field, held against the known solid.

Twelve cameras stand around it. The view-reader says what each of them sees, and the
true solid knows its silhouette and its depth there.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.images import (
    check_floats,
    check_kind,
    check_list,
    check_number,
    check_whole,
)
from course_utils.methods.nerf import REACH, Pictured, VoxelField, look_at
from course_utils.oracle.views import read_views
from course_utils.toybox.palette import COLOURS
from course_utils.toybox.solid import Camera, Solid
from course_utils.toybox.solid_render import see_solids, solid_holds


def around(n: int = 12, elevation: float = 15.0) -> list[Camera]:
    """n cameras evenly around a toy, none where two view words meet: 15, 45, 75, ..."""
    check_number(elevation, "elevation", -90, 90)
    check_whole(n, "n")
    return [Camera((k + 0.5) * 360 / n, elevation) for k in range(n)]


@torch.no_grad()
def field_of(solid: Solid, n: int = 32) -> VoxelField:
    """The true solid on a field's own grid: the best that n^3 points can hold.

    Dense where the solid is, by the share of eight points around each place that it
    holds; all of it in the colour of its body.
    """
    check_kind(solid, "solid", Solid, "toybox.Solid('cat', 'red')")
    field = VoxelField(n)
    axis = torch.linspace(-REACH, REACH, n)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], -1)
    quarter = torch.tensor([-0.25, 0.25]) * (axis[1] - axis[0])
    around_it = torch.cartesian_prod(quarter, quarter, quarter)  # (8, 3)
    held = torch.stack([solid_holds(solid, points + off) for off in around_it])
    field.thickness.copy_(12 * held.float().mean(0) - 6 - field.start)
    body = torch.tensor(COLOURS[solid.colour]).logit(1e-3)
    field.colour.copy_(body.view(3, 1, 1, 1).expand_as(field.colour))
    return field


@torch.no_grad()
def turntable(field: VoxelField, views: Sequence[Camera], size: int = 64) -> Pictured:
    """What the cameras see of a field, by the default light, a few at a time."""
    check_list(views, "views", Camera, "*around()")
    parts = [
        look_at(field, views[i : i + 4], size, 48) for i in range(0, len(views), 4)
    ]
    return Pictured(*[torch.cat(some).cpu() for some in zip(*parts, strict=True)])


def views_read(images: Tensor) -> list[str]:
    """The view word that the reader sees in each picture (B, 3, 64, 64) in [-1, 1]."""
    return read_views(images)["view"]


def view_accuracy(read: Sequence[str], views: Sequence[Camera]) -> float:
    """Share of the cameras whose picture is read as the view it is."""
    _paired(read, views)
    pairs = zip(read, views, strict=True)
    return sum(word == view.word for word, view in pairs) / len(read)


def janus_score(read: Sequence[str], views: Sequence[Camera]) -> float:
    """Share of the cameras that are not in front and yet see a front."""
    _paired(read, views)
    pairs = zip(read, views, strict=True)
    others = [word for word, view in pairs if view.word != "front"]
    if not others:
        raise ValueError("views: all are fronts; put cameras beside and behind, too")
    return others.count("front") / len(others)


def _paired(read: Sequence[str], views: Sequence[Camera]) -> None:
    check_list(read, "read", str, "*views_read(images)")
    check_list(views, "views", Camera, "*around()")
    if not len(read) or len(read) != len(views):
        raise ValueError(
            f"read has {len(read)} words and views {len(views)} cameras: pass one word "
            "for each camera"
        )


def silhouette_iou(opacity: Tensor, mask: Tensor) -> float:
    """Intersection over union of what is opaque and the true masks, mean of B views.

    opacity (B, H, W) in 0..1, opaque above a half; mask (B, H, W) bool.
    """
    check_floats(opacity, "opacity", 3)
    check_kind(mask, "mask", Tensor, "see_solids(...).mask")
    if opacity.shape != mask.shape:
        raise ValueError(
            f"opacity has shape {tuple(opacity.shape)}, mask {tuple(mask.shape)}: pass "
            "both (B, H, W), of the same cameras"
        )
    ours, mask = opacity > 0.5, mask > 0.5
    both, either = (ours & mask).sum((1, 2)), (ours | mask).sum((1, 2))
    return (both / either.clamp(min=1)).mean().item()


def depth_error(seen: Pictured, depth: Tensor, mask: Tensor) -> float:
    """Mean absolute error of depth in radii, where the field and the solid both are.

    depth (B, H, W) and mask (B, H, W) of the true solid; infinite if they never meet.
    """
    both = (seen.opacity > 0.5) & mask
    if not both.any():
        return float("inf")
    return (seen.depth - depth)[both].abs().mean().item()


def solid_scores(
    field: VoxelField, solid: Solid, views: Sequence[Camera] | None = None
) -> dict[str, float]:
    """All four: view_accuracy, janus, silhouette_iou, depth_error (in radii)."""
    check_kind(solid, "solid", Solid, 'toybox.Solid("cat", "red")')
    views = around() if views is None else views
    seen = turntable(field, views)
    truth = see_solids([solid] * len(views), views)
    read = views_read(seen.images.clamp(-1, 1))
    return {
        "view_accuracy": view_accuracy(read, views),
        "janus": janus_score(read, views),
        "silhouette_iou": silhouette_iou(seen.opacity, truth.mask),
        "depth_error": depth_error(seen, truth.depth, truth.mask),
    }
