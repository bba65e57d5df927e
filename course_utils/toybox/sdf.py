"""Signed distances: how far a point is from a figure, negative inside.

`x` grows to the right, `y` downwards: tensors that broadcast together, such as a row
(N, 1, W) and a column (N, H, 1); the answer has their common shape. Signs are computed
by arithmetic, as comparisons are several times slower on a CPU.
Formulas after Quilez, "2D distance functions" (iquilezles.org).
"""

import math
from numbers import Real

import torch
from torch import Tensor

from course_utils.images import check_tensor


def union(first: Tensor, *others: Tensor) -> Tensor:
    """Distance to the nearest of several figures."""
    for other in others:
        first = torch.minimum(first, other)
    return first


def disc(x: Tensor, y: Tensor, cx: float, cy: float, radius: float) -> Tensor:
    """Distance to a filled circle."""
    _check_figure(x, y, cx=cx, cy=cy, radius=radius)
    dx, dy = x - cx, y - cy
    return (dx * dx + dy * dy).sqrt() - radius


def ellipse(x: Tensor, y: Tensor, cx: float, cy: float, a: float, b: float) -> Tensor:
    """Distance to a filled ellipse of half axes a and b, exact to first order."""
    dx, dy = (x - cx) / a, (y - cy) / b
    k = (dx * dx + dy * dy).sqrt()
    slope = ((dx / a) ** 2 + (dy / b) ** 2).sqrt()
    small = 1e-4  # keeps the centre, where k and slope vanish, inside
    return (k + small) * (k - 1) / (slope + small / min(a, b))


def box(
    x: Tensor, y: Tensor, cx: float, cy: float, w: float, h: float, r: float = 0.0
) -> Tensor:
    """Distance to a box of half sides w and h with corners rounded by r."""
    dx, dy = (x - cx).abs() - (w - r), (y - cy).abs() - (h - r)
    outside = (dx.clamp(min=0) ** 2 + dy.clamp(min=0) ** 2).sqrt()
    return outside + torch.maximum(dx, dy).clamp(max=0) - r


def capsule(x: Tensor, y: Tensor, start, end, r: float) -> Tensor:
    """Distance to a thick line with round ends; ends may be tensors."""
    for name, end_ in dict(start=start, end=end).items():
        if not (isinstance(end_, list | tuple | Tensor) and len(end_) == 2):
            raise ValueError(f"{name} must be two numbers, x and y, not {end_!r:.60}")
        _check_figure(x, y, r=r, **{name: end_[0]}, **{f"y of {name}": end_[1]})
    (ax, ay), (bx, by) = start, end
    ex, ey = bx - ax, by - ay
    px, py = x - ax, y - ay
    along = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0, 1)
    dx, dy = px - along * ex, py - along * ey
    return (dx * dx + dy * dy).sqrt() - r


def polygon(x: Tensor, y: Tensor, corners: list, r: float = 0.0) -> Tensor:
    """Distance to a polygon that is grown by r, its corners round."""
    nearest, winding = None, 0.0
    below = [(y - cy).sign() for _, cy in corners]
    for k, (ax, ay) in enumerate(corners):
        bx, by = corners[(k + 1) % len(corners)]
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        length = ex * ex + ey * ey
        along = (px * (ex / length) + py * (ey / length)).clamp(0, 1)
        dx, dy = px - along * ex, py - along * ey
        square = dx * dx + dy * dy
        nearest = square if nearest is None else torch.minimum(nearest, square)
        # an edge counts if its ends lie on two sides of y: +-1 in all, 0 outside
        right = (px * ey - py * ex) * math.copysign(1.0, ey)
        passes = (below[(k + 1) % len(corners)] - below[k]) / 4
        winding = winding + passes * right.sign()
    return nearest.sqrt() * (1 - 2 * winding.abs()) - r


def curve(
    x: Tensor, y: Tensor, cx: float, cy: float, w: float, bend, r: float
) -> Tensor:
    """Distance to a bow of half width w; bend > 0 smiles (may be a tensor)."""
    dx = (x - cx).clamp(-w, w)
    beyond = x - cx - dx
    height = bend * (1 - (dx / w) ** 2)
    slope = 2 * bend * dx / (w * w)
    across = (y - cy - height) ** 2 / (1 + slope * slope)
    return (across + beyond * beyond).sqrt() - r


def spikes(points: int, outer: float, inner: float, cy: float = 0.0) -> list:
    """Corners of a star."""
    angles = [math.pi * (k / points - 0.5) for k in range(2 * points)]
    radii = [outer, inner] * points
    return [
        (q * math.cos(a), cy + q * math.sin(a))
        for a, q in zip(angles, radii, strict=True)
    ]


def _check_figure(x: Tensor, y: Tensor, **sizes: float | Tensor) -> None:
    check_tensor(x, "x")
    check_tensor(y, "y")
    for name, size in sizes.items():
        if not isinstance(size, Real | Tensor):
            raise ValueError(f"{name} must be a number, not {size!r:.60}")
    try:
        torch.broadcast_shapes(x.shape, y.shape)
    except RuntimeError:
        raise ValueError(
            f"x and y must broadcast together, not {tuple(x.shape)} and "
            f"{tuple(y.shape)}: pass a row (N, 1, W) and a column (N, H, 1)"
        ) from None
