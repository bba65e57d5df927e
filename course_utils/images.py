"""Pictures (B, C, H, W) in [-1, 1]: checked, taken in parts, as bytes, in sheets."""

import math
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def check_tensor(value: object, name: str) -> None:
    """Refuse a list, a PIL picture or None where a tensor is wanted, with the cure."""
    if isinstance(value, Tensor):
        return
    cures = {
        type(None): "pass one; a function that should have made it may lack a return",
        list: "use torch.stack or torch.tensor",
        tuple: "use torch.stack or torch.tensor",
        np.ndarray: "use torch.from_numpy",
        float: "use torch.tensor",
        int: "use torch.tensor",
    }
    cure = cures.get(type(value), "see torch.as_tensor")
    if isinstance(value, Image.Image):
        cure = "torch.from_numpy(numpy.array(picture)) / 127.5 - 1, then (B, C, H, W)"
    kind = "None" if value is None else f"a {type(value).__name__}"
    raise ValueError(f"{name} must be a torch.Tensor, not {kind}: {cure}")


def check_floats(value: object, name: str, ndim: int | None = None) -> None:
    """Refuse what is no tensor of floats, has not `ndim` dimensions, or has nothing."""
    check_tensor(value, name)
    if not (value.is_floating_point() or value.is_complex()):
        raise ValueError(
            f"{name} must be floats, not {value.dtype}: of bytes in 0..255 "
            f"pass {name}.float() / 127.5 - 1"
        )
    if not value.numel() or ndim not in (None, value.ndim):
        wanted = "something in it" if ndim is None else f"{ndim} dimensions, none of 0"
        raise ValueError(
            f"{name} has the shape {tuple(value.shape)}, and needs {wanted}"
        )


def check_whole(value: object, name: str, least: int = 1) -> None:
    """Refuse what is no whole number of at least `least`."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")


def check_number(
    value: object, name: str, least: float = -math.inf, most: float = math.inf
) -> None:
    """Refuse what is no finite number from `least` to `most`."""
    if isinstance(value, Real) and math.isfinite(value) and least <= value <= most:
        return
    ends = [f" of at least {least:g}"] if least > -math.inf else []
    ends += [f" of at most {most:g}"] if most < math.inf else []
    raise ValueError(f"{name}={value!r} must be a finite number{' and'.join(ends)}")


def check_positive(value: object, name: str) -> None:
    """Refuse what is no finite number above 0."""
    check_number(value, name)
    if value <= 0:
        raise ValueError(f"{name}={value!r} must be above 0")


def check_kind(value: object, name: str, kind: type, such_as: str) -> None:
    """Refuse what is no `kind`; `such_as` says how to get one."""
    if not isinstance(value, kind):
        names = " or ".join(k.__name__ for k in get_args(kind) or [kind])
        raise ValueError(
            f"{name} must be a {names}, such as {such_as}, not {_short(value)}"
        )


def _short(value: object) -> str:
    return f"{value!r:.60}" if not isinstance(value, Tensor) else "a torch.Tensor"


def check_list(values: object, name: str, kind: type, such_as: str) -> None:
    """Refuse what is no list or tuple of one `kind` or more."""
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(
            f"{name} must be a list of at least one, such as [{such_as}], "
            f"not {_short(values)}"
        )
    for value in values:
        check_kind(value, f"each of {name}", kind, such_as)


def check_callable(value: object, name: str) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise ValueError(f"{name} must be a function or a network, not {_short(value)}")


def check_generator(value: object) -> None:
    """Refuse a seed or anything else that is no generator; None is one of torch's."""
    if value is not None and not isinstance(value, torch.Generator):
        raise ValueError(
            f"generator must be a torch.Generator, not {_short(value)}: of a seed, "
            "torch.Generator().manual_seed(seed)"
        )


def check_images(
    images: Tensor, channels: int, size: int, name: str = "images"
) -> None:
    """Refuse what no reader of pictures should read, and say what to do about it.

    (N, channels, size, size) in [-1, 1] passes, and so does an N of 0.
    """
    check_tensor(images, name)
    if images.ndim != 4 or images.shape[1:] != (channels, size, size):
        raise ValueError(
            f"{name} has shape {tuple(images.shape)}; this judge reads "
            f"(N, {channels}, {size}, {size})"
        )
    if images.dtype == torch.float64:
        raise ValueError(f"{name} has the type torch.float64: pass {name}.float()")
    check_range(images, name)
    check_darkness(images, name)


