"""The judge of the real data: a small classifier of digits, or of clothes.

Its last hidden layer is the space in which sets of pictures are compared.
"""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from course_utils import data, models
from course_utils.images import check_images, check_tensor, in_parts
from course_utils.measure.distances import classes_covered
from course_utils.measure.reports import report


class ClassifierNet(nn.Module):
    """A small classifier; its last hidden layer is what tiny-FID looks at.

    Convolutions until the picture is 4x4, then one hidden layer, which is standardised
    over what it is trained on: mean 0, variance 1 per feature.
    """

    def __init__(self, size: int, channels: Sequence[int], features: int, classes: int):
        """Build it for (1, size, size) pictures; each of channels is a convolution."""
        super().__init__()
        layers, before = [], 1
        for width in channels:
            stride = 2 if size > 8 else 1  # large pictures shrink at once: it is cheap
            size = size // stride
            layers += [nn.Conv2d(before, width, 3, stride, padding=1)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            if size == 8:
                layers, size = [*layers, nn.MaxPool2d(2)], 4
            before = width
        flat = before * size * size
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, features))
        self.standardise = nn.BatchNorm1d(features, affine=False)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(features, classes))

    def features(self, images: Tensor) -> Tensor:
        """The standardised hidden layer: (B, 1, H, W) -> (B, D)."""
        return self.standardise(self.body(images))

    def forward(self, images: Tensor) -> Tensor:
        """Logits: (B, 1, H, W) -> (B, classes)."""
        return self.head(self.features(images))


class Judge:
    """A frozen classifier with the questions that lessons ask of it.

    Images are (N, 1, size, size) in [-1, 1]; anything else is a ValueError.
    """

    def __init__(self, name: str, net: ClassifierNet):
        """net.facts says its classes, and its accuracy on held-out pictures."""
        self.name, self.net, config = name, net, net.facts
        self.size: int = config["net"]["size"]
        self.classes: list[str] = config["classes"]
        self.held_out_accuracy: float = config.get("held_out_accuracy", 0.0)
        self.held_out_n: int = config.get("held_out_n", 0)

    def __repr__(self) -> str:
        """What the judge is and how far to trust it."""
        return (
            f"judge({self.name!r}): reads {self.held_out_accuracy:.1%} of "
            f"{self.held_out_n} held-out pictures correctly"
        )

    def _apply(self, function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        check_images(images, 1, self.size)
        with torch.no_grad():
            return in_parts(function, images.detach().to("cpu", torch.float32), 500)

    def features(self, images: Tensor) -> Tensor:
        """The penultimate layer, (N, D): the space in which sets are compared."""
        return self._apply(self.net.features, images)

    def probabilities(self, images: Tensor) -> Tensor:
        """p(class | image), (N, classes)."""
        return self._apply(self.net, images).softmax(dim=1)

    def labels(self, images: Tensor) -> Tensor:
        """The most probable class of each picture, (N,) long."""
        return self.probabilities(images).argmax(dim=1)

    def confidence(self, images: Tensor) -> Tensor:
        """The probability of that class, (N,). High does not mean real: see report."""
        return self.probabilities(images).amax(dim=1)

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of pictures read as their label says."""
        check_tensor(labels, "labels")
        check_images(images, 1, self.size)
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f"labels has shape {tuple(labels.shape)}: pass one label per image, "
                f"shape ({len(images)},)"
            )
        if not len(labels):
            raise ValueError("images is empty: nothing can be measured")
        classes_covered(labels, len(self.classes))  # refuses what is no class
        return (self.labels(images) == labels.cpu()).float().mean().item()

    def opinion(self, images: Tensor) -> dict[str, float]:
        """Mean confidence, and how many classes at least one in a hundred shows."""
        labels, enough = self.labels(images), 1 + len(images) // 100
        if not len(labels):
            raise ValueError("images is empty: nothing can be measured")
        return {
            "confidence": self.confidence(images).mean().item(),
            "classes": classes_covered(labels, len(self.classes), enough),
        }

    def report(self, images: Tensor) -> dict[str, float]:
        """report(...) against this judge's own data: training and held-out pictures."""
        return report(self, images, *_reference(self.name))


@functools.cache
def judge(name: str = "digits") -> Judge:
    """The judge that the course ships for a data set: "digits" or "fashion"."""
    if name not in data.NAMES:
        raise ValueError(f"name must be one of {', '.join(data.NAMES)}, not {name!r}")
    return Judge(name, models.network(f"judge-{name}", ClassifierNet))


def build(name: str, weights: dict[str, Tensor], config: dict) -> Judge:
    """A judge from weights of any precision and its config (see its config.json)."""
    return Judge(name, models.frozen(ClassifierNet(**config["net"]), weights, config))


@functools.cache
def _reference(name: str) -> tuple[Tensor, Tensor]:
    """Return (real, held_out): the training pictures and those the judge never saw."""
    real, held_out = data.load(name, "train").images, data.load(name, "test").images
    return real[:2000], held_out[:1000]  # all of the digits: 1257 and 540
