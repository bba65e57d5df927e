"""Plots: curves, clouds of points, bars and small matrices."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from .house import DPI, INK, LINE, PALETTE, SOFT, STYLE, WIDTH, array, axes, headline
from .tables import number

DASHED = {"color": SOFT, "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 1.5}
RISING = LinearSegmentedColormap.from_list("rising", ["#f4f7fa", "#7fb0d3", "#1d5485"])
SIGNED = LinearSegmentedColormap.from_list("signed", ["#b5651d", "#f7f7f7", "#1d5485"])


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
    for colour, (name, line) in zip(_colours(len(lines)), lines.items(), strict=True):
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
            bounds.append((where, f"{word} {_short(where)}", SOFT))
    for name in log or "":
        ax.set(**{f"{name}scale": "log"})
        getattr(ax, f"{name}axis").set_major_formatter(lambda value, _: f"{value:g}")
    if len(x) <= 9:
        ax.set_xticks(x)
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


def _short(value: float) -> str:
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _colours(count: int) -> list[str]:
    return [PALETTE[i % len(PALETTE)] for i in range(count)]


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
                    color=_shade(colour), ha="center", va="center", weight="bold",
                    bbox={"facecolor": "white", "linewidth": 0, "pad": 1.5},
                    zorder=4)  # fmt: skip
        else:
            ends.append((line[np.isfinite(line)][-1], name, colour))
    return ends


def _shade(colour: str) -> np.ndarray:
    """Return the colour a little darker, so that words in it can be read."""
    return 0.75 * np.array(to_rgb(colour)) + 0.25 * np.array(to_rgb(INK))


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
                **{"color": _shade(colour), "size": 9} | bold)  # fmt: skip


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
    clouds = {name: array(cloud) for name, cloud in clouds.items()}
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
    pairs = zip(panels, _colours(len(clouds)), clouds.items(), strict=False)
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
    colour = dict(zip(names, _colours(len(names)), strict=True))
    total = sum(len(group) for group in groups.values())
    fig, ax = axes(height=0.9 + 0.3 * total + 0.16 * len(groups), title=title)
    y, ticks = 0.0, []
    for group in groups.values():
        ticks.append(y + (len(group) - 1) / 2)
        for name, value in group.items():
            _bar(ax, y, np.atleast_1d(array(value)), name, colour[name])
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
        ax.text(where, 1.015, f"{name} {_short(where)}", size=9, color=SOFT,
                transform=ax.get_xaxis_transform(),
                ha=side if close else "center")  # fmt: skip


def _bar(ax, y: float, runs: np.ndarray, name: str, colour: str) -> None:
    mean, low, high = runs.mean(), runs.min(), runs.max()
    ax.barh(y, mean, height=0.72, color=colour, alpha=0.9, linewidth=0)
    if len(runs) > 1:
        ax.plot([low, high], [y, y], color=INK, linewidth=1.2, marker="|", ms=5)
    ax.annotate(f"{number(mean)}  {name}".rstrip(), (max(high, 0), y), xytext=(6, 0),
                textcoords="offset points", va="center", size=9,
                bbox={"facecolor": "white", "linewidth": 0, "pad": 1})  # fmt: skip


@matplotlib.rc_context(STYLE)
def draw_heat(
    matrix,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    title: str | None = None,
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Show a small matrix (R, C) as coloured cells with their numbers in them."""
    matrix = array(matrix).astype(float)
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
    image = ax.imshow(matrix, cmap=SIGNED if signed else RISING, aspect="auto",
                      vmin=-most if signed else None, vmax=most)  # fmt: skip
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
