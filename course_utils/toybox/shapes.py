"""The toys, drawn: each a body in the thing's colour and layers of paint on top.

A toy is a function `(x, y, look) -> (body, layers)`: signed distances in its own
coordinates, x to the right and y down, both within -1..1; `layers` is a list of
(distance, paint), painted in order, where a paint is a colour or "shade" or "tint" of the
body's. `look` holds what differs from thing to thing: mood (+1 happy, -1 sad) and pose.
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

STAR = spikes(5, 0.94, 0.50, cy=0.07)


def toy_circle(x, y, look):
    return disc(x, y, 0, 0, 0.93), []


def toy_square(x, y, look):
    return box(x, y, 0, 0, 0.82, 0.82, 0.16), []


def toy_triangle(x, y, look):
    return polygon(x, y, [(0, -0.8), (0.88, 0.72), (-0.88, 0.72)], 0.1), []


def toy_star(x, y, look):
    return polygon(x, y, STAR, 0.06), []


def toy_heart(x, y, look):
    # a square on its corner, with a disc on each of its upper sides
    x = x.abs()
    y = y - 0.1
    tip = box((x + y) * 0.5**0.5, (y - x) * 0.5**0.5, 0, 0, 0.54, 0.54, 0.08)
    return union(tip, disc(x, y, 0.39, -0.39, 0.55)), []


def toy_cross(x, y, look):
    return union(box(x, y, 0, 0, 0.92, 0.36, 0.1), box(x, y, 0, 0, 0.36, 0.92, 0.1)), []


def toy_ring(x, y, look):
    return disc(x, y, 0, 0, 0.64).abs() - 0.3, []


def toy_diamond(x, y, look):
    return polygon(x, y, [(0, -0.9), (0.66, 0), (0, 0.9), (-0.66, 0)], 0.07), []


def face(x, y, look, cy: float, ex: float) -> list:
    """Eyes, nose and mouth around height cy, eyes at +-ex: closed and smiling, or sad."""
    mood = look["mood"]
    glad = (mood + 1) / 2  # 1 or 0
    side = x.abs()
    shut = curve(side, y, ex, cy + 0.06, 0.17, -0.13, 0.06)
    eyes = torch.lerp(disc(side, y, ex, cy, 0.15), shut, glad)
    mouth = curve(x, y, 0, cy + 0.51 - 0.07 * mood, 0.24, 0.17 * mood, 0.06)
    tear = union(
        disc(x, y, ex, cy + 0.4, 0.14),
        polygon(x, y, [(ex - 0.1, cy + 0.34), (ex, cy + 0.12), (ex + 0.1, cy + 0.34)]),
    )
    blush = disc(side, y, ex + 0.18, cy + 0.3, 0.13)
    return [
        (ellipse(x, y, 0, cy + 0.42, 0.4, 0.3), CREAM),
        (blush + 9 * (1 - glad), BLUSH),
        (tear + 9 * glad, TEAR),
        (eyes, INK),
        (ellipse(x, y, 0, cy + 0.24, 0.12, 0.09), INK),
        (mouth, INK),
    ]


def toy_cat(x, y, look):
    side = x.abs()
    head = ellipse(x, y, 0, 0.22, 0.92, 0.7)
    ear = polygon(side, y, [(0.78, -0.84), (0.1, -0.36), (0.84, 0.16)], 0.1)
    inner = polygon(side, y, [(0.7, -0.62), (0.42, -0.34), (0.72, -0.14)], 0.04)
    return union(head, ear), [(inner, BLUSH), *face(x, y, look, 0.12, 0.46)]


def toy_bunny(x, y, look):
    side = x.abs()
    head = ellipse(x, y, 0, 0.38, 0.84, 0.57)
    ear = capsule(side, y, (0.3, 0.1), (0.4, -0.7), 0.23)
    inner = capsule(side, y, (0.34, -0.25), (0.4, -0.66), 0.1)
    return union(head, ear), [(inner, BLUSH), *face(x, y, look, 0.26, 0.42)]


def toy_fish(x, y, look):
    body = ellipse(x, y, -0.22, 0, 0.74, 0.55)
    tail = polygon(x, y, [(0.3, 0), (0.88, -0.5), (0.76, 0), (0.88, 0.5)], 0.09)
    top = polygon(x, y, [(-0.4, -0.4), (0.0, -0.72), (0.22, -0.3)], 0.07)
    fin = polygon(x, y, [(-0.16, 0.1), (0.2, 0.0), (0.16, 0.34)], 0.06)
    layers = [(top, "shade"), (tail, "shade"), (body, None), (fin, "shade")]
    eye = disc(x, y, -0.58, -0.12, 0.18), disc(x, y, -0.6, -0.12, 0.1)
    layers += [(eye[0], CREAM), (eye[1], INK)]
    return union(body, tail, top), layers


def toy_duck(x, y, look):
    body = ellipse(x, y, 0.12, 0.42, 0.76, 0.46)
    tail = polygon(x, y, [(0.5, 0.2), (0.92, -0.16), (0.84, 0.5)], 0.07)
    head = disc(x, y, -0.36, -0.42, 0.44)
    neck = box(x, y, -0.32, 0.1, 0.3, 0.4, 0.1)
    beak = ellipse(x, y, -0.8, -0.32, 0.2, 0.15)
    wing = polygon(x, y, [(-0.16, 0.3), (0.52, 0.16), (0.3, 0.52)], 0.12)
    layers = [(beak, BEAK), (wing, "shade"), (disc(x, y, -0.44, -0.52, 0.12), INK)]
    return union(body, tail, head, neck), layers


def toy_car(x, y, look):
    side = (x - 0.02).abs()
    body = box(x, y, 0, 0.22, 0.97, 0.36, 0.22)
    cabin = polygon(x, y, [(-0.5, -0.52), (0.36, -0.52), (0.64, 0), (-0.66, 0)], 0.14)
    panes = polygon(
        x, y, [(-0.42, -0.46), (-0.1, -0.46), (-0.1, -0.1), (-0.5, -0.1)], 0.05
    )
    pane = polygon(
        x, y, [(0.12, -0.46), (0.3, -0.46), (0.48, -0.1), (0.12, -0.1)], 0.05
    )
    layers = [(union(panes, pane), GLASS), (disc(x, y, 0.86, 0.14, 0.1), LAMP)]
    for radius, paint in ((0.31, INK), (0.15, CREAM)):
        layers.append((disc(side, y, 0.52, 0.54, radius), paint))
    return union(body, cabin), layers


def toy_boat(x, y, look):
    hull = polygon(x, y, [(-0.86, 0.36), (0.86, 0.36), (0.5, 0.8), (-0.5, 0.8)], 0.1)
    deck = box(x, y, 0, 0.34, 0.95, 0.1, 0.08)
    big = polygon(x, y, [(0.12, -0.82), (0.78, 0.1), (0.12, 0.1)], 0.07)
    little = polygon(x, y, [(-0.2, -0.48), (-0.2, 0.1), (-0.66, 0.1)], 0.07)
    mast = capsule(x, y, (-0.03, -0.88), (-0.03, 0.4), 0.06)
    return union(big, little, hull), [(mast, WOOD), (deck, "shade")]


def toy_house(x, y, look):
    wall = box(x, y, 0, 0.4, 0.7, 0.54, 0.06)
    roof = polygon(x, y, [(0, -0.84), (0.86, -0.1), (-0.86, -0.1)], 0.09)
    chimney = box(x, y, 0.5, -0.62, 0.15, 0.3, 0.03)
    door = box(x, y, -0.26, 0.62, 0.2, 0.33, 0.08)
    window = box(x, y, 0.34, 0.42, 0.2, 0.2, 0.04)
    return wall, [
        (chimney, "shade"),
        (roof, "shade"),
        (door, INK),
        (window, LAMP),
    ]


def toy_tree(x, y, look):
    crown = union(
        disc(x, y, 0, -0.42, 0.53),
        disc(x.abs(), y, 0.44, -0.06, 0.48),
        box(x, y, 0, -0.02, 0.6, 0.42, 0.3),
    )
    trunk = box(x, y, 0, 0.62, 0.16, 0.34, 0.04)
    return crown, [(trunk, WOOD), (crown, None)]


def toy_doll(x, y, look):
    side = x.abs()
    head = disc(x, y, 0, -0.47, 0.48)
    torso = box(x, y, 0, 0.28, 0.37, 0.42, 0.2)
    leg = capsule(side, y, (0.2, 0.5), (0.34, 0.74), 0.2)
    arms = []
    for sign, k in ((-1, 0), (1, 1)):
        angle = look["pose"][:, k, None, None] * (math.pi / 180)
        hand = (sign * (0.2 + 0.62 * angle.cos()), 0.08 - 0.62 * angle.sin())
        arms.append(capsule(x, y, (sign * 0.2, 0.08), hand, 0.17))
    body = union(torso, leg, *arms)
    layers = [
        (ellipse(x, y, 0, -0.42, 0.36, 0.32), CREAM),
        (disc(side, y, 0.16, -0.47, 0.085), INK),
        (curve(x, y, 0, -0.3, 0.13, 0.08, 0.045), INK),
        (disc(x, y, 0, 0.26, 0.09), CREAM),
    ]
    return union(body, head), layers


TOYS = {
    "circle": toy_circle,
    "square": toy_square,
    "triangle": toy_triangle,
    "star": toy_star,
    "heart": toy_heart,
    "cross": toy_cross,
    "ring": toy_ring,
    "diamond": toy_diamond,
    "cat": toy_cat,
    "bunny": toy_bunny,
    "fish": toy_fish,
    "duck": toy_duck,
    "car": toy_car,
    "boat": toy_boat,
    "house": toy_house,
    "tree": toy_tree,
    "doll": toy_doll,
}


def silhouette(body: Tensor, layers: list) -> Tensor:
    """Distance to all that is painted: the body and what sticks out of it."""
    return union(body, *(distance for distance, _ in layers))


# centre, top, left, right, left foot, right foot of each toy; a doll's hands move
KEYPOINTS = {
    "circle": [(0, 0), (0, -0.9), (-0.9, 0), (0.9, 0), (-0.62, 0.62), (0.62, 0.62)],
    "square": [(0, 0), (0, -0.8), (-0.8, 0), (0.8, 0), (-0.72, 0.72), (0.72, 0.72)],
    "triangle": [
        (0, 0.2),
        (0, -0.8),
        (-0.5, 0.1),
        (0.5, 0.1),
        (-0.85, 0.7),
        (0.85, 0.7),
    ],
    "star": [
        (0, 0),
        (0, -0.85),
        (-0.87, -0.2),
        (0.87, -0.2),
        (-0.53, 0.8),
        (0.53, 0.8),
    ],
    "heart": [(0, 0), (0, -0.6), (-0.9, -0.3), (0.9, -0.3), (-0.2, 0.6), (0.2, 0.6)],
    "cross": [(0, 0), (0, -0.9), (-0.9, 0), (0.9, 0), (-0.3, 0.85), (0.3, 0.85)],
    "ring": [(0, -0.64), (0, -0.9), (-0.9, 0), (0.9, 0), (-0.62, 0.62), (0.62, 0.62)],
    "diamond": [(0, 0), (0, -0.9), (-0.6, 0), (0.6, 0), (-0.1, 0.75), (0.1, 0.75)],
    "cat": [(0, 0.3), (0, -0.4), (-0.8, -0.85), (0.8, -0.85), (-0.6, 0.7), (0.6, 0.7)],
    "bunny": [(0, 0.5), (0, 0), (-0.38, -0.9), (0.38, -0.9), (-0.4, 0.8), (0.4, 0.8)],
    "fish": [(-0.2, 0), (0, -0.7), (-0.9, 0), (0.75, 0), (-0.4, 0.45), (0.85, 0.5)],
    "duck": [
        (0.1, 0.4),
        (-0.36, -0.8),
        (-0.9, -0.32),
        (0.9, 0),
        (-0.3, 0.7),
        (0.5, 0.75),
    ],
    "car": [(0, 0.2), (0, -0.6), (-0.9, 0.2), (0.9, 0.2), (-0.5, 0.8), (0.54, 0.8)],
    "boat": [
        (0, 0.6),
        (-0.03, -0.85),
        (-0.85, 0.4),
        (0.85, 0.4),
        (-0.5, 0.8),
        (0.5, 0.8),
    ],
    "house": [
        (0, 0.4),
        (0, -0.85),
        (-0.85, -0.1),
        (0.85, -0.1),
        (-0.6, 0.9),
        (0.6, 0.9),
    ],
    "tree": [(0, 0), (0, -0.9), (-0.85, 0), (0.85, 0), (-0.1, 0.9), (0.1, 0.9)],
    "doll": [(0, 0.2), (0, -0.9), (-0.8, 0), (0.8, 0), (-0.35, 0.85), (0.35, 0.85)],
}
