"""A sheet to draw on in pixels: boxes, arrows and words, for drawings of machines."""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from .grids import enlarged, pixels, same_size
from .style import (
    DPI,
    INK,
    PALETTE,
    SOFT,
    STYLE,
    array,
    headline,
    headroom,
    shade,
    width_of,
)

NAME, NOTE = 11.0, 9.5  # sizes of type in points: a box's name, and all other words
LEADING = {NAME: 21, NOTE: 18}  # pixels from line to line

# what a box is -> (fill, edge): what flows, what learns, what is fixed, what is asked
KINDS = {
    "data": ("#ffffff", "#aab4bf"),
    "network": ("#dbe8f4", PALETTE[0]),
    "frozen": ("#e3e6ea", "#7d8894"),
    "loss": ("#f3e0ea", PALETTE[3]),
    "words": ("none", "none"),
}
# what an arrow means -> (colour, dashes)
ARROWS = {"flow": (INK, "solid"), "learn": (PALETTE[3], (0, (3.2, 2.2))),
          "skip": (PALETTE[1], "solid"), "reverse": (PALETTE[0], "solid")}  # fmt: skip


def extent(text: str, size: float = NOTE, weight: str = "normal") -> tuple[float, int]:
    """Return width and height in pixels of a text of one or several lines."""
    lines = str(text).split("\n") if text else []
    return max((width_of(line, size, weight) for line in lines), default=0.0), (
        LEADING[size] * len(lines)
    )


def look_of(kind: str, kinds: dict, what: str):
    """Return the look of a kind, or raise ValueError with the kinds that there are."""
    if kind not in kinds:
        raise ValueError(f"{what} must be one of {', '.join(kinds)}, not {kind!r}")
    return kinds[kind]


@dataclass(frozen=True)
class Box:
    """Where a box stands: its middle, its width and its height, in pixels."""

    x: float
    y: float
    wide: float
    high: float

    def edge(self, side: str, shift: float = 0.0) -> tuple[float, float]:
        """Return the middle of a side, moved along it by `shift` pixels."""
        across, down = {"left": (-1, 0), "right": (1, 0), "top": (0, -1),
                        "bottom": (0, 1)}[side]  # fmt: skip
        x, y = self.x + across * self.wide / 2, self.y + down * self.high / 2
        return (x, y + shift) if across else (x + shift, y)


class Content:
    """What stands in a box: a picture, a name, a note; and how much room that takes."""

    def __init__(self, name: str, note: str = "", picture=None, side: int = 84):
        self.name, self.note = str(name), str(note)
        self.cells = None
        if picture is not None:
            picture = same_size([array(picture, "a picture")])
            [self.cells] = enlarged(pixels(picture), side)
        self.picture_high = 0 if self.cells is None else len(self.cells) + 6
        name_wide, self.name_high = extent(self.name, NAME, "bold")
        note_wide, self.note_high = extent(self.note)
        inside = 0 if self.cells is None else self.cells.shape[1]
        self.wide = max(name_wide + 20, note_wide + 16, inside + 12, 40)
        self.high = self.picture_high + self.name_high + self.note_high + 14


