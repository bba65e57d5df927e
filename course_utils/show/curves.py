"""Curves: one or several lines over x, named where one can tell them apart."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from .style import DASHED, SOFT, STYLE, array, axes, colours, shade
from .tables import short


@matplotlib.rc_context(STYLE)
def draw_curve(
    x,
    y,
    floor: float | None = None,
    ceiling: float | None = None,
    title: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
    log: str | None = None,
    smooth: int = 1,
) -> Figure:
    """Show y over x (n,): one line (n,), or {name: line} with the name at its end.

    A line of shape (runs, n) becomes its mean over the runs, shaded from the least to
    the greatest run. `log` is "x", "y" or "xy". Floor and ceiling are dashed. `smooth`
    averages over so many neighbours, for noisy losses; the raw line stays, faint.
    """
    if log not in (None, "x", "y", "xy"):
        raise ValueError(f'log must be None, "x", "y" or "xy", not {log!r}')
    fig, ax = axes(title=title)
    lines = y if isinstance(y, Mapping) else {"": y}
    named, bounds, x = [], [], array(x)
    for colour, (name, line) in zip(colours(len(lines)), lines.items(), strict=True):
        runs = np.atleast_2d(array(line))  # (runs, n)
        if runs.shape[1:] != x.shape:
            raise ValueError(f"y must have the length of x: x has {len(x)} values, "
                             f"{name or 'y'} has shape {runs.shape}")  # fmt: skip
        mean = runs.mean(0)
        if smooth > 1:
            ax.plot(x, mean, color=colour, alpha=0.2, linewidth=0.8)
            mean = _smoothed(mean, smooth)
        ax.plot(x, mean, color=colour, marker="o" if len(x) <= 24 else None, ms=4,
                clip_on=False)  # fmt: skip
        if len(runs) > 1:
            ax.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.16, lw=0)
        named.append((mean, name, colour))
    for where, word in ((floor, "floor"), (ceiling, "ceiling")):
        if where is not None:
            ax.axhline(where, **DASHED)
            bounds.append((where, f"{word} {short(where)}", SOFT))
    for name in log or "":
        ax.set(**{f"{name}scale": "log"})
        getattr(ax, f"{name}axis").set_major_formatter(lambda value, _: f"{value:g}")
    if len(x) <= 9:
        ax.set_xticks(x)
        ax.xaxis.set_minor_formatter("")  # a logarithmic axis would add its own
    ax.margins(y=0.06)
    ax.set_xlabel(xlabel)
    ax.set_title(ylabel, loc="left", size=9.5, color=SOFT)
    ax.autoscale_view()  # now, because the labels ask where things are
    if isinstance(y, Mapping):
        bounds += _label_lines(ax, x, named)
    _label_ends(ax, bounds)
    return fig


def _smoothed(line: np.ndarray, window: int) -> np.ndarray:
    """Return the running mean; at the ends over the neighbours that there are."""
    box = np.ones(min(window, len(line)))
    counts = np.convolve(np.ones(len(line)), box, "same")
    return np.convolve(line, box, "same") / counts


def _label_lines(ax, x: np.ndarray, named: list[tuple], gap: float = 0.09) -> list:
    """Return what to write at the lines' ends; if they meet there, write on the lines.

    A name goes where its line is farthest from all others, if that leaves it room.
    """
    to_axes = (ax.transScale + ax.transLimits).transform
    places = np.linspace(0.0, 1.0, 101)  # all heights are fractions of the axes too
    paths = [to_axes(np.stack([x, line], 1)).T for line, *_ in named]
    lines = np.array([np.interp(places, *path) for path in paths])  # (names, 101)
    last = np.sort(lines[:, -1])
    ends, crowded = [], (np.diff(last) < gap).any()
    for i, (line, name, colour) in enumerate(named):
        room = np.abs(np.delete(lines, i, 0) - lines[i]).min(0, initial=9.0)
        room = np.array([room[max(0, k - 7) : k + 8].min() for k in range(101)])
        best = 10 + int(room[10:91].argmax())
        if crowded and room[best] > gap:
            ax.text(places[best], lines[i, best], name, transform=ax.transAxes,
                    color=shade(colour), ha="center", va="center", weight="bold",
                    bbox={"facecolor": "white", "linewidth": 0, "pad": 1.5},
                    zorder=4)  # fmt: skip
        else:
            ends.append((line[np.isfinite(line)][-1], name, colour))
    return ends


def _label_ends(ax, ends: list[tuple], gap: float = 0.075) -> None:
    """Write names to the right of where their lines end, none over another."""
    to_axes = ax.transScale + ax.transLimits
    x = ax.get_xlim()[1]
    ends = sorted(ends, key=lambda end: end[0])
    places = [to_axes.transform((x, end[0]))[1] for end in ends]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    for i in reversed(range(len(places))):
        roof = 1.02 if i == len(places) - 1 else places[i + 1] - gap
        places[i] = min(places[i], roof)
    for place, (_, name, colour) in zip(places, ends, strict=True):
        bold = {} if colour == SOFT else {"weight": "bold", "size": 9.5}
        ax.text(1.012, place, name, transform=ax.transAxes, va="center",
                **{"color": shade(colour), "size": 9} | bold)  # fmt: skip
