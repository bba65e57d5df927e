"""Perp-Neg: guidance away from a second prompt, without loss of the first.

Armandpour et al. 2023 (arXiv 2304.04968), made against the Janus problem of text-to-3D.
What an unwanted prompt adds is cut into a part along the wanted one and a part at right
angles; only the latter is taken away.
"""

from torch import Tensor

from course_utils.diffusion.forward import check_same


def perpendicular(x: Tensor, to: Tensor) -> Tensor:
    """The part of x (B, ...) at right angles to `to`, row by row."""
    check_same("x", x, "to", to)
    rows, line = x.flatten(1), to.flatten(1)
    along = (rows * line).sum(1, keepdim=True)
    share = along / (line * line).sum(1, keepdim=True).clamp(min=1e-12)
    return (rows - share * line).view_as(x)


def perp_neg(
    told: Tensor,
    without: Tensor,
    unwanted: list[Tensor],
    weights: list[float],
    scale: float,
) -> Tensor:
    """Guided predictions (B, ...) towards `told`, away from what is unwanted.

    without + scale (main - sum of w_i perpendicular(unwanted_i - without, main)), where
    main = told - without and w_i >= 0. With no unwanted ones it is classifier-free
    guidance. All are of the same kind: noise, v or x0.
    """
    if len(unwanted) != len(weights) or any(not w >= 0 for w in weights):
        raise ValueError(
            f"weights={weights} must be one number from 0 on for each of the "
            f"{len(unwanted)} unwanted predictions"
        )
    check_same("told", told, "without", without)
    main = told - without
    away = sum(
        w * perpendicular(x - without, main)
        for w, x in zip(weights, unwanted, strict=True)
    )
    return without + scale * (main - away)
