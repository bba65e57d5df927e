"""The toys, drawn: each a body in the thing's colour and layers of paint on top.

A toy is a generator `(x, y, look)` of signed distances in its own coordinates, x to the
right and y down, both within -1..1. First comes its body, then layers, painted in
order, as (distance, paint): a colour, "shade" for a darker body, or "body" for its own.
`look` holds what differs between things of one kind: mood (+1 happy, -1 sad), pose
(arms raised by degrees) and legs (the same; nan where they are too short to move).
"""

import math

import torch
from torch import Tensor

from course_utils.toybox.palette import BEAK, BLUSH, CREAM, GLASS, INK, LAMP, TEAR, WOOD
from course_utils.toybox.sdf import (
    box,
    capsule,
    curve,
    disc,
    ellipse,
    polygon,
    spikes,
    union,
)


def _circle(x, y, look):
    yield disc(x, y, 0, 0, 0.93)


def _square(x, y, look):
    yield box(x, y, 0, 0, 0.84, 0.84, 0.08)


def _triangle(x, y, look):
    yield polygon(x, y, [(0, -0.8), (0.88, 0.72), (-0.88, 0.72)], 0.1)


def _star(x, y, look):
    yield polygon(x, y, spikes(5, 0.94, 0.50, cy=0.07), 0.06)


def _heart(x, y, look):
    # a square on its corner, with a disc on each of its upper sides
    x, y = x.abs(), y - 0.1
    tip = box((x + y) * 0.5**0.5, (y - x) * 0.5**0.5, 0, 0, 0.54, 0.54, 0.08)
    yield union(tip, disc(x, y, 0.39, -0.39, 0.55))


def _cross(x, y, look):
    bar = box(x, y, 0, 0, 0.92, 0.36, 0.1)
    yield union(bar, box(x, y, 0, 0, 0.36, 0.92, 0.1))


def _ring(x, y, look):
    yield disc(x, y, 0, 0, 0.64).abs() - 0.3


def _diamond(x, y, look):
    yield polygon(x, y, [(0, -0.9), (0.66, 0), (0, 0.9), (-0.66, 0)], 0.07)


def _face(x, y, look, cy: float, ex: float):
    """A face with eyes at height cy and +-ex: shut in joy, or sad."""
    mood, side = look["mood"], x.abs()
    glad = (mood + 1) / 2  # 1 or 0
    yield ellipse(x, y, 0, cy + 0.42, 0.4, 0.3), CREAM
    yield disc(side, y, ex + 0.18, cy + 0.3, 0.13) + 9 * (1 - glad), BLUSH
    drop = [(ex - 0.1, cy + 0.34), (ex, cy + 0.12), (ex + 0.1, cy + 0.34)]
    tear = union(disc(x, y, ex, cy + 0.4, 0.14), polygon(x, y, drop))
    yield tear + 9 * glad, TEAR
    shut = curve(side, y, ex, cy + 0.06, 0.17, -0.13, 0.06)
    yield torch.lerp(disc(side, y, ex, cy, 0.15), shut, glad), INK
    yield ellipse(x, y, 0, cy + 0.24, 0.12, 0.09), INK
    yield curve(x, y, 0, cy + 0.49 - 0.07 * mood, 0.2, 0.16 * mood, 0.065), INK


def _cat(x, y, look):
    side = x.abs()
    ear = polygon(side, y, [(0.78, -0.84), (0.1, -0.36), (0.84, 0.16)], 0.1)
    yield union(ellipse(x, y, 0, 0.22, 0.92, 0.7), ear)
    yield polygon(side, y, [(0.7, -0.62), (0.42, -0.34), (0.72, -0.14)], 0.04), BLUSH
    yield from _face(x, y, look, 0.12, 0.46)


def _bunny(x, y, look):
    side = x.abs()
    ear = capsule(side, y, (0.3, 0.1), (0.4, -0.69), 0.25)
    yield union(ellipse(x, y, 0, 0.38, 0.84, 0.57), ear)
    yield capsule(side, y, (0.38, -0.6), (0.4, -0.7), 0.11), BLUSH
    yield from _face(x, y, look, 0.26, 0.42)


def _fish(x, y, look):
    body = ellipse(x, y, -0.22, 0, 0.74, 0.55)
    tail = polygon(x, y, [(0.3, 0), (0.88, -0.5), (0.76, 0), (0.88, 0.5)], 0.09)
    top = polygon(x, y, [(-0.4, -0.4), (0.0, -0.72), (0.22, -0.3)], 0.07)
    yield union(body, tail, top)
    yield union(tail, top), "shade"
    yield body, "body"
    yield polygon(x, y, [(-0.06, 0.1), (0.2, 0.02), (0.16, 0.26)], 0.05), "shade"
    yield disc(x, y, -0.58, -0.12, 0.18), CREAM
    yield disc(x, y, -0.6, -0.12, 0.1), INK


def _duck(x, y, look):
    belly = ellipse(x, y, 0.12, 0.42, 0.76, 0.46)
    tail = polygon(x, y, [(0.5, 0.2), (0.92, -0.16), (0.84, 0.5)], 0.07)
    neck = box(x, y, -0.32, 0.1, 0.3, 0.4, 0.1)
    yield union(belly, tail, neck, disc(x, y, -0.36, -0.42, 0.44))
    yield ellipse(x, y, -0.8, -0.32, 0.2, 0.15), BEAK
    yield polygon(x, y, [(0.0, 0.3), (0.5, 0.18), (0.34, 0.42)], 0.1), "shade"
    yield disc(x, y, -0.44, -0.52, 0.12), INK


