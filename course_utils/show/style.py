"""The house style: ink, paper, type, and the colour of each method."""

import itertools
import re
from collections.abc import Iterable

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

# A light card that suits a white page and does not glare on a black one. Transparent
# paper would need one ink for both, which is grey on either.
PAPER, INK, SOFT, LINE = "#f0f3f6", "#1f2a36", "#5b6773", "#d2d9e0"
# Apart for every colour vision (a test simulates two): by lightness as much as by hue.
PALETTE = ("#1c5d97", "#c96f0c", "#279c80", "#792654", "#887de0", "#693c30")
# One colour for one method in the whole course, whatever a lesson calls it.
METHODS = {
    "DDPM": PALETTE[0], "diffusion": PALETTE[0], "DDIM": PALETTE[1],
    "DPM++": PALETTE[2], "DPM-Solver++": PALETTE[2], "GAN": PALETTE[3],
    "flow": PALETTE[4], "tiny as a flow": PALETTE[4], "reflow": "#5a3fb0",
    "transformer": "#1f7a8c", "VAE": PALETTE[5], "autoregressive": "#b8443a",
    "energy": "#84902b", "LCM": "#c9609a", "Lightning": "#2b8cb0",
    "DDGAN": "#a03bb5",
    "real": "#3f4b58", "true": "#3f4b58", "truth": "#3f4b58", "data": "#3f4b58",
    "floor": "#828e9a", "ceiling": "#66727f",
}  # fmt: skip
DPI, WIDTH = 110, 860  # pixels: what fits beside prompt and file list at 1300

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9.5,
    "axes.edgecolor": "#b6bec7",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.xmargin": 0.0,
    "axes.formatter.useoffset": False,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3.5,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.wspace": 0.04,
}
DASHED = {"color": SOFT, "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 1.5}
# words on the card's paper: a theme's page may be white or black
TROUBLE = f"color:#7a2a55;background:{PAPER};padding:3px 8px;border-radius:6px"
VIEW = "application/vnd.jupyter.widget-view+json"


def width_of(text, size: float = 8.5, weight: str = "normal") -> float:
    """Return how many pixels wide a line of text will be when drawn at `size`."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    points = text_to_path.get_text_width_height_descent(str(text), font, False)[0]
    return points * DPI / 72 / 0.95  # hinting widens what is drawn


def wrapped(text, pixels: float, size: float = 8.5, weight: str = "normal") -> str:
    """Break a text into lines that fit into so many pixels when drawn at `size`."""
    lines = [""]
    for word in str(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, size, weight) <= pixels or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def array(values, name: str = "values") -> np.ndarray:
    """Return numbers, a list or a tensor (on any device, with a graph) as an array.

    ValueError for None, texts, PIL pictures, and for lists of unlike shapes.
    """
    if isinstance(values, (list, tuple)):
        parts = [array(value, f"each of {name}") for value in values]
        if len({part.shape for part in parts}) > 1:
            raise ValueError(f"{name} must be of one shape, these are "
                             f"{sorted({part.shape for part in parts})}")  # fmt: skip
        return np.array(parts)
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if "bfloat16" in str(values.dtype) else values
    kind = type(values).__name__
    if hasattr(values, "getbands"):  # PIL would become bytes, with the channels last
        raise ValueError(f"{name} must be a tensor, not a PIL {kind}: write "
                         "torch.from_numpy(numpy.array(picture)).permute(2, 0, 1) / "
                         "127.5 - 1")  # fmt: skip
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        cure = ": does a function lack its return?" if kind == "NoneType" else ""
        raise ValueError(f"{name} must be numbers or a tensor, not {kind}{cure}")
    return values


@matplotlib.rc_context(STYLE)
def axes(rows: int = 1, columns: int = 1, height: float = 3.4, title: str = ""):
    """Return (Figure, Axes) in the house style, for a picture that show lacks.

    `height` is in inches (110 pixels each). The axes are an array if there are several.
    """
    fig = Figure((WIDTH / DPI, height), dpi=DPI, layout="constrained")
    headline(fig, title)
    return fig, fig.subplots(rows, columns)


def of_method(name) -> str | None:
    """Return the colour of the method with which a name begins: "DDIM, 20 steps"."""
    for method, colour in METHODS.items():
        if re.match(rf"(the )?{re.escape(method)}(?![\w+-])", str(name), re.IGNORECASE):
            return colour
    return None


def colours(names: Iterable, many: bool = True) -> list[str]:
    """Return a colour for each name: its method's, else the palette's next free one.

    If not `many`, names without a method share the first free one.
    """
    fixed = [of_method(name) for name in names]
    free = [colour for colour in PALETTE if colour not in fixed] or PALETTE
    others = itertools.cycle(free if many else free[:1])
    return [colour or next(others) for colour in fixed]


def shade(colour: str) -> np.ndarray:
    """Return the colour a little darker, so that words in it can be read."""
    return 0.6 * np.array(to_rgb(colour)) + 0.4 * np.array(to_rgb(INK))


def headline(fig: Figure, title: str | None):
    """Write the title, which is the conclusion, at the top left; it is the alt too."""
    if not title:
        return None
    fig.set_label(title)
    width = fig.get_figwidth() * DPI
    text = wrapped(title, width - 16, 11.5, "bold")
    return fig.suptitle(text, x=8 / width, ha="left", size=11.5, color=INK,
                        weight="bold")  # fmt: skip


def headroom(title: str | None, width: int) -> int:
    """Return how many pixels a title takes at the top of a figure so many wide."""
    lines = wrapped(title, width - 16, 11.5, "bold").count("\n") + 1 if title else 0
    return 16 + 20 * lines if title else 8
