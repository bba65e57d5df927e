"""A page to print: sheets for transparencies, at true size, with marks to cut along."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from .grids import pixels
from .style import INK, SOFT

A4 = 21.0, 29.7  # cm
FINE = 480  # pixels a printed side
HOW = """Print at 100 %, on transparencies. Cut along the crosses. Lay one on the other,
corner on corner, and hold them before a bright white screen."""


def draw_transparencies(
    sheets, names: Sequence[str], cm: float = 8.0, title: str = ""
) -> Figure:
    """Draw up to four sheets (N, C, H, W) in [-1, 1] on one page of A4.

    All have a side of `cm` centimetres and crosses at their corners, an arrow says
    which way is up. Save it by `figure.savefig("page.pdf")`.
    """
    images = pixels(sheets, "sheets")
    if not 1 <= len(images) <= 4 or len(names) != len(images):
        raise ValueError(
            f"sheets: a page has room for 1 to 4, each with a name, not {len(images)} "
            f"with {len(names)} names"
        )
    if not 2 <= cm <= 9:
        raise ValueError(f"cm={cm} must be from 2 to 9, for two to stand side by side")
    fig = Figure(figsize=(A4[0] / 2.54, A4[1] / 2.54), facecolor="white")
    page = fig.add_axes((0, 0, 1, 1), xlim=(0, A4[0]), ylim=(0, A4[1]))
    page.axis("off")
    page.text(A4[0] / 2, A4[1] - 2, title, ha="center", size=14, color=INK)
    for k, (image, name) in enumerate(zip(images, names, strict=True)):
        row, column = divmod(k, 2)
        left = A4[0] / 2 + (0.6 if column else -0.6 - cm)
        bottom = A4[1] - 5 - cm - row * (cm + 3)
        _sheet(page, image, name, left, bottom, cm)
    page.text(A4[0] / 2, 2.2, HOW, ha="center", size=9, color=INK)
    return fig


def _sheet(page, image: np.ndarray, name: str, left: float, bottom: float, cm: float):
    """One sheet with crosses at its corners, its name and an arrow above it."""
    fine = Image.fromarray(image).resize((FINE, FINE), Image.Resampling.BICUBIC)
    page.imshow(np.asarray(fine), extent=(left, left + cm, bottom, bottom + cm))
    page.add_patch(Rectangle((left, bottom), cm, cm, fill=False, ec=SOFT, lw=0.3))
    for x in (left, left + cm):
        for y in (bottom, bottom + cm):
            page.plot([x - 0.4, x + 0.4], [y, y], color=INK, lw=0.5)
            page.plot([x, x], [y - 0.4, y + 0.4], color=INK, lw=0.5)
    middle, top = left + cm / 2, bottom + cm
    page.annotate("", (middle, top + 1.0), (middle, top + 0.25),
                  arrowprops=dict(arrowstyle="-|>", color=INK))  # fmt: skip
    page.text(middle + 0.3, top + 0.5, f"up  ·  {name}", size=9, color=INK)
    page.set(xlim=(0, A4[0]), ylim=(0, A4[1]))
