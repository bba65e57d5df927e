"""What is known of a picture: masks, edges, scribbles, segments, depth."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.images import check_whole
from course_utils.toybox.attributes import ATTRIBUTES
from course_utils.toybox.draw import Windows, cover, windows
from course_utils.toybox.scene import Scene


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
    check_whole(seed, "seed", 0)
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
