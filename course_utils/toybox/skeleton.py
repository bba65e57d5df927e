"""Points on the toys, and skeletons drawn of them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.images import check_whole
from course_utils.toybox.grounds import paint
from course_utils.toybox.palette import COLOURS
from course_utils.toybox.scene import Scene, Thing, check_scenes
from course_utils.toybox.sdf import capsule
from course_utils.toybox.shapes import foot, hand

# centre, top, left, right, left foot, right foot of each toy; a doll's hands move
# fmt: off
KEYPOINTS = {
    "circle": [(0, 0), (0, -0.9), (-0.9, 0), (0.9, 0), (-0.62, 0.62), (0.62, 0.62)],
    "square": [(0, 0), (0, -0.8), (-0.8, 0), (0.8, 0), (-0.72, 0.72), (0.72, 0.72)],
    "triangle": [
        (0, 0.2), (0, -0.8), (-0.5, 0.1),
        (0.5, 0.1), (-0.85, 0.7), (0.85, 0.7),
    ],
    "star": [
        (0, 0), (0, -0.85), (-0.87, -0.2),
        (0.87, -0.2), (-0.53, 0.8), (0.53, 0.8),
    ],
    "heart": [(0, 0), (0, -0.6), (-0.9, -0.3), (0.9, -0.3), (-0.2, 0.6), (0.2, 0.6)],
    "cross": [(0, 0), (0, -0.9), (-0.9, 0), (0.9, 0), (-0.3, 0.85), (0.3, 0.85)],
    "ring": [(0, -0.64), (0, -0.9), (-0.9, 0), (0.9, 0), (-0.62, 0.62), (0.62, 0.62)],
    "diamond": [(0, 0), (0, -0.9), (-0.6, 0), (0.6, 0), (-0.1, 0.75), (0.1, 0.75)],
    "cat": [(0, 0.3), (0, -0.4), (-0.8, -0.85), (0.8, -0.85), (-0.6, 0.7), (0.6, 0.7)],
    "bunny": [(0, 0.5), (0, 0), (-0.38, -0.9), (0.38, -0.9), (-0.4, 0.8), (0.4, 0.8)],
    "fish": [(-0.2, 0), (0, -0.7), (-0.9, 0), (0.75, 0), (-0.4, 0.45), (0.85, 0.5)],
    "duck": [
        (0.1, 0.4), (-0.36, -0.8), (-0.9, -0.32),
        (0.9, 0), (-0.3, 0.7), (0.5, 0.75),
    ],
    "car": [(0, 0.2), (0, -0.6), (-0.9, 0.2), (0.9, 0.2), (-0.5, 0.8), (0.54, 0.8)],
    "boat": [
        (0, 0.6), (-0.03, -0.85), (-0.85, 0.4),
        (0.85, 0.4), (-0.5, 0.8), (0.5, 0.8),
    ],
    "house": [
        (0, 0.4), (0, -0.85), (-0.85, -0.1),
        (0.85, -0.1), (-0.6, 0.9), (0.6, 0.9),
    ],
    "tree": [(0, 0), (0, -0.9), (-0.85, 0), (0.85, 0), (-0.1, 0.9), (0.1, 0.9)],
    "doll": [(0, 0.2), (0, -0.9), (-0.8, 0), (0.8, 0), (-0.35, 0.85), (0.35, 0.85)],
}
# fmt: on


def keypoints(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """Six points of each thing as (x, y) pixels: (B, things, 6, 2).

    In the order centre, top, left, right, left foot, right foot (of a doll, left and
    right are its hands); nan where there is no thing.
    """
    check_scenes(scenes)
    check_whole(size, "size", 8)
    most = max(len(s.things) for s in scenes)
    points = torch.full((len(scenes), most, 6, 2), math.nan, device=device)
    for b, scene in enumerate(scenes):
        for k, thing in enumerate(scene.things):
            points[b, k] = torch.tensor(_keypoints(thing), device=device) * size
    return points


def _keypoints(thing: Thing) -> list[tuple[float, float]]:
    local = list(KEYPOINTS[thing.toy])
    if thing.toy == "doll":
        angles = torch.tensor(thing.pose) * (math.pi / 180)
        local[2:4] = [_point(hand, s, a) for s, a in zip((-1, 1), angles, strict=True)]
    if thing.legs:
        angles = torch.tensor(thing.legs) * (math.pi / 180)
        local[4:6] = [_point(foot, s, a) for s, a in zip((-1, 1), angles, strict=True)]
    turn, half, (cx, cy) = math.radians(thing.turn), thing.width / 2, thing.centre
    cos, sin = math.cos(turn) * half, math.sin(turn) * half
    return [(cx + x * cos - y * sin, cy + x * sin + y * cos) for x, y in local]


def _point(limb, sign: int, angle: Tensor) -> tuple[float, float]:
    x, y = limb(sign, angle)
    return float(x), float(y)


# of the bones from a doll's centre to its head, hands and feet
BONES = [COLOURS[name] for name in ("red", "yellow", "green", "blue", "pink")]


def poses(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """Skeletons of the dolls, in colours on black: (B, 3, size, size) in 0..1.

    Five bones from the centre, each of its own colour: to the top, to the left and the
    right hand, to the left and the right foot. Other toys have none.
    """
    joints = keypoints(scenes, size, device) / size  # (B, things, 6, 2)
    at = (torch.arange(size, device=device) + 0.5) / size
    x, y = at[None, :], at[:, None]
    pictures = torch.zeros(len(scenes), 3, size, size, device=device)
    for b, scene in enumerate(scenes):
        for k, thing in enumerate(scene.things):
            if thing.toy != "doll":
                continue
            for end, colour in zip(joints[b, k, 1:], BONES, strict=True):
                bone = capsule(x, y, joints[b, k, 0], end, 0.016)
                pictures[b] = paint(pictures[b], bone, colour, size)
    return pictures
