"""What is known of a picture: masks, edges, scribbles, segments, depth, keypoints."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.toybox.attributes import ATTRIBUTES
from course_utils.toybox.draw import Windows, cover, windows
from course_utils.toybox.scene import Scene
from course_utils.toybox.shapes import hand

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


def _spread(drawn: Windows, values: Tensor, fill: float, size: int) -> Tensor:
    """Windows (N, P, P) laid into (B, things, S, S) full of `fill`."""
    shape = int(drawn.scene.max()) + 1, int(drawn.slot.max()) + 1, size, size
    field = values.new_full(shape, fill)
    field[
        drawn.scene[:, None, None],
        drawn.slot[:, None, None],
        drawn.rows[:, :, None],
        drawn.columns[:, None, :],
    ] = values
    return field


def _visible(drawn: Windows, size: int) -> Tensor:
    """How much of each pixel shows each thing: (B, things, S, S) in 0..1."""
    alpha = _spread(drawn, drawn.paint[:, 3], 0.0, size)
    clear = (1 - alpha).flip(1).cumprod(1).flip(1)  # through this thing and all nearer
    return alpha * torch.cat([clear[:, 1:], torch.ones_like(clear[:, :1])], dim=1)


def masks(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """What is seen of each thing: (B, things, size, size) bool.

    `things` is the most that a scene has; the masks of missing things are empty.
    """
    return _visible(windows(scenes, size, device), size) > 0.5


def edges(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """Outlines of the things, white on black: (B, 1, size, size) in 0..1."""
    drawn = windows(scenes, size, device)
    return _lines(drawn, drawn.distance, 0.75 / size, size)


def _lines(drawn: Windows, distance: Tensor, half_width: float, size: int) -> Tensor:
    line = _spread(drawn, cover(distance.abs() - half_width, size), 0.0, size)
    inside = _spread(drawn, cover(distance, size), 0.0, size)
    clear = (1 - inside).flip(1).cumprod(1).flip(1)  # nearer things hide the line
    hidden = torch.cat([clear[:, 1:], torch.ones_like(clear[:, :1])], dim=1)
    return (line * hidden).amax(1, keepdim=True)


def scribbles(
    scenes: Sequence[Scene], size: int = 64, device: str = "cpu", seed: int = 0
) -> Tensor:
    """Outlines as a shaky hand draws them: (B, 1, size, size) in 0..1."""
    drawn = windows(scenes, size, device)
    generator = torch.Generator().manual_seed(seed)
    waves = torch.rand(len(drawn.scene), 3, 2, generator=generator).to(device)
    wobble = torch.zeros_like(drawn.distance)
    for k, frequency in enumerate((14.0, 23.0, 37.0)):
        phase = 2 * math.pi * waves[:, k, :, None]  # (N, 2, 1)
        across = (frequency * drawn.columns / size + phase[:, 0]).sin()[:, None, :]
        down = (frequency * drawn.rows / size + phase[:, 1]).sin()[:, :, None]
        wobble = wobble + 0.1 / frequency * (across + down)
    return _lines(drawn, drawn.distance + wobble, 1.1 / 64, size)


def segmentation(
    scenes: Sequence[Scene], size: int = 64, device: str = "cpu"
) -> Tensor:
    """What each pixel shows: (B, size, size) long, 0 the ground, k the k-th toy."""
    seen = masks(scenes, size, device)  # (B, things, S, S)
    kinds = torch.zeros(seen.shape[:2], dtype=torch.long, device=device)
    for b, scene in enumerate(scenes):
        for k, thing in enumerate(scene.things):
            kinds[b, k] = 1 + ATTRIBUTES["toy"].index(thing.toy)
    return (seen * kinds[:, :, None, None]).amax(1)


def depth(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """Nearness: (B, 1, size, size), 0 the ground, the things in equal steps to 1."""
    seen = masks(scenes, size, device)
    order = torch.arange(1, seen.shape[1] + 1, device=device)[None, :, None, None]
    count = torch.tensor([len(s.things) for s in scenes], device=device)
    steps = (seen * order).amax(1, keepdim=True)  # (B, 1, S, S)
    return steps / count[:, None, None, None]


def keypoints(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """Six points of each thing as (x, y) pixels: (B, things, 6, 2).

    In the order centre, top, left, right, left foot, right foot (of a doll, left and
    right are its hands); nan where there is no thing.
    """
    most = max(len(s.things) for s in scenes)
    points = torch.full((len(scenes), most, 6, 2), math.nan, device=device)
    for b, scene in enumerate(scenes):
        for k, thing in enumerate(scene.things):
            points[b, k] = torch.tensor(_keypoints(thing), device=device) * size
    return points


def _keypoints(thing) -> list[tuple[float, float]]:
    local = list(KEYPOINTS[thing.toy])
    if thing.toy == "doll":
        angles = torch.tensor(thing.pose) * (math.pi / 180)
        local[2:4] = [
            tuple(map(float, hand(s, a))) for s, a in zip((-1, 1), angles, strict=True)
        ]
    turn, half, (cx, cy) = math.radians(thing.turn), thing.width / 2, thing.centre
    cos, sin = math.cos(turn) * half, math.sin(turn) * half
    return [(cx + x * cos - y * sin, cy + x * sin + y * cos) for x, y in local]
