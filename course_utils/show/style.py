"""The house style, and the one way in which a picture reaches the page."""

import base64
import functools
import inspect
import io
import sys

import matplotlib
import numpy as np
from cycler import cycler
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from PIL import Image

INK, SOFT, LINE = "#1f2a36", "#66727f", "#dde2e7"
# Apart for every colour vision (a test simulates two): by lightness as much as by hue.
PALETTE = ("#1f5f99", "#d97f10", "#2a9d84", "#7a2a55", "#9a86d4", "#6b5a45")
DPI, WIDTH = 110, 860  # pixels: what fits beside prompt and file list at 1300
HEAVY = 45_000  # bytes; a heavier PNG becomes a JPEG: a lesson has at most 1 MB

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
    "figure.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.wspace": 0.04,
}
DASHED = {"color": SOFT, "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 1.5}


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


def array(values) -> np.ndarray:
    """Return numbers, a list or a tensor (on any device, with a graph) as an array."""
    if isinstance(values, (list, tuple)):
        return np.array([array(value) for value in values])
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if "bfloat16" in str(values.dtype) else values
    return np.asarray(values)


@matplotlib.rc_context(STYLE)
def axes(rows: int = 1, columns: int = 1, height: float = 3.4, title: str = ""):
    """Return (Figure, Axes) in the house style, for a picture that show lacks.

    `height` is in inches (110 pixels each). The axes are an array if there are several.
    """
    fig = Figure((WIDTH / DPI, height), dpi=DPI, layout="constrained")
    headline(fig, title)
    return fig, fig.subplots(rows, columns)


def colours(count: int) -> list[str]:
    """Return the first colours of the palette, again and again if need be."""
    return [PALETTE[i % len(PALETTE)] for i in range(count)]


def shade(colour: str) -> np.ndarray:
    """Return the colour a little darker, so that words in it can be read."""
    return 0.75 * np.array(to_rgb(colour)) + 0.25 * np.array(to_rgb(INK))


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


def drawn(fig: Figure) -> Image.Image:
    """Return a figure's pixels."""
    canvas = FigureCanvasAgg(fig)
    with matplotlib.rc_context(STYLE):
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def compressed(fig: Figure) -> tuple[str, bytes]:
    """Draw a figure and return (mime type, bytes): PNG, or JPEG where that is heavy."""
    picture = drawn(fig)
    png = _saved(picture, "PNG", optimize=True)
    if len(png) <= HEAVY:
        return "image/png", png
    for quality in (85, 75, 60, 45):
        jpeg = _saved(picture, "JPEG", quality=quality, optimize=True)
        if len(jpeg) <= HEAVY:
            break
    return "image/jpeg", jpeg


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def alt_text(alt: str | None, fig: Figure | None = None) -> str:
    """Return what the picture says in words, or raise ValueError if nobody said it."""
    if fig is not None:
        alt = alt or fig.get_label() or fig.get_suptitle()
    if not alt:
        raise ValueError(
            "title or alt is missing: say in one sentence what the picture shows, "
            "for those who cannot see it"
        )
    return alt


def bundle(mime: str, data: bytes, alt: str) -> dict:
    """Return display()'s arguments for one picture with its words."""
    return {
        "obj": {mime: base64.b64encode(data).decode(), "text/plain": alt},
        "metadata": {mime: {"alt": alt}},
        "raw": True,
    }


def put(**arguments) -> None:
    """Display one mime bundle."""
    display(arguments.pop("obj"), **arguments)


def figure(fig: Figure, alt: str | None = None) -> None:
    """Display a matplotlib figure; `alt` defaults to its title.

    Raises ValueError if there is neither.
    """
    alt = alt_text(alt, fig)
    put(**bundle(*compressed(fig), alt))
    if "matplotlib.pyplot" in sys.modules:  # else Jupyter would show it once more
        sys.modules["matplotlib.pyplot"].close(fig)


def shown(draw):
    """Return the twin of a maker of figures that displays, and takes `alt` too."""

    @functools.wraps(draw)
    def twin(*args, alt: str | None = None, **kwargs) -> None:
        figure(draw(*args, **kwargs), alt)

    old = inspect.signature(draw)
    new = inspect.Parameter("alt", inspect.Parameter.KEYWORD_ONLY, default=None)
    twin.__signature__ = old.replace(
        parameters=[*old.parameters.values(), new], return_annotation=None
    )
    twin.__name__ = draw.__name__.removeprefix("draw_")
    return twin