def _car(x, y, look):
    cabin = polygon(x, y, [(-0.5, -0.52), (0.36, -0.52), (0.64, 0), (-0.66, 0)], 0.14)
    yield union(box(x, y, 0, 0.22, 0.97, 0.36, 0.22), cabin)
    back = [(-0.42, -0.46), (-0.1, -0.46), (-0.1, -0.1), (-0.5, -0.1)]
    front = [(0.12, -0.46), (0.3, -0.46), (0.48, -0.1), (0.12, -0.1)]
    yield union(polygon(x, y, back, 0.05), polygon(x, y, front, 0.05)), GLASS
    yield disc(x, y, 0.86, 0.14, 0.1), LAMP
    wheels = disc((x - 0.02).abs(), y, 0.52, 0.54, 0.31)
    yield wheels, INK
    yield wheels + 0.16, CREAM


def _boat(x, y, look):
    hull = polygon(x, y, [(-0.86, 0.42), (0.86, 0.42), (0.5, 0.84), (-0.5, 0.84)], 0.1)
    jib = polygon(x, y, [(-0.03, -0.5), (-0.03, 0.04), (-0.68, 0.04)], 0.07)
    sail = polygon(x, y, [(-0.03, -0.84), (0.8, 0.04), (-0.03, 0.04)], 0.07)
    yield union(hull, jib, sail)
    yield capsule(x, y, (-0.03, -0.88), (-0.03, 0.44), 0.075), WOOD
    yield box(x, y, 0, 0.42, 0.95, 0.1, 0.08), "shade"


def _house(x, y, look):
    wall = box(x, y, 0, 0.36, 0.7, 0.58, 0.06)
    roof = polygon(x, y, [(0, -0.84), (0.86, -0.1), (-0.86, -0.1)], 0.09)
    yield union(wall, roof)
    yield box(x, y, 0.5, -0.62, 0.15, 0.3, 0.03), "shade"
    yield roof, "body"
    yield capsule(x, y, (-0.84, 0.0), (0.84, 0.0), 0.08), "shade"
    yield box(x, y, -0.24, 0.64, 0.2, 0.31, 0.08), INK
    yield box(x, y, 0.34, 0.46, 0.19, 0.19, 0.04), LAMP


def _tree(x, y, look):
    crown = union(
        disc(x, y, 0, -0.42, 0.53),
        disc(x.abs(), y, 0.44, -0.06, 0.48),
        box(x, y, 0, -0.02, 0.6, 0.42, 0.3),
    )
    yield crown
    yield box(x, y, 0, 0.62, 0.16, 0.34, 0.04), WOOD
    yield crown, "body"


def hand(sign: int, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Where the doll's left (-1) or right (1) hand is, its arm raised by radians."""
    return sign * (0.2 + 0.62 * angle.cos()), 0.08 - 0.62 * angle.sin()


def foot(sign: int, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Where a dancing doll's left (-1) or right (1) foot is, its leg raised."""
    return sign * (0.2 + 0.46 * angle.sin()), 0.36 + 0.46 * angle.cos()


def _trunk(x, y, look):
    """A doll without arms and head: it stands, or dances on longer legs."""
    stands = box(x, y, 0, 0.22, 0.44, 0.48, 0.22)
    stands = union(stands, capsule(x.abs(), y, (0.22, 0.5), (0.36, 0.74), 0.2))
    if "legs" not in look or look["legs"].isnan().all():
        return stands
    dances = box(x, y, 0, 0.12, 0.38, 0.32, 0.18)
    for k, sign in enumerate((-1, 1)):
        angle = look["legs"][:, k, None, None] * (math.pi / 180)
        leg = capsule(x, y, (sign * 0.2, 0.36), foot(sign, angle), 0.15)
        dances = union(dances, leg)
    return torch.where(look["legs"][:, :1, None].isnan(), stands, dances)


def _doll(x, y, look):
    side = x.abs()
    body = _trunk(x, y, look)
    for k, sign in enumerate((-1, 1)):
        angle = look["pose"][:, k, None, None] * (math.pi / 180)
        arm = capsule(x, y, (sign * 0.2, 0.08), hand(sign, angle), 0.17)
        body = union(body, arm)
    yield union(body, disc(x, y, 0, -0.47, 0.48))
    yield ellipse(x, y, 0, -0.42, 0.36, 0.32), CREAM
    yield disc(side, y, 0.16, -0.47, 0.085), INK
    yield curve(x, y, 0, -0.3, 0.13, 0.08, 0.045), INK


TOYS = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "ring": _ring,
    "diamond": _diamond,
    "cat": _cat,
    "bunny": _bunny,
    "fish": _fish,
    "duck": _duck,
    "car": _car,
    "boat": _boat,
    "house": _house,
    "tree": _tree,
    "doll": _doll,
}
# their dots start half a period off, so that more of them fall beside the details
DOTS_BETWEEN = ("boat", "doll", "fish")
