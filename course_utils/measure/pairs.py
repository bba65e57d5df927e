"""How like is one picture, or one mask, to another? A number for each pair."""

import torch
from torch import Tensor

from course_utils.images import check_darkness, check_range, check_tensor


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (B,), of pictures (B, C, H, W) in [-1, 1].

    10 log10(peak^2 / mean squared error), and the peak is 2, from black to white.
    Equal pictures give infinity; 6 dB more halve the error.
    """
    _check_pictures(a, b)
    error = (a.double() - b.double()).square().flatten(1).mean(1)
    return (10 * (4 / error).log10()).float()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity (B,) of pictures (B, C, H, W) in [-1, 1]; 1 if equal.

    Means, variances and covariance of windows of 7x7, the mean over windows and
    channels (Wang et al. 2004, eq. 13), by scikit-image; 0 if nothing is alike, and
    negative where light and dark are exchanged.
    """
    from skimage.metrics import structural_similarity

    _check_pictures(a, b)
    if min(a.shape[2:]) < 7:
        raise ValueError(f"a and b are {tuple(a.shape)}: SSIM looks at windows of 7x7")
    pairs = zip(a.detach().cpu().numpy(), b.detach().cpu().numpy(), strict=True)
    values = [
        structural_similarity(x, y, channel_axis=0, data_range=2) for x, y in pairs
    ]
    return torch.tensor(values, dtype=torch.float32)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (B,) of masks, bool (B, ..., H, W): 0 apart, 1 equal.

    Two empty masks are equal.
    """
    _check_pair(a, b)
    if a.dtype != torch.bool or b.dtype != torch.bool:
        raise ValueError(
            f"masks must be bool, not {a.dtype} and {b.dtype}: pass mask > 0.5"
        )
    both, either = ((a & b).flatten(1).sum(1), (a | b).flatten(1).sum(1))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def _check_pictures(a: Tensor, b: Tensor) -> None:
    _check_pair(a, b)
    if a.ndim != 4:
        raise ValueError(
            f"a and b must be batches (B, C, H, W), not {tuple(a.shape)}: of one "
            "picture pass a[None]"
        )
    check_range(a, "a")
    check_range(b, "b")
    check_darkness(a, "a")
    check_darkness(b, "b")


def _check_pair(a: Tensor, b: Tensor) -> None:
    check_tensor(a, "a")
    check_tensor(b, "b")
    if a.shape != b.shape or a.ndim < 3:
        raise ValueError(
            f"a and b must be batches of one shape, (B, ..., H, W), not "
            f"{tuple(a.shape)} and {tuple(b.shape)}"
        )
    if not len(a):
        raise ValueError("a and b are empty: nothing can be measured")
