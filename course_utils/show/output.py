"""The one way in which a picture reaches the page: a light card with its words."""

import base64
import functools
import inspect
import io
import sys

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from .style import STYLE

HEAVY = 45_000  # bytes; a heavier PNG becomes a JPEG: a lesson has at most 1 MB


def drawn(fig: Figure) -> Image.Image:
    """Return a figure's pixels."""
    canvas = FigureCanvasAgg(fig)
    with matplotlib.rc_context(STYLE):
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def compressed(fig: Figure) -> tuple[str, bytes]:
    """Draw a figure and return (mime type, bytes): PNG, or JPEG where that is heavy."""
    picture = drawn(fig)
    card = _card(picture)
    # The best packing takes ten times as long as the first and halves nothing.
    if len(_saved(card, "PNG", compress_level=1)) <= 2 * HEAVY:
        png = _saved(card, "PNG", optimize=True)
        if len(png) <= HEAVY:
            return "image/png", png
    for quality in (85, 75, 60, 45):
        jpeg = _saved(picture, "JPEG", quality=quality, optimize=True)
        if len(jpeg) <= HEAVY:
            break
    return "image/jpeg", jpeg


def _card(picture: Image.Image, radius: int = 9) -> Image.Image:
    """Round the corners, so that on a dark page a picture is a card, not a hole."""
    fine = Image.new("L", (4 * picture.width, 4 * picture.height), 0)
    box = (0, 0, fine.width - 1, fine.height - 1)
    ImageDraw.Draw(fine).rounded_rectangle(box, 4 * radius, fill=255)
    card = picture.copy()
    card.putalpha(fine.resize(picture.size, Image.BOX))
    return card


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
