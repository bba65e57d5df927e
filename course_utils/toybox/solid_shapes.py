"""Toys in the round, put together from balls, cones and blocks.

x points to the toy's front, y to its left, z up; a toy lies in the ball of radius 1.
Each part is a convex body of its own coordinates p, seen in the toy's as A p + c:
a ball |p| <= 1, a frustum around p_z in [-1, 1], or a block of planes n p <= d. Rays
stay rays under A, so where one enters a part is known in closed form.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Point = tuple[float, float, float]
Paint = str | tuple[float, float, float]  # "body", "shade" or a colour of its own
FAR = 1e9  # where a ray that misses enters


@dataclass(frozen=True, eq=False)
class Part:
    """A convex body: its paint, the map A (3, 3) and c (3,), and its kind.

    reach is how far from c it goes at most; top is the radius of a frustum at p_z = 1
    (1 at -1), planes (K, 4) are n and d of a block; with neither it is a ball.
    """

    paint: Paint
    axes: Tensor
    centre: Tensor
    reach: float
    top: float | None = None
    planes: Tensor | None = None

    def enter(self, start: Tensor, way: Tensor) -> tuple[Tensor, Tensor]:
        """Where rays start + t way first meet it, t (...), and the unit normals there.

        start, way (..., 3), from outside; t is FAR for a ray that misses.
        """
        inverse = torch.linalg.inv(self.axes).to(start)
        o, d = (start - self.centre.to(start)) @ inverse.T, way @ inverse.T
        if self.planes is not None:
            t, normal = _enter_block(o, d, self.planes.to(start))
        elif self.top is not None:
            t, normal = _enter_frustum(o, d, self.top)
        else:
            t, normal = _enter_ball(o, d)
        normal = normal @ inverse  # (A^-1)' n, as rows
        return t, normal / normal.norm(dim=-1, keepdim=True).clamp(min=1e-9)

    def holds(self, points: Tensor) -> Tensor:
        """Which points (..., 3) lie in it: bool (...)."""
        inverse = torch.linalg.inv(self.axes).to(points)
        p = (points - self.centre.to(points)) @ inverse.T
        if self.planes is not None:
            planes = self.planes.to(points)
            return (p @ planes[:, :3].T <= planes[:, 3]).all(-1)
        if self.top is not None:
            radius = (1 + self.top) / 2 + (self.top - 1) / 2 * p[..., 2]
            return (p[..., :2].norm(dim=-1) <= radius) & (p[..., 2].abs() <= 1)
        return p.norm(dim=-1) <= 1

    def scaled(self, by: float) -> "Part":
        """The part of a toy that is `by` times as large."""
        grown = dict(
            axes=self.axes * by, centre=self.centre * by, reach=self.reach * by
        )
        return replace(self, **grown)


def _enter_ball(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    a, b, c = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1
    root = b * b - a * c
    t = (-b - root.clamp(min=0).sqrt()) / a
    t = torch.where((root > 0) & (t > 0), t, FAR)
    return t, o + t[..., None] * d


def _enter_frustum(o: Tensor, d: Tensor, top: float) -> tuple[Tensor, Tensor]:
    """Of both caps and both roots of the side, the first that is on the body."""
    mean, slope = (1 + top) / 2, (top - 1) / 2
    radius = mean + slope * o[..., 2]
    a = d[..., 0] ** 2 + d[..., 1] ** 2 - (slope * d[..., 2]) ** 2
    b = o[..., 0] * d[..., 0] + o[..., 1] * d[..., 1] - slope * d[..., 2] * radius
    c = o[..., 0] ** 2 + o[..., 1] ** 2 - radius**2
    root, a = b * b - a * c, torch.where(a.abs() < 1e-7, 1e-7, a)
    best = torch.full_like(a, FAR)
    for sign in (-1, 1):
        t = (-b + sign * root.clamp(min=0).sqrt()) / a
        z = o[..., 2] + t * d[..., 2]
        best = torch.where((root > 0) & (z.abs() <= 1) & (t > 0) & (t < best), t, best)
    p = o + best[..., None] * d
    out = torch.stack(
        [p[..., 0], p[..., 1], -slope * (mean + slope * p[..., 2])], dim=-1
    )
    dz = torch.where(d[..., 2].abs() < 1e-7, 1e-7, d[..., 2])
    for end, size in ((-1.0, 1.0), (1.0, top)):
        t = (end - o[..., 2]) / dz
        x, y = (o[..., k] + t * d[..., k] for k in (0, 1))
        hit = (x * x + y * y <= size * size) & (t > 0) & (t < best)
        best = torch.where(hit, t, best)
        out = torch.where(hit[..., None], out.new_tensor([0.0, 0.0, end]), out)
    return best, out


def _enter_block(o: Tensor, d: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
    """The last plane that is entered, if it comes before the first that is left."""
    enter, leave = torch.full_like(o[..., 0], -FAR), torch.full_like(o[..., 0], FAR)
    out = torch.zeros_like(o)
    for n in planes:
        speed, gap = d @ n[:3], n[3] - o @ n[:3]  # gap < 0: outside
        t = gap / torch.where(speed.abs() < 1e-9, 1e-9, speed)
        later = (speed < 0) & (t > enter)
        enter = torch.where(later, t, enter)
        out = torch.where(later[..., None], n[:3], out)
        leave = torch.where(speed > 0, torch.minimum(leave, t), leave)
    hit = (enter < leave) & (enter > 0)
    return torch.where(hit, enter, FAR), out


def ball(paint: Paint, centre: Point, radii: Point | float, tilt: float = 0.0) -> Part:
    """An ellipsoid; tilt turns it from z towards the front, in degrees."""
    radii = (radii,) * 3 if isinstance(radii, float) else radii
    c, s = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    turn = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    axes = turn * torch.tensor(radii)
    return Part(paint, axes, torch.tensor(centre), max(radii))


def rod(paint: Paint, start: Point, end: Point, radius: float, top: float = 1.0):
    """A cylinder from start to end, or a cone; top is its last radius by its first."""
    a, b = torch.tensor(start), torch.tensor(end)
    z = (b - a) / 2
    axis = z / z.norm()
    side = torch.eye(3)[axis.abs().argmin()]
    x = torch.linalg.cross(axis, side)
    x = x / x.norm()
    y = torch.linalg.cross(axis, x)
    axes = torch.stack([radius * x, radius * y, z], dim=1)
    reach = math.hypot(z.norm().item(), radius * max(1.0, top))
    return Part(paint, axes, (a + b) / 2, reach, top=top)


_SIDES = torch.cat([torch.eye(3), -torch.eye(3)])


def block(paint: Paint, centre: Point, half: Point, round_: float = 0.12) -> Part:
    """A box of half sides `half`, its twelve edges cut off by the share round_."""
    pairs = [(i, j, a, b) for i, j in ((0, 1), (0, 2), (1, 2)) for a in (-1, 1)
             for b in (-1, 1)]  # fmt: skip
    least = min(half)
    planes = [[*n, 1.0] for n in _SIDES.tolist()]
    for i, j, a, b in pairs if round_ else []:
        n = [0.0, 0.0, 0.0]
        n[i], n[j] = a * half[i] / least, b * half[j] / least
        planes.append([*n, (half[i] + half[j]) / least - round_])
    axes = torch.diag(torch.tensor(half))
    reach, planes = math.hypot(*half), torch.tensor(planes)
    return Part(paint, axes, torch.tensor(centre), reach, planes=planes)


def taper(paint: Paint, low: Point, high: Point, base: tuple, top: tuple) -> Part:
    """A block between two levels: half sides (x, y) `base` at low and `top` at high."""
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    rise = (high[2] - low[2]) / 2
    planes = [[0.0, 0.0, 1.0, rise], [0.0, 0.0, -1.0, rise]]
    for k in (0, 1):
        for sign in (-1, 1):
            first = sign * (low[k] - middle[k]) + base[k]  # how far it goes at low
            last = sign * (high[k] - middle[k]) + top[k]
            n = [0.0, 0.0, (first - last) / (2 * rise), (first + last) / 2]
            n[k] = float(sign)
            planes.append(n)
    far = [
        abs(a - m) + max(b, t)
        for a, m, b, t in zip(low[:2], middle[:2], base, top, strict=True)
    ]
    reach, planes = math.hypot(*far, rise), torch.tensor(planes)
    return Part(paint, torch.eye(3), torch.tensor(middle), reach, planes=planes)
