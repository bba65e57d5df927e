"""A small network that reads toys in the round: which toy, its colour, from where.

It judges what generators draw, and no generator learns of it. How often it sees a front
where there should be none is the Janus score: a two-faced toy.
"""

import functools

import torch
from torch import Tensor, nn

from course_utils import models
from course_utils.images import check_images, in_parts
from course_utils.toybox.palette import COLOURS
from course_utils.toybox.solid import VIEWS
from course_utils.toybox.solid_toys import SOLIDS

ASKED = {"toy": tuple(SOLIDS), "colour": tuple(COLOURS), "view": VIEWS}


class ViewReader(nn.Module):
    """(B, 3, 64, 64) in [-1, 1] -> logits of each of ASKED, and "azimuth" (B, 2).

    azimuth holds the cosine and the sine of the angle, up to a scale.
    """

    def __init__(self, width: int = 20):
        super().__init__()
        sizes = [3, *(width * k for k in (1, 2, 3, 4))]
        layers = []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.Conv2d(after, after, 3, 1, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)  # (B, 4 width, 4, 4)
        self.inner = nn.Linear(4 * width * 16, 128)
        answers = {name: len(values) for name, values in ASKED.items()}
        self.heads = nn.ModuleDict(
            {name: nn.Linear(128, n) for name, n in (answers | {"azimuth": 2}).items()}
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits of every question."""
        seen = self.inner(self.body(images).flatten(1)).relu()
        return {name: head(seen) for name, head in self.heads.items()}


@functools.cache
def reader_of_views() -> nn.Module:
    """The shipped one, frozen."""
    return models.network("view-reader", ViewReader)


def read_views(images: Tensor, net: nn.Module | None = None) -> dict[str, list]:
    """What pictures (B, 3, 64, 64) in [-1, 1] show: question -> B answers.

    "toy", "colour", "view" are words; "azimuth" are degrees in -180..180, of no meaning
    in an overhead view.
    """
    check_images(images, 3, 64)
    net = net or reader_of_views()
    names = [*ASKED, "azimuth"]
    widths = [len(values) for values in ASKED.values()]

    def some(part: Tensor) -> Tensor:
        return torch.cat([net(part)[name] for name in names], 1)

    with torch.no_grad():
        *logits, angle = in_parts(some, images.float()).split([*widths, 2], 1)
    found = {
        name: [values[i] for i in rows.argmax(1).tolist()]
        for (name, values), rows in zip(ASKED.items(), logits, strict=True)
    }
    turned = torch.atan2(angle[:, 1], angle[:, 0]).rad2deg()
    return found | {"azimuth": turned.tolist()}
