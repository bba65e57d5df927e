"""An edit made on a GAN's manifold, carried back to the picture itself.

Zhu et al. 2016, "Generative visual manipulation on the natural image manifold",
section 3.4. The GAN draws a path of frames from the picture as it can draw it to the
edited one. What happens along it, motion and colour, happens to the true picture.

    carried_back(picture, frames)    # (B, 3, H, W), and a list of such batches
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.forward import check_same
from course_utils.images import check_floats, check_positive, check_range, check_tensor

SIGMA, RIDGE = 3.0, 0.01  # pixels of a window; what keeps colours as they are


def carried_back(picture: Tensor, frames: Sequence[Tensor]) -> Tensor:
    """What the picture becomes if it does as the frames do.

    picture  (B, 3, H, W) in [-1, 1]
    frames   at least two batches like it: the GAN's before, between, and after
    Motion is followed from frame to frame; colours are compared once, first with last.
    ValueError for one frame only, for another shape, and for other ranges.
    """
    _check(picture, frames)
    frames = [frame.to(picture) for frame in frames]
    offsets = motion(frames)
    offsets = offsets * _worth_moving(frames[0], frames[-1], offsets)
    colours = colour_map(moved(frames[0], offsets), frames[-1])
    return recoloured(moved(picture, offsets), *colours)


def colour_map(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """How colours change, around each pixel: c becomes c + A c + t.

    before, after  (B, 3, H, W)
    Returns A (B, 3, 3, H, W) and t (B, 3, H, W): the least squares of a Gaussian window
    whose ridge draws A to 0, so equal pictures change nothing. In the paper A and t are
    one matrix 3x4 a pixel (eq. 6); windows instead of its smoothness term need no
    solver, and keep the edges of what they are applied to (He et al. 2010).
    """
    check_same("before", before, "after", after)
    after = after.to(before)
    check_floats(before, "before", 4)
    change = after - before
    mean, mean_change = blurred(before), blurred(change)
    own = _covariance(before, before, mean, mean)
    cross = _covariance(change, before, mean_change, mean)
    own = own + RIDGE * torch.eye(3, dtype=own.dtype)
    a = torch.linalg.solve(own, cross.mT).mT.permute(0, 3, 4, 1, 2)  # own = own.mT
    return a, mean_change - torch.einsum("bijhw,bjhw->bihw", a, mean)


def recoloured(picture: Tensor, a: Tensor, t: Tensor) -> Tensor:
    """A picture (B, 3, H, W) under a `colour_map`, clamped to [-1, 1]."""
    changed = picture + torch.einsum("bijhw,bjhw->bihw", a, picture) + t
    return changed.clamp(-1, 1)


def motion(frames: Sequence[Tensor]) -> Tensor:
    """Where each pixel of the last frame was in the first: offsets (B, 2, H, W) in
    pixels, down and right.

    TV-L1 optical flow (Zach et al. 2007, by scikit-image) from frame to frame, chained.
    It compares frames by `outstanding`, so a change of colour is no motion.
    """
    from skimage.registration import optical_flow_tvl1

    grey = [outstanding(frames[0])]
    for frame in frames[1:]:
        now = outstanding(frame)
        same = (now * grey[-1]).mean((1, 2), keepdim=True)
        grey.append(torch.where(same < 0, -now, now))  # light and dark are a convention
    offsets = torch.zeros(len(frames[0]), 2, *frames[0].shape[2:])
    for before, after in zip(grey, grey[1:], strict=False):
        pairs = zip(after.numpy(), before.numpy(), strict=True)
        step = [optical_flow_tvl1(x, y, num_warp=3, num_iter=5) for x, y in pairs]
        step = torch.from_numpy(np.stack(step)).float()
        offsets = step + moved(offsets, step)
    return offsets


def _worth_moving(before: Tensor, after: Tensor, offsets: Tensor) -> Tensor:
    """Where motion explains at least half of what colours cannot: (B, 1, H, W), soft.

    Elsewhere the flow has followed no more than the GAN's own grain.
    """
    left = []
    for start in (before, moved(before, offsets)):
        wrong = after - recoloured(start, *colour_map(start, after))
        left.append(blurred(wrong.square().sum(1, keepdim=True)))
    still, moving = left
    return blurred((moving < still / 2).float(), 1.0)


def outstanding(pictures: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in the one tone that tells most, (B, H, W): their colours'
    first principal component, of mean 0 and variance 1. A flat picture gives 0.
    """
    check_floats(pictures, "pictures", 4)
    if not pictures.isfinite().all():
        raise ValueError("pictures has values that are not finite: no tone tells most")
    pixels = pictures.flatten(2) - pictures.flatten(2).mean(2, keepdim=True)
    axis = torch.linalg.eigh(pixels @ pixels.mT)[1][:, :, -1:]
    tone = (axis.mT @ pixels).view(len(pictures), *pictures.shape[2:])
    return tone / tone.std((1, 2), keepdim=True).clamp(min=1e-3)


def moved(pictures: Tensor, offsets: Tensor) -> Tensor:
    """Fetch each pixel of (B, C, H, W) from (y + down, x + right), (B, 2, H, W)."""
    h, w = pictures.shape[2:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    places = [(x + offsets[:, 1]) / (w - 1), (y + offsets[:, 0]) / (h - 1)]
    grid = 2 * torch.stack(places, -1) - 1
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=True)


def blurred(x: Tensor, sigma: float = SIGMA) -> Tensor:
    """The mean of a Gaussian window around each pixel of (B, C, H, W)."""
    check_floats(x, "x", 4)
    check_positive(sigma, "sigma")
    reach = int(2 * sigma + 0.5)
    bell = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    bell, channels = (bell / bell.sum()).to(x), x.shape[1]
    x = F.pad(x, (reach,) * 4, mode="replicate")
    rows = bell.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(x, rows, groups=channels), rows.mT, groups=channels)


def _covariance(x: Tensor, y: Tensor, mean_x: Tensor, mean_y: Tensor) -> Tensor:
    """Of the colours in each window, (B, H, W, 3, 3)."""
    products = (x[:, :, None] * y[:, None]).flatten(1, 2)
    both = blurred(products).unflatten(1, (3, 3))
    return (both - mean_x[:, :, None] * mean_y[:, None]).permute(0, 3, 4, 1, 2)


def _check(picture: Tensor, frames: Sequence[Tensor]) -> None:
    if not isinstance(frames, list | tuple) or len(frames) < 2:
        raise ValueError("frames must be a list of at least two: before and after")
    for name, x in [("picture", picture), *(("each frame", x) for x in frames)]:
        check_tensor(x, name)
        check_range(x, name)
        if x.ndim != 4 or x.shape[1] != 3 or x.shape != picture.shape:
            raise ValueError(
                f"{name} has shape {tuple(x.shape)}: picture and frames must be "
                "batches (B, 3, H, W) of one size"
            )
