"""Pictures (B, C, H, W) in [-1, 1]: checked, taken in parts, as bytes, in sheets."""

from collections.abc import Callable, Sequence
from pathlib import Path

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


def check_images(images: Tensor, channels: int, size: int) -> None:
    """Refuse what no reader of pictures should read, and say what to do about it."""
    if images.ndim != 4 or images.shape[1:] != (channels, size, size):
        raise ValueError(
            f"images has shape {tuple(images.shape)}; this judge reads "
            f"(N, {channels}, {size}, {size})"
        )
    if not images.isfinite().all():
        raise ValueError("images has values that are not finite: did training diverge?")
    low, high = (images.amin().item(), images.amax().item()) if len(images) else (0, 0)
    if low < -1.001 or high > 1.001:
        raise ValueError(
            f"images lies in [{low:.3g}, {high:.3g}], not in [-1, 1]: pass "
            "images.clamp(-1, 1), what a screen would show; or scale it, if it is "
            "in 0..1 or 0..255"
        )


def in_parts(
    function: Callable[..., Tensor], items: Tensor | Sequence, most: int = 250
) -> Tensor:
    """A function of many pictures, scenes or captions, `most` at a time, joined."""
    starts = range(0, max(1, len(items)), most)  # of nothing, one empty part
    parts = [items[i : i + most] for i in starts]
    return torch.cat([function(part) for part in parts])


def to_bytes(images: Tensor) -> np.ndarray:
    """(B, C, H, W) in [-1, 1] to uint8 (B, H, W, C), as PIL wants its pictures."""
    scaled = (images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def save_sheet(path: Path, images: Tensor, columns: int = 8, scale: int = 2) -> None:
    """Write pictures (B, 3, H, W) in [-1, 1] side by side, `scale` times as big.

    Each has a white seam of one pixel (before scaling) on every side.
    """
    rows = -(-len(images) // columns)
    missing = images.new_ones(rows * columns - len(images), *images.shape[1:])
    tiles = torch.nn.functional.pad(torch.cat([images, missing]), (1, 1, 1, 1), value=1)
    tiles = tiles.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    pixels = to_bytes(tiles)  # (rows * columns, H, W, C)
    grid = pixels.reshape(rows, columns, *pixels.shape[1:]).swapaxes(1, 2)
    height, width = rows * pixels.shape[1], columns * pixels.shape[2]
    page = grid.reshape(height, width, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(page if page.shape[2] == 3 else page[:, :, 0]).save(path)


def read_sheet(path: Path, n: int, size: int = 64) -> Tensor:
    """The first n pictures (n, 3, size, size) in [-1, 1] of a sheet of scale 1."""
    sheet = torch.from_numpy(np.array(Image.open(path)))
    step = size + 2  # with its seams
    tiles = sheet.unfold(0, step, step).unfold(1, step, step)  # (rows, columns, 3, .)
    return tiles.flatten(0, 1)[:n, :, 1:-1, 1:-1] / 127.5 - 1