def check_range(images: Tensor, name: str = "images") -> None:
    """Refuse what is not finite floats in [-1, 1]."""
    if not images.is_floating_point():
        raise ValueError(
            f"{name} has the type {images.dtype}, not floats in [-1, 1]: of bytes in "
            f"0..255 pass {name}.float() / 127.5 - 1"
        )
    if not images.isfinite().all():
        raise ValueError(
            f"{name} has values that are not finite: did training diverge?"
        )
    low, high = (images.amin().item(), images.amax().item()) if len(images) else (0, 0)
    if low < -1.001 or high > 1.001:
        raise ValueError(
            f"{name} lies in [{low:.3g}, {high:.3g}], not in [-1, 1]: pass "
            f"{name}.clamp(-1, 1), what a screen would show; or scale it, if it is "
            "in 0..1 or 0..255"
        )


def check_darkness(images: Tensor, name: str = "images") -> None:
    """Pictures (N, ...) with nothing below 0: do they lie in 0..1 by mistake?

    A few pale ones may be right, such as an empty cream ground, and get a warning; of 8
    or more in [-1, 1], some have something dark, so they get a ValueError. All of 0,
    an even grey, passes.
    """
    if not len(images) or images.amin() < 0 or images.amax() == 0:
        return
    said = (
        f"{name} has nothing below 0, but should lie in [-1, 1], from black to white: "
        "if it lies in 0..1, scale it, x * 2 - 1"
    )
    if len(images) >= 8:
        raise ValueError(said)
    warnings.warn(said, stacklevel=3)


def in_parts(
    function: Callable[..., Tensor], items: Tensor | Sequence, most: int = 250
) -> Tensor:
    """A function of many pictures, scenes or captions, `most` at a time, joined."""
    check_whole(most, "most")
    starts = range(0, max(1, len(items)), most)  # of nothing, one empty part
    parts = [items[i : i + most] for i in starts]
    return torch.cat([function(part) for part in parts])


def to_bytes(images: Tensor) -> np.ndarray:
    """(B, C, H, W) in [-1, 1] to uint8 (B, H, W, C), as PIL wants its pictures.

    What lies outside [-1, 1] is clamped, as a screen does it.
    """
    check_tensor(images, "images")
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"images must be floats (B, C, H, W) in [-1, 1], not {images.dtype} of "
            f"shape {tuple(images.shape)}: of one picture pass images[None]"
        )
    if images.isnan().any():
        raise ValueError("images has values that are nan: did training diverge?")
    scaled = (images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def save_sheet(
    path: str | Path, images: Tensor, columns: int = 8, scale: int = 2
) -> None:
    """Write pictures (B, 3, H, W) in [-1, 1] side by side, `scale` times as big.

    Each has a white seam of one pixel (before scaling) on every side.
    """
    check_tensor(images, "images")
    check_whole(columns, "columns")
    check_whole(scale, "scale")
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"images has shape {tuple(images.shape)}: pass at least one, (B, 3, H, W)"
        )
    path, rows = Path(path), -(-len(images) // columns)
    missing = images.new_ones(rows * columns - len(images), *images.shape[1:])
    tiles = torch.nn.functional.pad(torch.cat([images, missing]), (1, 1, 1, 1), value=1)
    tiles = tiles.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    pixels = to_bytes(tiles)  # (rows * columns, H, W, C)
    grid = pixels.reshape(rows, columns, *pixels.shape[1:]).swapaxes(1, 2)
    height, width = rows * pixels.shape[1], columns * pixels.shape[2]
    page = grid.reshape(height, width, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(page if page.shape[2] == 3 else page[:, :, 0]).save(path)


def read_sheet(path: str | Path, n: int, size: int = 64) -> Tensor:
    """The first n pictures (n, 3, size, size) in [-1, 1] of a sheet of scale 1."""
    sheet = torch.from_numpy(np.array(Image.open(Path(path))))
    step = size + 2  # with its seams
    tiles = sheet.unfold(0, step, step).unfold(1, step, step)  # (rows, columns, 3, .)
    tiles = tiles.flatten(0, 1)
    check_whole(n, "n")
    if n > len(tiles):
        raise ValueError(f"n={n}: {path} holds {len(tiles)} pictures of size {size}")
    return tiles[:n, :, 1:-1, 1:-1] / 127.5 - 1