class Sheet:
    """A blank sheet, `wide` and `high` pixels below its title; y runs downwards."""

    def __init__(self, wide: float, high: float, title: str | None = None):
        self.wide, top = round(wide), headroom(title, round(wide))
        with matplotlib.rc_context(STYLE):
            self.figure = Figure((self.wide / DPI, (high + top) / DPI), dpi=DPI)
            self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, self.wide),
                                             ylim=(high, -top))  # fmt: skip
            self.axes.set_axis_off()
            if title:
                headline(self.figure, title).set(y=1 - 8 / (high + top), va="top")

    def box(self, content: Content | str, x: float, y: float, kind: str = "data",
            wide: float = 0, high: float = 0) -> Box:  # fmt: skip
        """Draw a box around (x, y), as big as its content or as it is told to be."""
        content = content if isinstance(content, Content) else Content(content)
        box = Box(x, y, wide or content.wide, high or content.high)
        fill, edge = look_of(kind, KINDS, "kind")
        left, top = box.x - box.wide / 2, box.y - box.high / 2
        self.axes.add_patch(FancyBboxPatch(
            (left, top), box.wide, box.high, facecolor=fill, edgecolor=edge,
            boxstyle="round,pad=0,rounding_size=7", linewidth=1.4, zorder=3,
        ))  # fmt: skip
        y = box.y - content.high / 2 + 7
        if content.cells is not None:
            self._picture(content.cells, x, y)
            y += content.picture_high
        self.words(content.name, x, y + content.name_high / 2, NAME, INK, "bold")
        y += content.name_high
        self.words(content.note, x, y + content.note_high / 2)
        return box

    def _picture(self, cells: np.ndarray, x: float, top: float) -> None:
        high, wide = cells.shape[:2]
        left = round(x - wide / 2)
        self.axes.imshow(cells, extent=(left, left + wide, top + high, top), zorder=4,
                         aspect="auto", interpolation="nearest")  # fmt: skip

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """Draw a filled circle around (x, y)."""
        self.axes.add_patch(Circle((x, y), radius, color=colour, linewidth=0, zorder=5))

    def words(self, text: str, x: float, y: float, size: float = NOTE,
              colour: str = SOFT, weight: str = "normal", ha: str = "center",
              ) -> None:  # fmt: skip
        """Write a text with its middle at the height y."""
        em = size * DPI / 72
        self.axes.text(
            x, y, text, size=size, color=colour, weight=weight, ha=ha, va="center",
            linespacing=(LEADING[size] / em - 0.24) / 0.76, zorder=6,
        )  # fmt: skip

    def arrow(self, points: list[tuple[float, float]], text: str = "",
              kind: str = "flow", above: bool = True) -> None:  # fmt: skip
        """Draw an arrow through two or more points, its text beside its longest part.

        The text of a level part stands above it (or below), of an upright part to its
        right (or left).
        """
        colour, dashes = look_of(kind, ARROWS, "arrow")
        *_, before, tip = points = [np.array(point, float) for point in points]
        ahead = (tip - before) / max(np.linalg.norm(tip - before), 1e-9)
        aside = np.array([-ahead[1], ahead[0]])
        neck = tip - 9 * ahead
        self.axes.add_patch(PathPatch(
            _rounded([*points[:-1], neck]), facecolor="none", edgecolor=colour,
            linewidth=1.7, linestyle=dashes, capstyle="butt", zorder=2,
        ))  # fmt: skip
        self.axes.add_patch(Polygon([tip, neck + 4.5 * aside, neck - 4.5 * aside],
                                    color=colour, linewidth=0, zorder=2.5))  # fmt: skip
        if text:
            self._beside(points, text, shade(colour), above)

    def _beside(self, points: list, text: str, colour: str, above: bool) -> None:
        parts = list(zip(points, points[1:], strict=False))
        a, b = max(parts, key=lambda part: np.linalg.norm(part[1] - part[0]))
        (x, y), high = (a + b) / 2, extent(text)[1]
        if abs(b[0] - a[0]) >= abs(b[1] - a[1]):
            self.words(text, x, y - high / 2 - 4 if above else y + high / 2 + 4,
                       colour=colour)  # fmt: skip
        else:
            self.words(text, x + 8 if above else x - 8, y, colour=colour,
                       ha="left" if above else "right")  # fmt: skip


def _rounded(points: list[np.ndarray], radius: float = 8.0) -> Path:
    """Return the way through the points, its corners rounded."""
    corners, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        for end, code in ((before, Path.LINETO), (after, Path.CURVE3)):
            way = end - corner
            length = max(np.linalg.norm(way), 1e-9)
            near = corner + way / length * min(radius, length / 2)
            corners += [near] if code == Path.LINETO else [corner, near]
            codes += [code] if code == Path.LINETO else [code, code]
    return Path([*corners, points[-1]], [*codes, Path.LINETO])
