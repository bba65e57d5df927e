"""Scenes become pixels, masks, edges, scribbles, segmentation, depth and keypoints.

Every thing is drawn from its signed distances on a small window of the picture, things of
one kind together; windows are then laid over the grounds, far things first.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.toybox import grounds
from course_utils.toybox.palette import COLOURS, CREAM, GROUNDS, INK
from course_utils.toybox.scene import ATTRIBUTES, Scene
from course_utils.toybox.shapes import KEYPOINTS, TOYS, silhouette

LINE, RIM = (
    0.16,
    0.1,
)  # thickness of outlines and of the rim of patterns, in half widths
_TOYS, _GROUNDS = list(TOYS), list(GROUNDS)


class Windows(NamedTuple):
    """All N things of some scenes, each drawn on its own window of P x P pixels."""

    scene: Tensor  # (N,) which scene
    slot: Tensor  # (N,) which thing of it
    rows: Tensor  # (N, P) pixel rows in the picture
    columns: Tensor  # (N, P)
    paint: Tensor  # (N, 4, P, P) red, green, blue times alpha; alpha
    distance: Tensor  # (N, P, P) to the silhouette, in picture widths


def windows(scenes: Sequence[Scene], size: int, device: str = "cpu") -> Windows:
    """Draw every thing of the scenes, sorted by toy."""
    if size < 8:
        raise ValueError(f"size={size}: a picture needs at least 8 pixels")
    if not scenes:
        raise ValueError("scenes is empty: give at least one Scene")
    entries = [(t, b, k) for b, s in enumerate(scenes) for k, t in enumerate(s.things)]
    entries.sort(key=lambda entry: _TOYS.index(entry[0].toy))
    things = [entry[0] for entry in entries]
    where = torch.tensor([entry[1:] for entry in entries], device=device)
    numbers = torch.tensor(
        [(*t.centre, t.width / 2, math.radians(t.turn)) for t in things], device=device
    )
    cx, cy, half, turn = (column[:, None, None] for column in numbers.T)  # (N, 1, 1)
    reach = 1.02 * float(half.max()) * (1.42 if turn.any() else 1.0)
    side = min(size, math.ceil(2 * reach * size) + 2)
    steps = torch.arange(side, device=device)
    corner = (numbers[:, :2] * size - side / 2).round().clamp(0, size - side).long()
    columns, rows = (corner.T[..., None] + steps).unbind()  # (N, P) each
    dx = ((columns + 0.5) / size)[:, None, :] - cx  # (N, 1, P)
    dy = ((rows + 0.5) / size)[:, :, None] - cy  # (N, P, 1)
    if turn.any():  # else row and column stay apart, which is faster
        dx, dy = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
    paint, distance = _paint(things, dx, dy, half, size)
    return Windows(where[:, 0], where[:, 1], rows, columns, paint, distance)


def _paint(things, dx: Tensor, dy: Tensor, half: Tensor, size: int):
    """Colours with alpha (N, 4, P, P) and distances (N, P, P) of things sorted by toy."""
    marks = _marks([t.pattern for t in things], dx, dy, half, size)
    rims = [LINE if t.pattern == "outlined" else RIM for t in things]
    depth_of_rim = dx.new_tensor(rims)[:, None, None]
    colour = dx.new_tensor([COLOURS[t.colour] for t in things])  # (N, 3)
    mood = dx.new_tensor([{"sad": -1.0}.get(t.mood, 1.0) for t in things])
    pose = dx.new_tensor([t.pose for t in things])
    distance = torch.empty_like(marks)
    paint = marks[:, None].repeat(1, 4, 1, 1)
    start = 0
    while start < len(things):
        stop = start + 1
        while stop < len(things) and things[stop].toy == things[start].toy:
            stop += 1
        s = slice(start, stop)
        look = {"mood": mood[s, None, None], "pose": pose[s]}
        body, layers = TOYS[things[start].toy](dx[s] / half[s], dy[s] / half[s], look)
        inner = cover((body + depth_of_rim[s]) * half[s], size)
        mark = (marks[s] * inner)[:, None]  # (n, 1, P, P)
        cream = dx.new_tensor(CREAM).view(1, 3, 1, 1)
        base = torch.lerp(colour[s, :, None, None], cream, mark)  # (n, 3, P, P)
        paint[s] = _layers(base, body, layers, colour[s], half[s], size)
        distance[s] = silhouette(body, layers) * half[s]
        start = stop
    return paint, distance


def _layers(base, body, layers, colour, half, size: int) -> Tensor:
    """Body and layers over one another; alpha last (n, 4, P, P)."""
    alpha = cover(body * half, size)[:, None]
    canvas = torch.cat([base * alpha, alpha], dim=1)
    shade = torch.lerp(colour, colour.new_tensor(INK), 0.3)
    for distance, paint in layers:
        over = cover(distance * half, size)[:, None]
        if paint is None:  # the body's own paint once more
            canvas[:, :3] = torch.lerp(canvas[:, :3], base, over)
            canvas[:, 3:] = torch.lerp(canvas[:, 3:], torch.ones_like(over), over)
            continue
        flat = shade if paint == "shade" else colour.new_tensor(paint).expand_as(shade)
        flat = torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1)[:, :, None, None]
        canvas = torch.lerp(canvas, flat, over)
    return canvas


def _marks(patterns: list[str], dx: Tensor, dy: Tensor, half: Tensor, size: int):
    """How much of each pixel is cream, were there no rim: (N, P, P)."""
    marks = torch.zeros_like(dx + dy)
    for name in ("outlined", "striped", "dotted"):
        some = [k for k, pattern in enumerate(patterns) if pattern == name]
        if not some:
            continue
        along, across = (dx + dy)[some] * 0.5**0.5, (dx - dy)[some] * 0.5**0.5
        if name == "outlined":
            marks[some] = 1.0
        elif name == "striped":
            period = 0.045 + 0.3 * half[some]
            far = ((_phase(along / period) - 0.5).abs() - 0.25) * period
            marks[some] = cover(far, size)
        else:  # dots on a lattice
            period = 0.05 + 0.33 * half[some]
            u, v = (_phase(c / period + 0.5) - 0.5 for c in (along, across))
            marks[some] = cover(((u * u + v * v).sqrt() - 0.27) * period, size)
    return marks


def _phase(x: Tensor) -> Tensor:
    return x - x.floor()


def cover(distance: Tensor, size: int) -> Tensor:
    """How much of a pixel lies inside: 1 inside, 0 outside, a ramp one pixel wide."""
    return (0.5 - distance * size).clamp(0, 1)


def render(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """Pictures of the scenes: (B, 3, size, size) in [-1, 1].

    The same scene at another size is the same picture, sampled finer.
    """
    drawn = windows(scenes, size, device)
    which = torch.tensor([_GROUNDS.index(s.ground) for s in scenes], device=device)
    canvas = grounds.pictures(size, str(device)).index_select(0, which)  # (B, 3, S, S)
    clear = 1 - drawn.paint[:, 3:]
    paint = drawn.paint[:, :3] * 2 - drawn.paint[:, 3:]  # in -1..1, times alpha
    corners = torch.stack([drawn.scene, drawn.slot, drawn.rows[:, 0]], 1).tolist()
    columns, side = drawn.columns[:, 0].tolist(), drawn.rows.shape[1]
    for n in sorted(range(len(corners)), key=lambda n: corners[n][1]):  # far to near
        b, _, row = corners[n]
        under = canvas[b, :, row : row + side, columns[n] : columns[n] + side]
        under.mul_(clear[n]).add_(paint[n])
    return canvas


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
        wobble = wobble + 0.016 * (10 / frequency) * (across + down)
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
    """Nearness: (B, 1, size, size), 0 the ground, then the things in equal steps to 1."""
    seen = masks(scenes, size, device)
    order = torch.arange(1, seen.shape[1] + 1, device=device)[None, :, None, None]
    count = torch.tensor([len(s.things) for s in scenes], device=device)
    steps = (seen * order).amax(1, keepdim=True)  # (B, 1, S, S)
    return steps / count[:, None, None, None]


def keypoints(scenes: Sequence[Scene], size: int = 64, device: str = "cpu") -> Tensor:
    """Six points of each thing as (x, y) pixels: (B, things, 6, 2).

    In the order centre, top, left, right, left foot, right foot (a doll's left and right
    are its hands); nan where there is no thing.
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
        for k, sign in ((0, -1), (1, 1)):
            angle = math.radians(thing.pose[k])
            local[2 + k] = (
                sign * (0.2 + 0.62 * math.cos(angle)),
                0.08 - 0.62 * math.sin(angle),
            )
    turn, half, (cx, cy) = math.radians(thing.turn), thing.width / 2, thing.centre
    cos, sin = math.cos(turn) * half, math.sin(turn) * half
    return [(cx + x * cos - y * sin, cy + x * sin + y * cos) for x, y in local]
