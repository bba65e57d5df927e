"""Primes, the pictures that illusions are printed from, and when two are alike.

A prime of Diffusion Illusions (Burgert et al. 2023) is no grid of pixels but a small
network of the place.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.images import check_floats, check_whole


class Primes(nn.Module):
    """n pictures, each a small network of the place: (n, 3, side, side) in [0, 1].

    Gaussian Fourier features (Tancik et al. 2020) of x and y, then three layers. Near
    places get near colours, so noise that fools a model but no eye is hard to draw:
    with raster pixels it is what one gets.
    """

    def __init__(
        self, n: int, side: int, seed: int = 0, scale: float = 4.0, width: int = 64
    ):
        """`scale` is the features' spread, in waves a picture."""
        super().__init__()
        check_whole(n, "n")
        draw = torch.Generator().manual_seed(seed)
        axis = (torch.arange(side) + 0.5) / side
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        waves = scale * torch.randn(2, width, generator=draw)
        phases = 2 * math.pi * torch.stack([x, y], -1).flatten(0, 1) @ waves
        seen = torch.cat([phases.sin(), phases.cos()], 1)  # (side^2, 2 width)
        self.register_buffer("features", 2**0.5 * seen)
        self.side, sizes = side, [2 * width, width, width, 3]
        self.layers = nn.ParameterList()
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layer = torch.randn(n, before, after, generator=draw) / before**0.5
            self.layers.append(layer * (2**0.5 if after != 3 else 0.5))
        self.shift = nn.Parameter(torch.zeros(n, 1, 3))

    def forward(self) -> Tensor:
        """Draw them."""
        x = self.features
        for layer in self.layers[:-1]:
            x = F.relu(x @ layer)
        x = torch.sigmoid(x @ self.layers[-1] + self.shift)  # (n, side^2, 3)
        return x.mT.unflatten(2, (self.side, self.side))


def mismatch(a: Tensor, b: Tensor) -> Tensor:
    """Squared error plus 1 - SSIM of each pair, (B,), of pictures in [0, 1].

    SSIM (Wang et al. 2004, eq. 13) of windows of 7x7, of the pictures and at half size.
    """
    check_floats(a, "a", 4)
    check_floats(b, "b", 4)
    if a.shape != b.shape:
        raise ValueError(f"b must have the shape of a, {tuple(a.shape)}: {b.shape}")
    if min(a.shape[2:]) < 14:
        raise ValueError(f"a must be 14 x 14 at least, twice a window: {a.shape}")
    total = (a - b).square().mean((1, 2, 3))
    for _ in range(2):
        mean = lambda x: F.avg_pool2d(x, 7, 1)  # noqa: E731
        ma, mb = mean(a), mean(b)
        va, vb, ab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
        light = (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
        structure = (2 * ab + 9e-4) / (va + vb + 9e-4)
        total = total + 0.5 * (1 - (light * structure).mean((1, 2, 3)))
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return total
