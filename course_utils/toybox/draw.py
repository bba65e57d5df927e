"""Scenes as pixels.

Every thing is drawn from its signed distances on a small window of the picture, things
of one kind together; windows are then laid over the grounds, far things first.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.images import check_whole
from course_utils.toybox import grounds
from course_utils.toybox.palette import COLOURS, CREAM, GROUNDS, INK
from course_utils.toybox.scene import Scene, check_scenes
from course_utils.toybox.shapes import DOTS_BETWEEN, TOYS

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
    check_scenes(scenes)
    check_whole(size, "size", 8)
    entries = [(t, b, k) for b, s in enumerate(scenes) for k, t in enumerate(s.things)]
    entries.sort(key=lambda entry: _TOYS.index(entry[0].toy))
    things = [entry[0] for entry in entries]
    where = torch.tensor([entry[1:] for entry in entries], device=device)
    numbers = torch.tensor(
        [(*t.centre, t.width / 2, math.radians(t.turn)) for t in things], device=device
    )
    cx, cy, half, turn = (column[:, None, None] for column in numbers.T)  # (N, 1, 1)
    reach = float(half.max()) * (1.42 if turn.any() else 1.0)
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
    """Colours with alpha (N, 4, P, P) and distances (N, P, P), things sorted by toy."""
    patterns = [t.pattern for t in things]
    marks = _marks(things, dx, dy, half, size)
    rims = dx.new_tensor([LINE if p == "outlined" else RIM for p in patterns])
    colour = dx.new_tensor([COLOURS[t.colour] for t in things])  # (N, 3)
    mood = dx.new_tensor([{"sad": -1.0}.get(t.mood, 1.0) for t in things])
    pose = dx.new_tensor([t.pose for t in things])
    legs = dx.new_tensor([t.legs or (math.nan, math.nan) for t in things])
    distance = torch.empty_like(marks)
    paint = marks[:, None].repeat(1, 4, 1, 1)
    for toy in dict.fromkeys(t.toy for t in things):
        some = [k for k, t in enumerate(things) if t.toy == toy]
        s = slice(some[0], some[-1] + 1)  # they lie side by side
        look = {"mood": mood[s, None, None], "pose": pose[s], "legs": legs[s]}
        body, *layers = TOYS[toy](dx[s] / half[s], dy[s] / half[s], look)
        mark = marks[s] * cover((body + rims[s, None, None]) * half[s], size)
        dotted = [k for k in some if patterns[k] == "dotted"]
        if dotted:
            look = {"mood": mood[dotted, None, None], "pose": pose[dotted]}
            look["legs"] = legs[dotted]
            whole = _whole_dots(toy, look, dx[dotted], dy[dotted], half[dotted])
            mark[[k - some[0] for k in dotted]] *= whole
        cream = dx.new_tensor(CREAM).view(1, 3, 1, 1)
        base = torch.lerp(
            colour[s, :, None, None], cream, mark[:, None]
        )  # (n, 3, P, P)
        paint[s] = _layers(base, body, layers, colour[s], half[s], size)
        for layer, _ in layers:
            body = torch.minimum(body, layer)
        distance[s] = body * half[s]
    return paint, distance


def _whole_dots(toy: str, look: dict, dx: Tensor, dy: Tensor, half: Tensor) -> Tensor:
    """1 where the nearest dot is mostly on the toy, 0 where little would show of it."""
    period, start = _dot_period(half), 0.5 * (toy in DOTS_BETWEEN)
    steps = (torch.arange(-6, 7, device=dx.device) + start) * period  # (n, 1, 13)
    along, across = steps.mT, steps
    x, y = (along + across) * 0.5**0.5, (along - across) * 0.5**0.5  # (n, 13, 13)
    body = next(TOYS[toy](x / half, y / half, look))
    whole = (body < -0.07).to(dx.dtype).flatten(1)  # (n, 169)
    row = ((dx + dy) * 0.5**0.5 / period - start).round().clamp(-6, 6) + 6
    column = ((dx - dy) * 0.5**0.5 / period - start).round().clamp(-6, 6) + 6
    nearest = (row * 13 + column).long()  # (n, P, P)
    return whole.gather(1, nearest.flatten(1)).view_as(nearest)


def _dot_period(half: Tensor) -> Tensor:
    return 0.045 + 0.2 * half


def _layers(base, body, layers, colour, half, size: int) -> Tensor:
    """Body and layers over one another; alpha last (n, 4, P, P)."""
    alpha = cover(body * half, size)[:, None]
    canvas = torch.cat([base * alpha, alpha], dim=1)
    shade = torch.lerp(colour, colour.new_tensor(INK), 0.3)
    for distance, paint in layers:
        over = cover(distance * half, size)[:, None]
        if paint == "body":
            canvas[:, :3] = torch.lerp(canvas[:, :3], base, over)
            canvas[:, 3:] = torch.lerp(canvas[:, 3:], torch.ones_like(over), over)
            continue
        flat = shade if paint == "shade" else colour.new_tensor(paint).expand_as(shade)
        flat = torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1)[:, :, None, None]
        canvas = torch.lerp(canvas, flat, over)
    return canvas


def _marks(things: list, dx: Tensor, dy: Tensor, half: Tensor, size: int) -> Tensor:
    """How much of each pixel is cream, were there no rim: (N, P, P)."""
    marks = torch.zeros_like(dx + dy)
    for name in ("outlined", "striped", "dotted"):
        some = [k for k, thing in enumerate(things) if thing.pattern == name]
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
            period = _dot_period(half[some])
            start = [0.0 if things[k].toy in DOTS_BETWEEN else 0.5 for k in some]
            start = dx.new_tensor(start)[:, None, None]
            u, v = (_phase(c / period + start) - 0.5 for c in (along, across))
            marks[some] = cover(((u * u + v * v).sqrt() - 0.31) * period, size)
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
    canvas = grounds.backdrops(size, str(device)).index_select(0, which)  # (B, 3, S, S)
    clear = 1 - drawn.paint[:, 3:]
    paint = drawn.paint[:, :3] * 2 - drawn.paint[:, 3:]  # in -1..1, times alpha
    corners = torch.stack([drawn.scene, drawn.slot, drawn.rows[:, 0]], 1).tolist()
    columns, side = drawn.columns[:, 0].tolist(), drawn.rows.shape[1]
    for n in sorted(range(len(corners)), key=lambda n: corners[n][1]):  # far to near
        b, _, row = corners[n]
        under = canvas[b, :, row : row + side, columns[n] : columns[n] + side]
        under.mul_(clear[n]).add_(paint[n])
    return canvas
