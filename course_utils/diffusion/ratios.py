"""Diffusion in continuous time: the ratio r says how far gone a picture is.

r = 0 is the picture, r = 1 noise: Wuerstchen (Pernias et al. 2023) trains and draws by
ratios, on the cosine schedule of Nichol & Dhariwal 2021. Equal to what diffusers has as
DDPMWuerstchenScheduler.
"""

import math

import torch
from torch import Tensor

from course_utils.diffusion.forward import check_same
from course_utils.images import check_tensor

OFFSET = 0.008  # s of Nichol & Dhariwal 2021, eq. 17


def ratio_alpha_bar(r: Tensor) -> Tensor:
    """How much of the picture's variance is left at the ratios r in [0, 1].

    cos^2 of (r + s) / (1 + s) * pi / 2, over its value at 0, kept in [1e-4, 1 - 1e-4]:
    at r = 1 a little is left, else nothing could be predicted of it.
    """
    r = torch.tensor(r) if isinstance(r, float) else r
    check_tensor(r, "r")
    if not r.is_floating_point() or not r.numel():
        raise ValueError(
            f"r must be ratios from 0 to 1, not {r.dtype} of shape {tuple(r.shape)}"
        )
    angle = (r + OFFSET) / (1 + OFFSET) * math.pi / 2
    start = math.cos(OFFSET / (1 + OFFSET) * math.pi / 2) ** 2
    return (angle.cos() ** 2 / start).clamp(1e-4, 1 - 1e-4)


def noised_to(x0: Tensor, noise: Tensor, r: Tensor) -> Tensor:
    """x0 (B, C, H, W) with noise of its shape, each row to its own ratio r (B,)."""
    check_same("x0", x0, "noise", noise, "use torch.randn_like(x0)")
    bar = ratio_alpha_bar(r)
    if bar.ndim and bar.shape != x0.shape[:1]:
        raise ValueError(f"r has shape {tuple(bar.shape)}: one for each of {len(x0)}")
    bar = bar.view(-1, *[1] * (x0.ndim - 1))
    return bar.sqrt() * x0 + (1 - bar).sqrt() * noise


def ratio_weights(r: Tensor) -> Tensor:
    """How much the squared error of the noise counts at the ratios r, (B,).

    1 / (1 + SNR), the P2 weight that Stable Cascade is trained with (Choi et al. 2022,
    eq. 8, with k = 1), and half of 1 / SNR up to 10: where there is almost nothing but
    noise the words alone say what to draw, and a short training must learn to listen.
    """
    bar = ratio_alpha_bar(r)
    return (1 - bar) + 0.5 * ((1 - bar) / bar).clamp(max=10)
