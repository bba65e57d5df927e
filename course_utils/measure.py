"""How good is it? A judge that reads pictures, and distances between two sets of them.

Every score is only as good as the judge's eyes and the number of pictures, so both
are always said: the judge prints its accuracy on pictures it never saw, and a report
puts real pictures (the best that can be hoped for) and static (the worst) beside yours.
"""

import functools
import itertools
import json
import time
from collections.abc import Callable, Sequence

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from course_utils import data, models, oracle
from course_utils.distances import classes_covered, fid, kid, prdc
from course_utils.distances import modes_covered as modes_covered  # for lessons


class JudgeNet(nn.Module):
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

    def __init__(self, name: str, net: JudgeNet, config: dict):
        """Freeze net; config says its classes and its accuracy on held-out pictures."""
        self.name, self.net = name, net.eval().requires_grad_(False)
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
        oracle.check_images(images, 1, self.size)
        with torch.no_grad():
            batches = images.detach().to("cpu", torch.float32).split(500)
            return torch.cat([function(batch) for batch in batches])

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
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f"labels has shape {tuple(labels.shape)}: pass one label per image, "
                f"shape ({len(images)},)"
            )
        return (self.labels(images) == labels.cpu()).float().mean().item()

    def report(self, images: Tensor) -> dict[str, float]:
        """report(...) against this judge's own data: training and held-out pictures."""
        return report(self, images, *_reference(self.name))


@functools.cache
def judge(name: str = "digits") -> Judge:
    """The judge that the course ships for a data set: "digits" or "fashion"."""
    if name not in data.NAMES:
        raise ValueError(f"name must be one of {', '.join(data.NAMES)}, not {name!r}")
    folder = models.path(f"judge-{name}")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return build(name, load_file(folder / "model.safetensors"), config)


def build(name: str, weights: dict[str, Tensor], config: dict) -> Judge:
    """A judge from weights of any precision and its config (see its config.json)."""
    net = JudgeNet(**config["net"])
    net.load_state_dict(weights)  # copies into float32
    return Judge(name, net, config)


@functools.cache
def _reference(name: str) -> tuple[Tensor, Tensor]:
    """Return (real, held_out): the training pictures and those the judge never saw."""
    real, held_out = data.load(name, "train").images, data.load(name, "test").images
    return real[:2000], held_out[:1000]  # all of the digits: 1257 and 540


def report(
    judge: Judge, images: Tensor, real: Tensor, held_out: Tensor
) -> dict[str, float]:
    """Score n pictures against `real`, beside what real pictures and static score.

    `held_out` are real pictures that are not in `real`; at most as many `images` can be
    scored, because every number depends on n and must be compared at the same n. Keys:

    n                 how many pictures were scored
    judge_accuracy    of the judge on its own held-out pictures
    tiny_fid, kid     distance to `real`, lower is better (see fid, kid)
    precision, recall, density, coverage      higher is better (see prdc; k = 5)
    confidence        mean probability of the class that the judge sees
    classes           classes that at least one picture in a hundred shows

    and for each of these the same of n held-out pictures, `tiny_fid_real`, and of n
    pictures of static, `tiny_fid_noise`. The first is what perfection scores, the
    second what no skill scores. Less than `_real` is no triumph: copies of the
    training pictures do that.
    """
    n = len(images)
    if n > len(held_out):
        raise ValueError(
            f"images has {n} pictures, but only {len(held_out)} held-out ones are "
            f"there to compare with at the same n: pass images[:{len(held_out)}]"
        )
    known, row = _bounds(judge, real, held_out, n)
    own = {"n": n, "judge_accuracy": judge.held_out_accuracy}
    return own | _scores(judge, images, known) | row


@functools.lru_cache(maxsize=8)  # tensors are told apart by identity, not by value
def _bounds(
    judge: Judge, real: Tensor, held_out: Tensor, n: int
) -> tuple[Tensor, dict[str, float]]:
    """Return the features of `real`, and what n real pictures and static score."""
    held_out, known = held_out[:n], judge.features(real)
    generator = torch.Generator().manual_seed(0)
    static = torch.rand(held_out.shape, generator=generator) * 2 - 1
    best = _scores(judge, held_out, known)
    worst = _scores(judge, static, known)
    row = {f"{key}_real": x for key, x in best.items()}
    return known, row | {f"{key}_noise": x for key, x in worst.items()}


def _scores(judge: Judge, images: Tensor, known: Tensor) -> dict[str, float]:
    features, labels = judge.features(images), judge.labels(images)
    return {
        "tiny_fid": fid(known, features),
        "kid": kid(known, features),
        **prdc(known, features),
        "confidence": judge.confidence(images).mean().item(),
        "classes": classes_covered(labels, len(judge.classes), 1 + len(images) // 100),
    }


def seconds_per_image(
    sample: Callable[[int], Tensor], n: int = 64, repeats: int = 3
) -> float:
    """Time `sample(n)`, which returns n pictures: the median of `repeats`, over n.

    A first call, not counted, warms up. It depends on n: say n, device and threads.
    """
    sample(n)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        sample(n)[0].cpu()  # fetching a result waits for a GPU to finish
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2] / n


def attribute_accuracy(
    images: Tensor, scenes: Sequence, net: oracle.Reader | None = None
) -> dict[str, float]:
    """How much of each attribute the oracle reads in images as the scenes ask for.

    images  (B, 3, 64, 64) in [-1, 1]
    scenes  a Scene for each, or what `toybox.parse` reads in a caption: what is not
            said is not asked for
    Toys asked for are paired with toys seen in the way that makes most of them right; a
    toy that is not there has everything wrong. Returns attribute -> share of toys (of
    pictures for ground, count and relation); "all" is the share of pictures with
    everything right. An attribute that nobody asks for is missing.
    """
    if len(images) != len(scenes):
        raise ValueError(f"{len(images)} images need as many scenes, not {len(scenes)}")
    right: dict[str, list[bool]] = {"all": []}
    for seen, scene in zip(oracle.read(images, net), scenes, strict=True):
        asked = scene if isinstance(scene, dict) else scene.attributes
        answers = _answers(asked, seen)
        right["all"].append(all(good for _, good in answers))
        for name, good in answers:
            right.setdefault(name, []).append(good)
    return {name: sum(goods) / len(goods) for name, goods in right.items()}


def _answers(asked: dict, seen: dict) -> list[tuple[str, bool]]:
    """(attribute, right or wrong) for everything that is asked for."""
    lists = [name for name, value in asked.items() if isinstance(value, list)]
    things = [{name: asked[name][k] for name in lists} for k in range(asked["count"])]
    there = [{n: seen[n][k] for n in lists if n in seen} for k in range(seen["count"])]
    there += [{}] * (len(things) - len(there))  # nothing, in place of what is missing
    pairings = (
        [
            (name, other.get(name) == value)
            for thing, other in zip(things, chosen, strict=True)
            for name, value in thing.items()
            if value is not None
        ]
        for chosen in itertools.permutations(there, len(things))
    )
    best = max(pairings, key=lambda pairs: sum(good for _, good in pairs))
    whole = [name for name in asked if name not in lists]
    return best + [(name, seen.get(name) == asked[name]) for name in whole]
