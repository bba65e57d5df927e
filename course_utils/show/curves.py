"""Curves: one or several lines over x, named where one can tell them apart."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from .names import write_names
from .style import DASHED, SOFT, STYLE, array, axes, colours
from .tables import short

DASHES = ("-", "--", ":", "-.")  # for lines of one colour, such as two kinds of DDIM


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

    A method has its own colour (style.METHODS), two lines of it differ in their dashes.
    A line of shape (runs, n) becomes its mean over the runs, shaded from the least to
    the greatest run. `log` is "x", "y" or "xy". Floor and ceiling are dashed. `smooth`
    averages over so many neighbours, for noisy losses; the raw line stays, faint.
    """
    if log not in (None, "x", "y", "xy"):
        raise ValueError(f'log must be None, "x", "y" or "xy", not {log!r}')
    fig, ax = axes(title=title)
    lines = y if isinstance(y, Mapping) else {"": y}
    named, bounds, x, used = [], [], array(x, "x"), []
    for colour, (name, line) in zip(colours(lines), lines.items(), strict=True):
        runs = np.atleast_2d(array(line, name or "y"))  # (runs, n)
        if runs.shape[1:] != x.shape:
            raise ValueError(f"y must have the length of x: x has {len(x)} values, "
                             f"{name or 'y'} has shape {runs.shape}")  # fmt: skip
        dashes = DASHES[used.count(colour) % len(DASHES)]
        used.append(colour)
        named.append((_line(ax, x, runs, colour, dashes, smooth), name, colour))
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
    named = named if isinstance(y, Mapping) else []
    write_names(ax, x, named, bounds)
    return fig


def _line(ax, x, runs: np.ndarray, colour: str, dashes: str, smooth: int) -> np.ndarray:
    """Draw the mean of the runs and their reach; return the mean as it is drawn."""
    mean = runs.mean(0)
    if smooth > 1:
        ax.plot(x, mean, color=colour, alpha=0.2, linewidth=0.8)
        mean = _smoothed(mean, smooth)
    ax.plot(x, mean, color=colour, marker="o" if len(x) <= 24 else None, ms=4,
            linestyle=dashes, clip_on=False)  # fmt: skip
    if len(runs) > 1:
        ax.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.16, lw=0)
    return mean


def _smoothed(line: np.ndarray, window: int) -> np.ndarray:
    """Return the running mean; at the ends over the neighbours that there are."""
    box = np.ones(min(window, len(line)))
    counts = np.convolve(np.ones(len(line)), box, "same")
    return np.convolve(line, box, "same") / counts
