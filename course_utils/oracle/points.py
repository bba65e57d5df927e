"""Where are the points of a toy? The oracle's third part.

A small network answers for each pixel how likely it is the centre, the top, the left,
the right, the left foot or the right foot of a toy; a doll's left and right are its
hands. Like the oracle it judges only: no generator is trained with it.
"""

import torch
from torch import Tensor, nn

from course_utils import models
from course_utils.images import check_images, in_parts
from course_utils.oracle.reading import read
from course_utils.oracle.segmenter import Segmenter, distance_to

SPREAD = 1.5  # pixels: how wide a point is drawn for the network to learn
SURE = 0.2  # of a dancer's point: less is no point
REACH = 14.0  # pixels from the middle of its place: what may be a toy's


class Pointer(nn.Module):
    """(B, 3, 64, 64) in [-1, 1] -> logits of the six points, (B, 6, 64, 64)."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.net = Segmenter(width, answers=6)

    def forward(self, images: Tensor) -> Tensor:
        """Answer for each pixel and point."""
        return self.net(images)


def pointer() -> Pointer:
    """The one that the course ships, frozen."""
    return models.network("pointer", Pointer)


def keypoints(
    images: Tensor, toy: str = "doll", net: nn.Module | None = None
) -> Tensor:
    """Six points (x, y) of the first toy of a kind in each picture: (B, 6, 2) pixels.

    images (B, 3, 64, 64) in [-1, 1]. In the order of toybox.keypoints; nan where the
    oracle reads no such toy.
    """
    check_images(images, 3, 64)
    net = net or pointer()
    with torch.no_grad():
        maps = in_parts(lambda x: net(x).sigmoid(), images.detach().float(), 100)
    found = torch.full((len(images), 6, 2), torch.nan)
    for b, seen in enumerate(read(images)):
        if toy in seen["toy"]:
            place = seen["place"][seen["toy"].index(toy)]
            found[b] = peaks(maps[b] * (distance_to(place) < REACH))
    return found


def dancer_points(images: Tensor, net: nn.Module | None = None) -> Tensor:
    """Six points (x, y) of the dancing doll in each picture: (B, 6, 2) pixels.

    images (B, 3, 64, 64) in [-1, 1]; nan where the network is sure of no such point.
    """
    check_images(images, 3, 64)
    net = net or models.network("dancer-pointer", Pointer)
    with torch.no_grad():
        maps = in_parts(lambda x: net(x).sigmoid(), images.detach().float(), 100)
    found = torch.stack([peaks(some) for some in maps])
    found[maps.amax((2, 3)) < SURE] = torch.nan
    return found


def peaks(maps: Tensor) -> Tensor:
    """The middle of each map's highest hill: (K, H, W) of at least 0 -> (K, 2), (x, y).

    The mean place within four pixels of the highest one, weighted by height.
    """
    height, width = maps.shape[1:]
    y, x = torch.meshgrid(
        torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij"
    )
    points = []
    for hill in maps:
        row, column = divmod(int(hill.argmax()), width)
        near = torch.hypot(x - column - 0.5, y - row - 0.5) <= 4
        weight = (hill * near).square()
        total = weight.sum().clamp(min=1e-12)
        points.append(torch.stack([(weight * x).sum(), (weight * y).sum()]) / total)
    return torch.stack(points)
