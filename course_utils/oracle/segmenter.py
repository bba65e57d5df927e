"""Which pixels are toy, and which toy? The oracle's second half.

A small network tells toys from ground, pixel by pixel; the oracle says which toys there
are and where. Each toy pixel belongs to the nearest of them. Like the oracle it judges
only: no generator is trained with it.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import check_images, in_parts
from course_utils.oracle.reading import read


class Segmenter(nn.Module):
    """(B, 3, 64, 64) in [-1, 1] -> logits of "this is a toy", (B, answers, 64, 64).

    A U-Net of three floors (Ronneberger et al. 2015): down for what it is, a shortcut
    on each floor for where exactly.
    """

    def __init__(self, width: int = 16, answers: int = 1):
        """Give the floors width, 2 width and 4 width channels."""
        super().__init__()
        self.top = _twice(3, width)  # 64x64
        self.middle = _twice(width, 2 * width)  # 32x32
        self.bottom = _twice(2 * width, 4 * width)  # 16x16
        self.deep = _twice(4 * width, 4 * width)  # 8x8
        self.to_bottom = _twice(8 * width, 4 * width)
        self.to_middle = _twice(6 * width, 2 * width)
        self.to_top = _twice(3 * width, width)
        self.answer = nn.Conv2d(width, answers, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Answer for each pixel."""
        top = self.top(images)
        middle = self.middle(F.max_pool2d(top, 2))
        bottom = self.bottom(F.max_pool2d(middle, 2))
        x = self.deep(F.max_pool2d(bottom, 2))
        x = self.to_bottom(torch.cat([bottom, _larger(x)], 1))
        x = self.to_middle(torch.cat([middle, _larger(x)], 1))
        x = self.to_top(torch.cat([top, _larger(x)], 1))
        return self.answer(x)


def _twice(before: int, after: int) -> nn.Sequential:
    layers = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def _larger(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def segmenter() -> Segmenter:
    """The one that the course ships, frozen, laid out in memory as CPUs like it."""
    net = models.network("segmenter", Segmenter)
    return net.to(memory_format=torch.channels_last)


def silhouettes(images: Tensor, net: nn.Module | None = None) -> Tensor:
    """Which pixels show a toy: (B, 3, 64, 64) in [-1, 1] -> (B, 64, 64) bool."""
    check_images(images, 3, 64)
    net = net or segmenter()

    def some(part: Tensor) -> Tensor:
        part = part.contiguous(memory_format=torch.channels_last)
        return (net(part)[:, 0] > 0).contiguous()

    with torch.no_grad():  # 20 at a time stay in the cache: half the time of 100
        return in_parts(some, images.detach().float(), 20)


def toy_masks(
    images: Tensor, readings: list[dict] | None = None, net: nn.Module | None = None
) -> Tensor:
    """What is seen of each toy: (B, toys, 64, 64) bool, as `toybox.masks`.

    `readings` are those of `oracle.read(images)`, and in their order the toys come. The
    masks of missing toys are empty; `toys` is the most that a picture has.
    """
    shown = silhouettes(images, net)  # (B, 64, 64)
    readings = read(images) if readings is None else readings
    if not isinstance(readings, list) or len(readings) != len(images):
        raise ValueError(
            f"readings must be those of oracle.read(images), one dict for each of the "
            f"{len(images)} images"
        )
    most = max([len(seen["place"]) for seen in readings], default=0)
    found = shown.new_zeros(len(images), most, 64, 64)
    for b, seen in enumerate(readings):
        if seen["place"]:
            gaps = torch.stack([distance_to(place) for place in seen["place"]])
            owner = F.one_hot(gaps.argmin(0), most).permute(2, 0, 1)  # (toys, 64, 64)
            found[b] = owner.bool() & shown[b]
    return found


@functools.cache
def distance_to(place: str) -> Tensor:
    """Distance of each pixel from the middle of one of the nine places, (64, 64)."""
    row, column = divmod(toybox.PLACES.index(place), 3)
    pixels = torch.arange(64) + 0.5
    return torch.hypot(pixels[:, None] - 16 * (row + 1), pixels - 16 * (column + 1))
