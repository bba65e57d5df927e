"""Pictures made of images: grids and film strips."""

import math
import numbers
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from .style import (
    DPI,
    PAPER,
    SOFT,
    STYLE,
    WIDTH,
    array,
    headline,
    headroom,
    width_of,
    wrapped,
)

PAPER_RGB = np.rint(255 * np.array(to_rgb(PAPER)))
GAP, FRAME = 6, 200  # pixels between images; the grey of the hairline around them


def pixels(images, name: str = "images") -> np.ndarray:
    """Return images (B, C, H, W) in [-1, 1] as uint8 (B, H, W, 3).

    Samples and noise may overshoot, so floats are clipped for display. ValueError for
    another shape, for whole numbers, for nan and for values beyond 20.
    """
    images = array(images, name)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(_wrong_shape(images.shape, name))
    if not len(images):
        raise ValueError(f"{name} is empty: give at least one image")
    if images.dtype.kind != "f":
        raise ValueError(_wrong_scale(images, name))
    if not np.isfinite(images).all():
        raise ValueError(f"{name} must be finite, these hold nan or inf: look where "
                         "training or sampling blew up")  # fmt: skip
    if np.abs(images).max() > 20:
        raise ValueError(_wrong_scale(images, name))
    images = np.rint((images.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    images = images.transpose(0, 2, 3, 1)  # (B, H, W, C)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def _wrong_shape(shape: tuple, name: str) -> str:
    cure = "use images (B, C, H, W) with 1 or 3 channels"
    if len(shape) == 2:
        cure = f"write {name}[None, None]"
    elif len(shape) == 3:
        cure = f"write {name}[None] if this is one image, {name}[:, None] if many"
    elif len(shape) == 4 and shape[3] in (1, 3):
        cure = f"the channels come last here, write {name}.permute(0, 3, 1, 2)"
    return f"{name} must be (B, C, H, W) with C = 1 or 3, not {tuple(shape)}: {cure}"


def _wrong_scale(images: np.ndarray, name: str) -> str:
    start = f"{name} must be floats in [-1, 1], these"
    reach = images.astype(float).max()
    if images.dtype.kind != "f" and reach <= 1:
        return f"{start} are {images.dtype}: write {name}.float() * 2 - 1"
    if reach <= 255:
        return f"{start} reach {reach:.0f}: divide by 127.5 and subtract 1"
    return f"{start} reach {reach:.1e}: look where training or sampling blew up"


def same_size(images: list[np.ndarray]) -> np.ndarray:
    """Return a list of images as one batch (B, C, H, W), small ones in big pixels."""
    images = [i[0] if i.ndim == 4 and len(i) == 1 else i for i in images]
    for image in images:
        if image.ndim != 3:
            raise ValueError(_wrong_shape(image.shape, "each image in the list"))
    c, h, w = np.max([image.shape for image in images], 0, initial=1)
    return np.stack([
        np.broadcast_to(image[:, np.arange(h) * image.shape[1] // h][
            :, :, np.arange(w) * image.shape[2] // w], (c, h, w))
        for image in images
    ])  # fmt: skip


def enlarged(images: np.ndarray, most: int) -> np.ndarray:
    """Resize (B, H, W, 3) to at most `most` pixels: whole factors up, smoothly down."""
    size = max(images.shape[1:3])
    if size <= most:
        return images.repeat(most // size, 1).repeat(most // size, 2)
    height, width = (max(1, side * most // size) for side in images.shape[1:3])
    small = [Image.fromarray(i).resize((width, height), Image.LANCZOS) for i in images]
    return np.stack([np.asarray(image) for image in small])


def _columns(count: int, size: float) -> int:
    """Choose the columns of a grid: one row up to 10, then rows of equal length."""
    if count <= 10:
        return count
    best = 2 * math.sqrt(count)
    most = min(16, max(5, int(WIDTH / (size + GAP + 2))))
    near = range(max(5, math.ceil(best / 2)), min(most, round(2 * best)) + 1)
    even = [columns for columns in near if count % columns == 0]
    return min(even, key=lambda c: abs(c - best), default=min(most, round(best)))


def _table(count: int, columns, rows, size: float) -> tuple[list | None, int, int]:
    """Return the names of columns, and how many columns and rows there are."""
    named = columns is not None and not isinstance(columns, numbers.Integral)
    heads = list(columns) if named else None
    across = len(heads) if named else columns
    if across is None and rows is not None:
        across = -(-count // max(len(rows), 1))
    across = _columns(count, size) if across is None else across
    if across < 1:
        raise ValueError(f"columns must be at least 1, not {across}")
    if rows is not None and len(rows) * across != count:
        raise ValueError(
            f"rows must name every row: {count} images in {across} columns do not "
            f"make {len(rows)} rows; give one name a row, and as many images in each"
        )
    return heads, across, -(-count // across)


@matplotlib.rc_context(STYLE)
def draw_grid(
    images,
    columns: int | Sequence[str] | None = None,
    labels: Sequence | None = None,
    rows: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Show images (B, C, H, W) in [-1, 1] in rows, small ones with visible pixels.

    `columns` is a number, or the names to write above the columns; `rows` are names to
    write before the rows, one for each, all rows full; `labels` are B texts to write
    under the images. A list of images (C, H, W) or (1, C, H, W) may mix sizes, and grey
    with colour.
    """
    if isinstance(images, (list, tuple)) and len(images):
        images = same_size([array(image, "each of images") for image in images])
    images = pixels(images)
    size = max(images.shape[1:3])
    labels = None if labels is None else [_bare(label) for label in labels]
    words = [word for label in labels or () for word in str(label).split()]
    widest = max([size, *map(width_of, words)])
    heads, across, down = _table(len(images), columns, rows, widest)
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"labels must be one per image: {len(images)} images, "
                         f"{len(labels)} labels")  # fmt: skip
    left = 8 + (math.ceil(max(map(width_of, rows))) + 10 if rows is not None else 0)
    room = min((WIDTH - left) // across, max(560 // down, 72)) - GAP - 2
    most = 232 if len(images) <= 4 else 160 if len(images) <= 10 else 112
    cells = enlarged(images, max(8, min(max(most, min(size, 440)), room)))
    return mosaic(cells, across, down, left, heads, rows, labels, title)


def mosaic(cells, across, down, left, heads, rows, labels, title) -> Figure:
    """Place the cells pixel by pixel, with room for the words around them."""
    high, wide = cells.shape[1:3]
    texts = [wrapped(label, wide + 4) for label in labels or ()]
    below = 11 + 15 * max(text.count("\n") + 1 for text in texts) if texts else GAP
    step_x, step_y = wide + 2 + GAP, high + 2 + below
    width = max(left + across * step_x, 420 if title else 0)
    heads = [wrapped(head, step_x - 4) for head in heads or ()]
    lines = [line for head in heads for line in head.split("\n")]
    most = max((head.count("\n") + 1 for head in heads), default=0)
    top = headroom(title, width) + (20 + 15 * (most - 1) if heads else 0)
    height = top + down * step_y + 4
    every = -(-max(map(width_of, lines or [""])) // step_x)  # crowded heads thin out
    page = np.full((height, width, 3), PAPER_RGB, np.uint8)
    fig = Figure((width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
    for i, cell in enumerate(cells):
        x, y = left + i % across * step_x, top + i // across * step_y
        page[y : y + high + 2, x : x + wide + 2] = FRAME
        page[y + 1 : y + 1 + high, x + 1 : x + 1 + wide] = cell
        if texts:
            foot = y + high + 18 + 15 * texts[i].count("\n")  # of the last line
            _write(fig, texts[i], x + wide / 2 + 1, foot, "center", "baseline")
        if heads and i < across and i % every == 0:
            _write(fig, heads[i], x + wide / 2 + 1, y - 8, "center", "baseline")
        if rows is not None and i % across == 0:
            _write(fig, rows[i // across], left - 8, y + high / 2, "right", "center")
    fig.figimage(page, 0, 0, zorder=-1)
    if title:
        headline(fig, title).set(y=1 - 8 / height, va="top")
    return fig


def _bare(label):
    """Return tensor(3) as 3."""
    return label.item() if hasattr(label, "item") else label


def _write(fig, text, x, y, ha, va) -> None:
    width, height = fig.get_size_inches() * DPI
    fig.text(x / width, 1 - y / height, str(text), ha=ha, va=va, size=8.5, color=SOFT,
             linespacing=1.15)  # fmt: skip


def draw_strip(
    frames,
    labels: Sequence | None = None,
    at: Sequence[int] | None = None,
    title: str | None = None,
) -> Figure:
    """Show frames side by side, with a small label such as t=300 under each.

    `frames` are (T, C, H, W), or a list of T frames (C, H, W) or (B, C, H, W); frames
    that hold B images make B rows. `at` picks frames by number and labels them t=...
    """
    frames = as_frames(frames)  # (T, B, C, H, W)
    if at is not None:
        labels = [f"t={i}" for i in at] if labels is None else labels
        frames = frames[np.asarray(at)]
    count, rows = frames.shape[:2]
    if labels is not None and len(labels) != count:
        raise ValueError(f"labels must be one per frame: {count} frames, "
                         f"{len(labels)} labels")  # fmt: skip
    images = frames.swapaxes(0, 1).reshape(-1, *frames.shape[2:])  # (B*T, C, H, W)
    if rows == 1:
        return draw_grid(images, count if count <= 12 else None, labels, title=title)
    return draw_grid(images, labels or count, title=title)


def as_frames(frames) -> np.ndarray:
    """Return frames as (T, B, C, H, W)."""
    frames = array(frames, "frames")
    frames = frames[:, None] if frames.ndim == 4 else frames
    if frames.ndim != 5:
        raise ValueError(f"frames must be (T, C, H, W) or (T, B, C, H, W), not "
                         f"{frames.shape}: give a list of images")  # fmt: skip
    return frames
