"""Real pictures and 2-D points as tensors: pictures (N, C, H, W) float32 in [-1, 1].

Digits and photographs arrive with scikit-learn and scikit-image, a part of
Fashion-MNIST with the course. Nothing here uses the network.
"""

import functools
import gzip
import math
import os
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from course_utils.images import check_generator, check_whole

FASHION_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
FASHION = Path(__file__).parent / "weights/fashion/fashion.npz"  # the shipped part
NAMES = {
    "digits": [str(digit) for digit in range(10)],
    "fashion": "T-shirt,trousers,pullover,dress,coat,sandal,shirt,sneaker,bag,boot"
    "".split(","),
}


class Pictures(NamedTuple):
    """A labelled set of pictures."""

    images: Tensor  # (N, C, H, W) float32 in [-1, 1]
    labels: Tensor  # (N,) long, 0..9


def load(name: str, split: str = "train", folder: str | None = None) -> Pictures:
    """Load "digits" (8x8, 1257 + 540) or "fashion" (28x28, 9000 + 1500).

    `split` is "train" or "test" and always the same. Of Fashion-MNIST (Xiao, Rasul and
    Vollgraf 2017, MIT licence) the course ships the first pictures of each half. Where
    `folder`, or else the environment variable FASHION_MNIST, names the folder of its
    four IDX files, all 60000 + 10000 are read from there instead.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", not {split!r}')
    if name == "digits":
        return _digits(split)
    if name != "fashion":
        raise ValueError(f'name must be "digits" or "fashion", not {name!r}')
    place = fashion_folder(folder)
    if place is None:
        images, labels = (_shipped(f"{split}_{kind}") for kind in ("images", "labels"))
    else:
        images, labels = (read_idx(place / file) for file in FASHION_FILES[split])
    images = torch.from_numpy(images).float()[:, None] / 127.5 - 1  # (N, 1, 28, 28)
    return Pictures(images, torch.from_numpy(labels).long())


def _digits(split: str) -> Pictures:
    from sklearn.datasets import load_digits  # late: a second, and few lessons ask
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)  # (1797, 64) in 0..16
    train, test = train_test_split(
        np.arange(len(labels)), test_size=540, random_state=0, stratify=labels
    )
    rows = train if split == "train" else test
    images = torch.from_numpy(pixels[rows]).float().view(-1, 1, 8, 8) / 8 - 1
    return Pictures(images, torch.from_numpy(labels[rows]).long())


def fashion_folder(folder: str | None = None) -> Path | None:
    """The folder of the whole Fashion-MNIST, or None if none is named.

    `folder`, or the environment variable FASHION_MNIST. FileNotFoundError if one of
    the four files is not there, with how to get them.
    """
    named = folder or os.environ.get("FASHION_MNIST")
    if not named:
        return None
    place = Path(named)
    for file in (name for pair in FASHION_FILES.values() for name in pair):
        if not ((place / file).exists() or (place / f"{file}.gz").exists()):
            raise FileNotFoundError(
                f"Fashion-MNIST is not in {place}: {file} is missing. On Debian, "
                "Ubuntu and Colab, apt-get install dataset-fashion-mnist puts its four "
                "IDX files in /usr/share/datasets/fashion-mnist. Or name no folder, "
                "and unset FASHION_MNIST: the course ships a part of it."
            )
    return place


@functools.cache
def _shipped(array: str) -> np.ndarray:
    """Read an array of the shipped part; the zip's checksums tell of damage."""
    cure = "restore it (git checkout), or install the course again"
    if not FASHION.is_file():
        raise FileNotFoundError(f"{FASHION} is missing: {cure}")
    try:
        with np.load(FASHION, allow_pickle=False) as arrays:
            return arrays[array]
    except Exception as error:  # of zipfile, lzma or NumPy: each has its own
        raise OSError(f"{FASHION} is damaged ({error}): {cure}") from error


def read_idx(path: str | Path) -> np.ndarray:
    """Read an IDX file of bytes, plain or gzipped, as a uint8 array of its shape.

    The format: two zero bytes, 8 for "unsigned byte", the number of dimensions, each
    dimension as a big-endian int32, then the values.
    """
    path = Path(path)
    path = path if path.exists() else path.with_name(path.name + ".gz")
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    dimensions = raw[3] if raw[:3] == b"\0\0\x08" else 0
    start = 4 + 4 * dimensions
    shape = np.frombuffer(raw[4:start], ">i4")
    if not dimensions or len(raw) != start + math.prod(shape.tolist()):
        raise ValueError(f"{path} is no whole IDX file of bytes: fetch it again")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()


def photographs(size: int = 64) -> dict[str, Tensor]:
    """Photographs that come with scikit-image: name -> (1, 3, size, size)."""
    from skimage import data as photos  # late, as above
    from skimage.transform import resize

    check_whole(size, "size")
    pictures = {}
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        photo = getattr(photos, name)()  # (H, W, 3) uint8
        side = min(photo.shape[:2])
        top, left = ((length - side) // 2 for length in photo.shape[:2])
        square = photo[top : top + side, left : left + side]
        small = resize(square, (size, size), anti_aliasing=True)  # floats in [0, 1]
        pictures[name] = torch.from_numpy(small).float().permute(2, 0, 1)[None] * 2 - 1
    return pictures


def ring(
    n: int, generator: torch.Generator | None = None, modes: int = 8, std: float = 0.02
) -> Tensor:
    """Draw points (n, 2) from equally likely Gaussians on the unit circle.

    The usual test for mode collapse. `ring_centres(modes)` are the distinct centres.
    """
    check_generator(generator)
    check_whole(n, "n")
    check_whole(modes, "modes")
    _check_spread(std, "std")
    which = torch.randint(modes, (n,), generator=generator)
    return ring_centres(modes)[which] + std * torch.randn(n, 2, generator=generator)


def ring_centres(modes: int = 8) -> Tensor:
    """The centres (modes, 2) of `ring`: angles without the endpoint, for 2 pi is 0."""
    check_whole(modes, "modes")
    angle = torch.arange(modes) / modes * 2 * math.pi
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def swiss_roll(
    n: int, generator: torch.Generator | None = None, noise: float = 0.02
) -> Tensor:
    """Points (n, 2) on a spiral of one and a half turns, roughly in [-1, 1]^2."""
    check_generator(generator)
    check_whole(n, "n")
    _check_spread(noise, "noise")
    turn = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=generator).sqrt())
    spiral = torch.stack([turn * turn.cos(), turn * turn.sin()], dim=1) / 14
    return spiral + noise * torch.randn(n, 2, generator=generator)


def draw(images: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw a random batch of n rows from images, with replacement."""
    check_generator(generator)
    check_whole(n, "n")
    if not isinstance(images, Tensor) or not len(images):
        raise ValueError(
            "images must be a torch.Tensor of at least one row to draw from"
        )
    return images[torch.randint(len(images), (n,), generator=generator)]


def _check_spread(value: float, name: str) -> None:
    if not isinstance(value, Real) or not 0 <= value < math.inf:
        raise ValueError(f"{name}={value!r} must be a spread of 0 or more")
