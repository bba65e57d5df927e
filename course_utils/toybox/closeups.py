"""Close-ups: one toy fills the picture, painted as in a picture book.

    album = toybox.sample_closeups(8, torch.Generator().manual_seed(0))
    toybox.render_closeups(album)       # (8, 3, 48, 48) in [-1, 1]
    toybox.closeup_captions(album, rng) # "a red cat", "a boat", "a sad bunny"

What a caption says is the toy, often its colour, and of a face its mood. All else is
free, and freer than in a scene: toys wobble, stretch, lean and look to either side;
they wear patches, and stand before patchy grounds strewn with blots. Never is one
upside down: which way up a picture is shows in it, and a flip illusion lives on that.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from course_utils.images import check_generator, check_whole
from course_utils.toybox.attributes import DRAWN, FACES, check_rng
from course_utils.toybox.draw import cover
from course_utils.toybox.palette import COLOURS, CREAM, INK, SETTINGS, TONES
from course_utils.toybox.shapes import TOYS
from course_utils.toybox.words import article

NAMES = list(COLOURS)
WAVES = 3  # plane waves in each of a picture's fields
FIELDS = 4  # they bend x, bend y, patch the toy, patch the ground
BLOTS = 4  # of paint, the first of them on the toy, the others behind it
FREE = 16  # other free numbers, see _picture
_GROUNDS = [tone for pair in (*TONES.values(), *SETTINGS.values()) for tone in pair]


class CloseUps(NamedTuple):
    """N close-ups; `free` and `waves` are what no caption says, in 0..1."""

    toy: Tensor  # (N,) long, which of DRAWN
    colour: Tensor  # (N,) long, which of COLOURS
    sad: Tensor  # (N,) bool; seen in faces only
    free: Tensor  # (N, FREE)
    waves: Tensor  # (N, FIELDS, WAVES, 3) direction, length, phase
    blots: Tensor  # (N, BLOTS, 7) x, y, two radii, turn, colour, is it there?

    def of(self, rows: Tensor) -> "CloseUps":
        """Some of them, by their numbers or by a mask."""
        return CloseUps(*(column[rows] for column in self))


def sample_closeups(
    n: int, generator: torch.Generator, toy: str | None = None
) -> CloseUps:
    """Draw n close-ups, of one toy of toybox.DRAWN or of all alike."""
    check_generator(generator)
    check_whole(n, "n")
    if toy is not None and toy not in DRAWN:
        raise ValueError(f"toy={toy!r} has no close-up; these have: {', '.join(DRAWN)}")
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    which = torch.randint(len(DRAWN), (n,), generator=generator)
    return CloseUps(
        which if toy is None else torch.full((n,), DRAWN.index(toy)),
        torch.randint(len(NAMES), (n,), generator=generator),
        draw(n) < 0.5,
        draw(n, FREE),
        draw(n, FIELDS, WAVES, 3),
        draw(n, BLOTS, 7),
    )


def closeup_captions(
    album: CloseUps, rng: np.random.Generator, keep: float = 0.4
) -> list[str]:
    """A caption for each; colour and mood are each said with probability `keep`."""
    check_rng(rng)
    said = rng.random((len(album.toy), 2)) < keep
    columns = album.toy.tolist(), album.colour.tolist(), album.sad.tolist(), said
    rows = zip(*columns, strict=True)
    captions = []
    for toy, colour, sad, (mood, hue) in rows:
        words = [("sad" if sad else "happy") if mood and DRAWN[toy] in FACES else ""]
        words += [NAMES[colour] if hue else "", DRAWN[toy]]
        captions.append(article(" ".join(filter(None, words))))
    return captions


def render_closeups(album: CloseUps, size: int = 48, device: str = "cpu") -> Tensor:
    """Pictures of the close-ups: (N, 3, size, size) in [-1, 1], on the device."""
    check_whole(size, "size", 16)
    album = CloseUps(*(column.to(device) for column in album))
    found = torch.empty(len(album.toy), 3, size, size, device=device)
    for number in album.toy.unique().tolist():
        rows = (album.toy == number).nonzero().flatten()
        found[rows] = _picture(DRAWN[number], album.of(rows), size)
    return found * 2 - 1


def _picture(toy: str, some: CloseUps, size: int) -> Tensor:
    """Close-ups of one toy, (n, 3, size, size) in [0, 1]."""
    free = some.free[..., None, None]  # (n, FREE, 1, 1)
    axis = (torch.arange(size, device=free.device) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    bend_x, bend_y, patch, cloud = _fields(some.waves, x, y)
    half = 0.74 + 0.2 * free[:, 0]  # of the picture's half width
    stretch = 1 + 0.24 * (free[:, 1] - 0.5)
    lean = math.radians(24) * (free[:, 2] - 0.5)
    px, py = x - 0.16 * (free[:, 3] - 0.5), y - 0.16 * (free[:, 4] - 0.5)
    px, py = px * lean.cos() + py * lean.sin(), py * lean.cos() - px * lean.sin()
    wobble = 0.12 * free[:, 5]
    px, py = px / half / stretch + wobble * bend_x, py / half + wobble * bend_y
    px = torch.where(free[:, 6] < 0.5, px, -px)
    look = dict(mood=torch.where(some.sad, -1.0, 1.0)[:, None, None])
    look["pose"] = some.free[:, 7:9] * 150 - 60
    body, *layers = TOYS[toy](px, py, look)
    main, second, back, behind = _colours(some)
    patched = (free[:, 9] < 0.5) * cover(half / 2 * 0.35 * (0.5 - patch), size)
    paint = torch.lerp(main, second, patched[:, None])
    ground = torch.lerp(back, behind, torch.sigmoid(6 * cloud)[:, None])
    ink = paint.new_tensor(INK).view(1, 3, 1, 1)
    first, *others = _blots(some.blots, x, y, size)
    paint = torch.lerp(paint, first[0], first[1] * 0.8)
    for colour, there in others:
        ground = torch.lerp(ground, colour, there)
    line = (free[:, 10] < 0.6) * (0.035 + 0.05 * free[:, 11])
    scale = half / 2  # distances are in the toy's half widths, cover wants pictures
    outer = body
    for layer, _ in layers if toy not in FACES else ():
        outer = torch.minimum(outer, layer)
    canvas = torch.lerp(ground, ink, cover((outer - line) * scale, size)[:, None])
    canvas = torch.lerp(canvas, paint, cover(body * scale, size)[:, None])
    shade = torch.lerp(paint, ink, 0.35)
    for layer, colour in layers:
        over = cover(layer * scale, size)[:, None]
        plain = {"shade": shade, "body": paint}
        flat = plain[colour] if colour in plain else None
        if flat is None:
            flat = paint.new_tensor(colour).view(1, 3, 1, 1).expand_as(paint)
        canvas = torch.lerp(canvas, flat, over)
    return canvas


def _fields(waves: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """FIELDS smooth random landscapes (n, H, W), about within -1..1."""
    turn = 2 * math.pi * waves[..., 0]
    number = 0.5 + waves[..., 1]  # waves per picture
    angle = (turn.cos() * number)[..., None, None] * x
    angle = angle + (turn.sin() * number)[..., None, None] * y
    phase = 2 * math.pi * waves[..., 2, None, None]
    return (math.pi * angle + phase).sin().mean(2).mul(1.7).unbind(1)


def _blots(blots: Tensor, x: Tensor, y: Tensor, size: int) -> list:
    """Of each blot its colour (n, 3, 1, 1) and where it is (n, 1, size, size)."""
    tones = blots.new_tensor([*COLOURS.values(), *_GROUNDS, CREAM, INK])
    found = []
    for k in range(BLOTS):
        cx, cy, a, b, turn, colour, there = blots[:, k].T[..., None, None]
        dx, dy = x - 2.4 * (cx - 0.5), y - 2.4 * (cy - 0.5)
        turn = math.pi * turn
        dx, dy = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
        wide, high = 0.08 + 0.5 * a * a, 0.08 + 0.3 * b * b
        far = ((dx / wide).square() + (dy / high).square()).sqrt() - 1
        inside = (there < 0.4) * cover(far * torch.minimum(wide, high) / 2, size)
        flat = tones[(colour.flatten() * len(tones)).long()][..., None, None]
        found.append((flat, inside[:, None]))
    return found


def _colours(some: CloseUps) -> tuple[Tensor, ...]:
    """Of the toy, its patches, the ground and its clouds: (n, 3, 1, 1) each.

    Of four grounds the one that is farthest from the toy's colour is taken.
    """
    free = some.free
    named = free.new_tensor(list(COLOURS.values()))
    main = named[some.colour] + 0.1 * (free[:, 12:15] - 0.5)
    second = torch.cat([named, named.new_tensor([CREAM, INK])])
    second = second[(free[:, 15] * len(second)).long()]
    grounds = torch.cat([named.new_tensor(_GROUNDS), named])
    picks = (free[:, [9, 11, 13, 15]] * 9973 % len(grounds)).long()  # (n, 4)
    far = (grounds[picks] - main[:, None]).square().sum(-1)
    near, best = far.argsort(1)[:, -2:].T
    rows = torch.arange(len(free), device=free.device)
    back, behind = grounds[picks[rows, best]], grounds[picks[rows, near]]
    behind = torch.lerp(back, behind, free[:, 8:9])
    return tuple(c.clamp(0, 1)[..., None, None] for c in (main, second, back, behind))
