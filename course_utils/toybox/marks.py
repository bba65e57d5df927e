"""Marks that a toy of the toybox never has: a hat, a scarf, wings.

Each is a signed distance `(x, y, body, at)` in the toy's own coordinates, as in shapes:
`body` is the distance to the toy, `at` has its KEYPOINTS by name.
"""

import torch

from course_utils.toybox.sdf import box, capsule, disc, ellipse, polygon, union


def _hat(x, y, body, at):
    cx, cy = at["top"]
    return union(
        box(x, y, cx, cy + 0.1, 0.56, 0.12, 0.1),
        box(x, y, cx, cy - 0.24, 0.33, 0.34, 0.08),
    )


def _scarf(x, y, body, at):
    cx, cy = at["centre"]
    band = torch.maximum((y - cy - 0.1).abs() - 0.22, body - 0.08)
    return union(band, box(x, y, cx + 0.28, cy + 0.46, 0.18, 0.34, 0.05))


def _patch(x, y, body, at):
    cx, cy = at["centre"]
    u, v = (
        (x - cx + 0.06) * 0.8 + (y - cy) * 0.6,
        (y - cy) * 0.8 - (x - cx + 0.06) * 0.6,
    )
    return box(u, v, 0, 0, 0.38, 0.38, 0.06)


def _antenna(x, y, body, at):
    cx, cy = at["top"]
    rod = capsule(x, y, (cx, cy + 0.2), (cx + 0.12, cy - 0.5), 0.09)
    return union(rod, disc(x, y, cx + 0.14, cy - 0.58, 0.25))


def _wings(x, y, body, at):
    (left, high), (right, low) = at["left"], at["right"]
    cx, cy, reach = (left + right) / 2, (high + low) / 2, (right - left) / 2
    side, up = (x - cx).abs() - reach * 0.75, y - cy
    tip = ellipse(side * 0.8 - up * 0.6, side * 0.6 + up * 0.8, 0.4, 0, 0.55, 0.25)
    return union(tip, ellipse(side, up, 0.3, 0.12, 0.4, 0.2))


def _buttons(x, y, body, at):
    cx, cy = at["centre"]
    return union(disc(x, y, cx, cy - 0.24, 0.22), disc(x, y, cx, cy + 0.32, 0.22))


def _shoes(x, y, body, at):
    feet = (at["left foot"], at["right foot"])
    left, right = (ellipse(x, y, fx, fy + 0.04, 0.33, 0.2) for fx, fy in feet)
    return union(left, right)


def _flag(x, y, body, at):
    cx, cy = at["right"]
    cloth = [(cx + 0.1, cy - 0.95), (cx + 0.72, cy - 0.68), (cx + 0.1, cy - 0.4)]
    pole = capsule(x, y, (cx + 0.08, cy - 0.95), (cx + 0.08, cy + 0.25), 0.06)
    return union(polygon(x, y, cloth, 0.04), pole)


# in the order in which they are painted
MARKS = {
    "wings": _wings,
    "antenna": _antenna,
    "flag": _flag,
    "shoes": _shoes,
    "scarf": _scarf,
    "patch": _patch,
    "buttons": _buttons,
    "hat": _hat,
}

BEHIND = ("wings", "antenna", "flag")  # the toy hides a part of them
POINTS = ("centre", "top", "left", "right", "left foot", "right foot")
