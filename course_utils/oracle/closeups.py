"""A small network that says which toy a close-up shows, if any.

It judges illusions: none is ever made with its help. A toy on its side or on its head
is none to it, neither is a mixture of which less than half is one toy.
"""

import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import check_images, in_parts

ANSWERS = ["nothing", *toybox.DRAWN]
SIDE = 48  # pixels of a close-up


class CloseupReader(nn.Module):
    """(B, 3, 48, 48) in [-1, 1] -> logits of ANSWERS, (B, 10)."""

    def __init__(self, width: int = 24):
        """Give the maps 2 * width channels."""
        super().__init__()
        self.body = nn.Sequential(
            *_layer(3, width, stride=2),  # 24x24
            *_layer(width, width),
            *_layer(width, 2 * width, stride=2),  # 12x12
            *_layer(2 * width, 2 * width),
        )[:-1]  # without the last ReLU, so that the maps have mean 0
        self.deep = nn.Sequential(
            *_layer(2 * width, 4 * width, stride=2),  # 6x6
            *_layer(4 * width, 4 * width),
            *_layer(4 * width, 4 * width, stride=2),  # 3x3
        )
        self.answer = nn.Linear(9 * 4 * width, len(ANSWERS))

    def maps(self, images: Tensor) -> Tensor:
        """What is seen where: (B, 3, 48, 48) -> (B, 2 * width, 12, 12), of mean 0."""
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        """Answer for each picture."""
        return self.answer(self.deep(self.maps(images).relu()).flatten(1))


def _layer(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(after), nn.ReLU()]


def closeup_reader() -> CloseupReader:
    """The one that the course ships, frozen."""
    return models.network("closeup-reader", CloseupReader)


@torch.no_grad()
def closeup_confidence(images: Tensor, net: nn.Module | None = None) -> Tensor:
    """How likely each of ANSWERS is, (B, 10): images (B, 3, 48, 48) in [-1, 1]."""
    check_images(images, 3, SIDE)
    net = net or closeup_reader()
    where = net.answer.weight
    return in_parts(lambda x: net(x.to(where)).softmax(1), images.detach())


def read_closeups(images: Tensor, net: nn.Module | None = None) -> list[str]:
    """One of ANSWERS for each picture: images (B, 3, 48, 48) in [-1, 1]."""
    best = closeup_confidence(images, net).argmax(1)
    return [ANSWERS[k] for k in best.tolist()]
