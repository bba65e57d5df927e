"""Subjects: toys with marks of their own, which no scene of the toybox ever shows.

    mine = toybox.Subject("star", "purple", marks={"hat": "red", "buttons": "yellow"})
    scenes, others = toybox.photo_scenes(mine)  # where it stands, and on what
    toybox.portray(mine, scenes)                # its pictures

So there is something that a model of the toybox cannot know, and has to be taught.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.images import check_kind, check_tensor, check_whole
from course_utils.toybox.attributes import PLACES, ROOM, known
from course_utils.toybox.draw import cover, windows
from course_utils.toybox.grounds import backdrops
from course_utils.toybox.marks import BEHIND, MARKS, POINTS
from course_utils.toybox.palette import ALLOWED, COLOURS, GROUNDS
from course_utils.toybox.scene import Scene, Thing, check_scenes
from course_utils.toybox.shapes import TOYS
from course_utils.toybox.skeleton import KEYPOINTS

FINE = 256  # pixels across the canvas on which a subject is drawn once
LARGE = 1.12  # its marks count as a part of it, so it is drawn a little larger
HALF = 0.23  # half the toy's width on that canvas: room for a hat above it


@dataclass(frozen=True, eq=False)
class Subject:
    """A toy with marks, or a drawing of yours; ValueError for what cannot be.

    toy      its kind, which is also the class noun: "a sks star"
    marks    which of the MARKS it has, and of what colour: {"hat": "red"}
    drawing  in place of colour, pattern and marks: (4, H, W) red, green, blue and
             alpha in 0..1; `toy` is then only what it is called
    """

    toy: str
    colour: str = "purple"
    pattern: str = "plain"
    marks: dict[str, str] = field(default_factory=dict)
    drawing: Tensor | None = None

    def __post_init__(self):
        """Refuse what the toybox has not, and drawings without anything on them."""
        for name in ("toy", "colour", "pattern"):
            known(name, getattr(self, name))
        if not isinstance(self.marks, dict):
            raise ValueError(
                f'marks must be a dict such as {{"hat": "red"}}, not {self.marks!r}'
            )
        for mark, colour in self.marks.items():
            if mark not in MARKS:
                raise ValueError(f"marks: no {mark!r}; there are {', '.join(MARKS)}")
            known("colour", colour)
        if self.drawing is not None:
            _check_drawing(self.drawing, self.marks)

    @cached_property
    def layers(self) -> Tensor:
        """All of it in its own square, (8 + marks, FINE, FINE) in 0..1.

        Red, green, blue, times alpha, and alpha; the same four without the marks; and
        how much of each mark is seen.
        """
        if self.drawing is None:
            whole, bare, seen = _drawn(self)
        else:
            alpha = self.drawing[3:].float()
            whole = bare = torch.cat([self.drawing[:3].float() * alpha, alpha])
            seen = whole[:0]
        return _square(torch.cat([whole, bare, seen]), whole[3])

    def sticker(self, size: int = 64) -> Tensor:
        """It alone, as large as fits: (4, size, size), colours times alpha; alpha."""
        check_whole(size, "size", 8)
        return _resized(self.layers[:4], size)

    @property
    def contrasts(self) -> list[str]:
        """The grounds on which it stands out."""
        colour = self.colour
        if self.drawing is not None:  # the palette's colour that is nearest to its mean
            mean = self.layers[:3].sum((1, 2)) / self.layers[3].sum()
            gaps = {c: (mean - mean.new_tensor(v)).norm() for c, v in COLOURS.items()}
            colour = min(gaps, key=gaps.get)
        return [ground for ground, allowed in ALLOWED.items() if colour in allowed]


def check_subject(subject: object) -> None:
    """Refuse anything but one Subject."""
    check_kind(subject, "subject", Subject, 'toybox.Subject("cat")')


def portray(subject: Subject, scenes: list[Scene], size: int = 64) -> Tensor:
    """Pictures of scenes, the subject in every toy's place: (B, 3, size, size).

    In [-1, 1]. Of a thing count its centre, width and turn.
    """
    return portray_layers(subject, scenes, size)[0]


def portray_layers(subject: Subject, scenes: list[Scene], size: int = 64) -> tuple:
    """Pictures as `portray`, the same without its marks, and masks of it and each mark.

    (B, 3, S, S) twice, in [-1, 1], and (B, 1 + marks, S, S) in 0..1.
    """
    check_subject(subject)
    check_scenes(scenes)
    check_whole(size, "size", 8)
    layers, fine = _resized(subject.layers, size), 2 * size
    at = (torch.arange(fine) + 0.5) / fine
    canvas = _grounds(scenes, size).repeat(2, 1, 1, 1, 1)
    masks = torch.zeros(len(scenes), 1 + len(layers) - 8, size, size)
    for b, scene in enumerate(scenes):
        for thing in scene.things:
            dx, dy = at - thing.centre[0], at[:, None] - thing.centre[1]
            turn = torch.tensor(thing.turn).deg2rad()
            u, v = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
            grid = torch.stack([u, v], -1)[None] / (thing.width / 2)
            found = F.grid_sample(layers[None], grid, align_corners=False)
            found = F.avg_pool2d(found, 2)[0]  # softens the edges
            for k in range(2):
                paint, alpha = found[4 * k : 4 * k + 3], found[4 * k + 3]
                canvas[k, b] = canvas[k, b] * (1 - alpha) + paint * 2 - alpha
            masks[b] = torch.maximum(masks[b], torch.cat([found[3:4], found[8:]]))
    return *canvas, masks


def photo_scenes(subject: Subject, n: int = 5, seed: int = 0) -> tuple[list, list]:
    """n scenes to photograph a subject in, and n others: two lists of Scene.

    All have a place and a ground of their own, and are a little turned and shifted: no
    ground or place of the others is in any of the first ones.
    """
    check_subject(subject)
    check_whole(n, "n")
    if n > 5:
        raise ValueError(f"n={n} must be at most 5: there are nine places")
    check_whole(seed, "seed", 0)
    rng = np.random.default_rng(seed)
    places = rng.permutation(PLACES).tolist()
    chosen = rng.permutation(subject.contrasts).tolist()
    both = zip(places, chosen, strict=False)
    scenes = [setting(subject, place, ground, rng) for place, ground in both]
    return scenes[:n], scenes[n : 2 * n]


def setting(
    subject: Subject, place: str, ground: str, rng: np.random.Generator | None = None
) -> Scene:
    """The subject, big, at a place on a ground; a little shifted and turned by rng."""
    check_subject(subject)
    right, down, grow, turn = (0, 0, 0, 0) if rng is None else rng.uniform(-1, 1, 4)
    thing = Thing(
        subject.toy,
        subject.colour,
        pattern=subject.pattern,
        place=place,
        shift=(float(ROOM["big"] * right), float(ROOM["big"] * down)),
        scale=float(LARGE * (1 + 0.05 * grow)),
        turn=float(10 * turn),
    )
    return Scene([thing], ground)


def _drawn(subject: Subject) -> tuple[Tensor, Tensor, Tensor]:
    """Whole and bare (4, FINE, FINE), and what is seen of each mark (marks, ...)."""
    thing = Thing(subject.toy, subject.colour, pattern=subject.pattern)
    paint = windows([Scene([thing])], FINE).paint[0]  # (4, P, P), in the middle
    edge = (FINE - paint.shape[-1]) // 2
    bare = F.pad(paint, [edge] * 4)
    at = ((torch.arange(FINE) + 0.5) / FINE - 0.5) / HALF
    x, y = at[None, :], at[:, None]
    look = {"mood": torch.ones(1), "pose": torch.zeros(1, 2)}
    body = next(TOYS[subject.toy](x, y, look)).squeeze(0)
    points = dict(zip(POINTS, KEYPOINTS[subject.toy], strict=True))
    layers = {}
    for mark, colour in subject.marks.items():
        alpha = cover(MARKS[mark](x, y, body, points) * HALF, FINE)
        layers[mark] = alpha * alpha.new_tensor([*COLOURS[colour], 1])[:, None, None]
    whole, seen = torch.zeros_like(bare), torch.zeros(len(layers), FINE, FINE)
    layers |= {"": bare}
    for mark in dict.fromkeys((*BEHIND, "", *MARKS)):  # from far to near
        if mark not in layers:
            continue
        layer = layers[mark]
        whole = whole * (1 - layer[3]) + layer
        seen *= 1 - layer[3]
        if mark:
            seen[list(subject.marks).index(mark)] = layer[3]
    return whole, bare, seen


def _square(layers: Tensor, alpha: Tensor) -> Tensor:
    """Layers cut to the smallest square around what alpha (H, W) shows, FINE wide."""
    rows, columns = (alpha > 0.02).nonzero().unbind(1)
    top, left = rows.min().item(), columns.min().item()
    high, wide = rows.max().item() + 1 - top, columns.max().item() + 1 - left
    cut = layers[:, top : top + high, left : left + wide]
    across, down = max(0, high - wide), max(0, wide - high)
    pads = across // 2, across - across // 2, down // 2, down - down // 2
    return _resized(F.pad(cut, pads), FINE)


def _resized(layers: Tensor, size: int) -> Tensor:
    resize = dict(mode="bilinear", align_corners=False, antialias=True)
    return F.interpolate(layers[None], (size, size), **resize)[0]


def _grounds(scenes: list[Scene], size: int) -> Tensor:
    return backdrops(size)[[list(GROUNDS).index(scene.ground) for scene in scenes]]


def _check_drawing(drawing: Tensor, marks: dict) -> None:
    check_tensor(drawing, "drawing")
    if drawing.ndim != 3 or len(drawing) != 4:
        raise ValueError(
            f"drawing has shape {tuple(drawing.shape)}: pass (4, H, W): red, green, "
            "blue and alpha"
        )
    if not ((drawing >= 0) & (drawing <= 1)).all():
        raise ValueError("drawing must lie in 0..1: divide bytes by 255")
    if not (drawing[3] > 0.02).any():
        raise ValueError("drawing is empty: its alpha is 0 everywhere; draw something")
    if marks:
        raise ValueError("marks are for toys; draw them into the drawing instead")
