"""The grounds, drawn: plain, striped and fading colours, and six settings."""

from functools import lru_cache

import torch
from torch import Tensor

from course_utils.toybox.palette import CREAM, GROUNDS, LAMP, TONES
from course_utils.toybox.sdf import box, capsule, curve, disc, ellipse, union


def paint(canvas: Tensor, distance: Tensor, colour, size: int) -> Tensor:
    """Canvas (3, S, S) with a figure on it, its edge one pixel soft."""
    cover = (0.5 - distance * size).clamp(0, 1)
    return torch.lerp(canvas, flat(colour, canvas), cover)


def flat(colour, like: Tensor) -> Tensor:
    """A colour as (3, 1, 1)."""
    return torch.tensor(colour, device=like.device).view(3, 1, 1)


def fade(x: Tensor, y: Tensor, top, bottom) -> Tensor:
    """(3, S, S) from one colour to another, downwards."""
    return torch.lerp(flat(top, x), flat(bottom, x), y.expand_as(x))


def _tone(x, y, size, style, name):
    main, second = TONES[name]
    if style == "fading":
        return fade(x, y, main, second)
    canvas = flat(main, x).expand(3, *x.shape)
    if style == "striped":  # four pairs of upright stripes
        stripe = ((x * 4 + 0.25) % 1 - 0.5).abs() / 4 - 1 / 16
        canvas = paint(canvas, stripe, second, size)
    return canvas


def _sky(x, y, size, main, second):
    canvas = fade(x, y, main, second)
    for cx, cy, r in ((0.2, 0.2, 0.075), (0.78, 0.36, 0.06), (0.36, 0.8, 0.065)):
        cloud = union(
            disc(x, y, cx, cy, r),
            disc(x, y, cx - 1.2 * r, cy + 0.35 * r, 0.65 * r),
            disc(x, y, cx + 1.2 * r, cy + 0.3 * r, 0.7 * r),
            box(x, y, cx, cy + 0.55 * r, 1.75 * r, 0.45 * r, 0.4 * r),
        )
        canvas = paint(canvas, cloud, (1.0, 1.0, 1.0), size)
    return canvas


def _snow(x, y, size, main, second):
    canvas = fade(x, y, second, main)
    canvas = paint(canvas, ellipse(x, y, 0.2, 1.05, 0.6, 0.4), (0.9, 0.95, 0.99), size)
    canvas = paint(canvas, ellipse(x, y, 0.85, 1.1, 0.6, 0.36), (1.0, 1.0, 1.0), size)
    flakes = ((0.1, 0.12), (0.38, 0.06), (0.66, 0.16), (0.9, 0.08), (0.24, 0.36))
    for cx, cy in flakes + ((0.52, 0.3), (0.8, 0.4), (0.06, 0.56), (0.94, 0.62)):
        canvas = paint(canvas, disc(x, y, cx, cy, 0.016), (1.0, 1.0, 1.0), size)
    return canvas


def _sand(x, y, size, main, second):
    canvas = flat(main, x).expand(3, *x.shape)
    for cx, cy, w in (
        (0.25, 0.18, 0.2),
        (0.74, 0.42, 0.24),
        (0.22, 0.66, 0.22),
        (0.72, 0.9, 0.2),
    ):
        canvas = paint(canvas, curve(x, y, cx, cy, w, -0.05, 0.012), second, size)
    return canvas


def _sea(x, y, size, main, second):
    canvas = fade(x, y, main, second)
    foam = (0.62, 0.87, 0.93)
    for k, cy in enumerate((0.1, 0.34, 0.58, 0.82)):
        wave = ((x + 0.125 * (k % 2)) % 0.25 - 0.125) / 0.125  # -1..1 along each arch
        line = (y - cy - 0.03 * wave * wave).abs() - 0.009
        canvas = paint(canvas, line, foam, size)
    return canvas


def _night(x, y, size, main, second):
    canvas = fade(x, y, main, second)
    moon = torch.maximum(disc(x, y, 0.84, 0.15, 0.1), -disc(x, y, 0.79, 0.12, 0.085))
    canvas = paint(canvas, moon, LAMP, size)
    stars = (
        (0.12, 0.1),
        (0.4, 0.16),
        (0.62, 0.06),
        (0.08, 0.42),
        (0.34, 0.5),
        (0.62, 0.38),
    )
    for cx, cy in stars + ((0.92, 0.5), (0.16, 0.78), (0.5, 0.86), (0.78, 0.74)):
        canvas = paint(canvas, disc(x, y, cx, cy, 0.013), CREAM, size)
    return canvas


def _grass(x, y, size, main, second):
    canvas = fade(x, y, (0.75, 0.9, 0.97), second)
    canvas = paint(canvas, ellipse(x, y, 0.8, 0.95, 0.8, 0.55), (0.68, 0.87, 0.5), size)
    canvas = paint(canvas, ellipse(x, y, 0.15, 1.1, 0.9, 0.55), main, size)
    for cx, cy in ((0.1, 0.72), (0.33, 0.9), (0.58, 0.74), (0.85, 0.88), (0.36, 0.66)):
        for lean in (-0.02, 0.02):
            blade = capsule(x, y, (cx, cy), (cx + lean, cy - 0.045), 0.008)
            canvas = paint(canvas, blade, (0.42, 0.7, 0.3), size)
    return canvas


DRAWN_SETTINGS = {
    "sky": _sky,
    "snow": _snow,
    "sand": _sand,
    "sea": _sea,
    "night": _night,
    "grass": _grass,
}


@lru_cache(maxsize=8)
def backdrops(size: int, device: str = "cpu") -> Tensor:
    """Every ground in the order of GROUNDS: (G, 3, size, size) in [-1, 1]."""
    at = (torch.arange(size, device=device) + 0.5) / size
    y, x = torch.meshgrid(at, at, indexing="ij")
    drawn = []
    for name, areas in GROUNDS.items():
        style, _, colour = name.partition(" ")
        if colour:
            drawn.append(_tone(x, y, size, style, colour))
        else:
            drawn.append(DRAWN_SETTINGS[name](x, y, size, *areas))
    return torch.stack(drawn) * 2 - 1
