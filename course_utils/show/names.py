"""Where the names of curves stand: beside their lines, and over none of them."""

import numpy as np

from .style import SOFT, shade, width_of

PLOT = (700, 270)  # about how many pixels of a figure are inside its axes
HIGH = 17 / PLOT[1]  # of a name, as a share of the axes
GAP = 0.075  # between names at the right edge


def write_names(ax, x: np.ndarray, lines: list[tuple], bounds: list[tuple]) -> None:
    """Write the names of lines (heights, name, colour) and of bounds (where, ...).

    A name stands to the right of its line's end. Where ends are too near each other it
    stands over or under the line, if a place is there that no line crosses.
    """
    to_axes = (ax.transScale + ax.transLimits).transform
    places = np.linspace(0.0, 1.0, 201)  # all heights are shares of the axes too
    paths = [to_axes(np.stack([x, line], 1)).T for line, *_ in lines]
    paths = [np.interp(places, *path) for path in paths]
    flat = [np.full(201, _height(ax, where)) for where, *_ in bounds]
    ends, boxes = list(bounds), []
    last = [path[-1] for path in [*paths, *flat]]
    for i, (line, name, colour) in enumerate(lines):
        others = [path for j, path in enumerate([*paths, *flat]) if j != i]
        near = min((abs(last[i] - o[-1]) for o in others), default=1.0)
        box = _place(paths[i], others, boxes, width_of(name, 9.5, "bold") / PLOT[0]) \
            if near < GAP else None  # fmt: skip
        if box is None:
            ends.append((line[np.isfinite(line)][-1], name, colour))
            continue
        boxes.append(box)
        ax.text((box[0] + box[1]) / 2, (box[2] + box[3]) / 2, name, size=9.5,
                transform=ax.transAxes, color=shade(colour), ha="center", va="center",
                weight="bold", zorder=4)  # fmt: skip
    _write_ends(ax, ends)


def _height(ax, value: float) -> float:
    """Return where a value lies, as a share of the axes' height."""
    point = (ax.get_xlim()[1], value)
    return (ax.transScale + ax.transLimits).transform(point)[1]


def _place(own, others, boxes, wide: float) -> tuple | None:
    """Return (left, right, low, high) of the freest place along a line, or None."""
    half, best, room = int(wide * 100) + 1, None, 0.03
    for middle in range(half + 4, 197 - half, 4):
        part = slice(middle - half, middle + half + 1)
        left, right = (middle - half) / 200, (middle + half) / 200
        for low in (own[part].max() + 0.02, own[part].min() - 0.02 - HIGH):
            high = low + HIGH
            if low < 0 or high > 1.02:
                continue
            gaps = [max(o[part].min() - high, low - o[part].max()) for o in others]
            gaps += [
                max(left - r, a - right, b - high, low - t) for a, r, b, t in boxes
            ]
            free = min(gaps, default=1.0) - np.ptp(own[part]) / 2  # rather where flat
            if free > room:
                best, room = (left, right, low, high), free
    return best


def _write_ends(ax, ends: list[tuple]) -> None:
    """Write names to the right of where lines end, none over another, led if apart."""
    ends = sorted(ends, key=lambda end: end[0])
    true = [_height(ax, end[0]) for end in ends]
    places = list(true)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + GAP)
    for i in reversed(range(len(places))):
        roof = 1.02 if i == len(places) - 1 else places[i + 1] - GAP
        places[i] = min(places[i], roof)
    led = any(abs(a - b) > 0.012 for a, b in zip(true, places, strict=True))
    for at, place, (_, name, colour) in zip(true, places, ends, strict=True):
        if led:
            ax.plot([1.004, 1.02], [at, place], transform=ax.transAxes, color=colour,
                    linewidth=0.9, clip_on=False)  # fmt: skip
        bold = {} if colour == SOFT else {"weight": "bold", "size": 9.5}
        ax.text(1.026 if led else 1.012, place, name, transform=ax.transAxes,
                va="center", **{"color": shade(colour), "size": 9} | bold)  # fmt: skip
