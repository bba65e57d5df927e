"""Plots: clouds of points, bars and small matrices."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from .style import (
    DASHED,
    DPI,
    INK,
    LINE,
    PAPER,
    SOFT,
    STYLE,
    WIDTH,
    array,
    axes,
    colours,
    headline,
)
from .tables import number, short

RISING = LinearSegmentedColormap.from_list("rising", ["#f4f7fa", "#7fb0d3", "#1d5485"])
SIGNED = LinearSegmentedColormap.from_list("signed", ["#b5651d", "#f7f7f7", "#1d5485"])


@matplotlib.rc_context(STYLE)
def draw_points(
    clouds,
    centres=None,
    limit: float | None = None,
    title: str | None = None,
) -> Figure:
    """Show 2-D clouds {name: (N, 2)} side by side, all with the same limits.

    `centres` (M, 2) are marked in every panel. The limits hold nearly all points (a few
    strays may lie outside) unless `limit` sets them to [-limit, limit].
    """
    clouds = clouds if isinstance(clouds, Mapping) else {"": clouds}
    clouds = {name: array(cloud, f"cloud {name!r}") for name, cloud in clouds.items()}
    for name, cloud in clouds.items():
        if cloud.ndim != 2 or cloud.shape[1] != 2:
            raise ValueError(f"clouds must be (N, 2), {name!r} is {cloud.shape}")
    if limit is None:
        every = np.abs(np.concatenate(list(clouds.values())))
        limit = 1.12 * float(np.quantile(every, 0.998))
    across = len(clouds) if len(clouds) <= 4 else 3 if len(clouds) in (5, 6, 9) else 4
    down = -(-len(clouds) // across)
    side = min(2.9, WIDTH / DPI / across)
    fig = Figure((max(side * across, 3.6), (side + 0.2) * down + 0.3), dpi=DPI,
                 layout="constrained")  # fmt: skip
    headline(fig, title)
    panels = list(fig.subplots(down, across, squeeze=False).flat)
    for ax in panels:
        ax.set_axis_off()
    # more panels than colours are moments of one thing, not so many methods
    tints = colours(clouds, many=len(clouds) <= 6)
    pairs = zip(panels, tints, clouds.items(), strict=False)
    for ax, colour, (name, cloud) in pairs:
        _panel(ax, cloud, centres, limit, name, colour)
    return fig


def _panel(ax, cloud, centres, limit, name, colour) -> None:
    size, alpha = (9, 0.6) if len(cloud) <= 600 else (5, 0.35)
    ax.set_axis_on()
    ax.grid(False)
    ax.spines[:].set(visible=True, color=LINE)
    ax.scatter(*cloud.T, s=size, color=colour, alpha=alpha, linewidths=0)
    if centres is not None:
        ax.scatter(*array(centres).T, s=34, marker="+", color=INK, linewidths=1.1)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", anchor="NW",
           xticks=[], yticks=[])  # fmt: skip
    ax.set_title(name, loc="left", size=9.5, color=SOFT)


@matplotlib.rc_context(STYLE)
def draw_bars(
    values: Mapping,
    floor: float | None = None,
    ceiling: float | None = None,
    title: str | None = None,
    xlabel: str = "",
) -> Figure:
    """Show {name: value} as horizontal bars, or {group: {name: value}} in groups.

    A value may be a list of runs: the bar is their mean, the whisker goes from the
    least to the greatest. Floor and ceiling are dashed.
    """
    grouped = all(isinstance(value, Mapping) for value in values.values())
    groups = values if grouped else {name: {"": v} for name, v in values.items()}
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    keys = names if grouped else list(groups)
    tints = dict(zip(keys, colours(keys, many=grouped), strict=True))
    total = sum(len(group) for group in groups.values())
    fig, ax = axes(height=0.9 + 0.3 * total + 0.16 * len(groups), title=title)
    y, ticks = 0.0, []
    for label, group in groups.items():
        ticks.append(y + (len(group) - 1) / 2)
        for name, value in group.items():
            runs = np.atleast_1d(array(value, f"values of {label!r}"))
            _bar(ax, y, runs, name, tints[name if grouped else label])
            y += 1
        y += 0.55
    ax.margins(x=0.04)
    _bounds(ax, floor, ceiling)
    ax.set_yticks(ticks, list(groups), color=INK)
    ax.set_ylim(y - 0.95, -0.6)
    ax.set_xlabel(xlabel)
    ax.grid(False)
    ax.axvline(0, color="#b6bec7", linewidth=0.8)
    return fig


def _bounds(ax, floor: float | None, ceiling: float | None) -> None:
    """Draw floor and ceiling as dashed verticals, labelled above, apart if close."""
    given = [(w, name) for w, name in ((floor, "floor"), (ceiling, "ceiling"))
             if w is not None]  # fmt: skip
    given.sort()
    for where, _ in given:
        ax.axvline(where, **DASHED)
    low, high = ax.get_xlim()
    close = len(given) == 2 and given[1][0] - given[0][0] < 0.16 * (high - low)
    for (where, name), side in zip(given, ("right", "left"), strict=False):
        ax.text(where, 1.015, f"{name} {short(where)}", size=9, color=SOFT,
                transform=ax.get_xaxis_transform(),
                ha=side if close else "center")  # fmt: skip


def _bar(ax, y: float, runs: np.ndarray, name: str, colour: str) -> None:
    mean, low, high = runs.mean(), runs.min(), runs.max()
    ax.barh(y, mean, height=0.72, color=colour, alpha=0.9, linewidth=0)
    if len(runs) > 1:
        ax.plot([low, high], [y, y], color=INK, linewidth=1.2, marker="|", ms=5)
    ax.annotate(f"{number(mean)}  {name}".rstrip(), (max(high, 0), y), xytext=(6, 0),
                textcoords="offset points", va="center", size=9,
                bbox={"facecolor": PAPER, "linewidth": 0, "pad": 1})  # fmt: skip


@matplotlib.rc_context(STYLE)
def draw_heat(
    matrix,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    title: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Show a small matrix (R, C) as coloured cells with their numbers in them.

    The colours span the matrix, or the limits, so that near values look alike.
    """
    matrix = array(matrix, "matrix").astype(float)
    if matrix.ndim != 2:
        raise ValueError(f"matrix must be (rows, columns), not {matrix.shape}")
    down, across = matrix.shape
    width = min(WIDTH / DPI, max(4.5, 0.56 * across + 1.6))
    fig = Figure((width, 0.36 * down + 1.1), dpi=DPI, layout="constrained")
    headline(fig, title)
    ax = fig.subplots()
    whole = (matrix == matrix.round()).all()
    signed = matrix.min() < 0 < matrix.max()
    most = np.abs(matrix).max() if signed else None
    low, high = limits or (-most if signed else None, most)
    image = ax.imshow(matrix, cmap=SIGNED if signed else RISING, aspect="auto",
                      vmin=low, vmax=high)  # fmt: skip
    for (i, j), value in np.ndenumerate(matrix):
        dark = np.dot(image.cmap(image.norm(value))[:3], (0.3, 0.59, 0.11)) < 0.55
        text = f"{value:.0f}" if whole else number(value)
        ax.text(j, i, text, ha="center", va="center", size=8.5,
                color="white" if dark else INK)  # fmt: skip
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_xticks(range(across), range(across) if columns is None else columns)
    ax.set_yticks(range(down), range(down) if rows is None else rows)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return fig
