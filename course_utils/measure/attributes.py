"""Do pictures show what was asked for, and everything that there is?

The oracle reads pictures of the toybox; what it reads is compared with scenes.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_tensor


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
    _check_scenes_of(images, scenes)
    right: dict[str, list[bool]] = {"all": []}
    for seen, scene in zip(oracle.read(images, net), scenes, strict=True):
        verdict = toybox.graded(toybox.said_of(scene), seen)
        right["all"].append(all(good for _, good in verdict))
        for name, good in verdict:
            right.setdefault(name, []).append(good)
    return {name: sum(goods) / len(goods) for name, goods in right.items()}


def _check_scenes_of(images: Tensor, scenes: Sequence) -> None:
    check_tensor(images, "images")
    if not isinstance(scenes, list | tuple):
        raise ValueError(
            "scenes must be a list, one for each picture, not a "
            f"{type(scenes).__name__}"
        )
    if len(images) != len(scenes):
        raise ValueError(f"{len(images)} images need as many scenes, not {len(scenes)}")
    if not scenes:
        raise ValueError("images is empty: nothing can be measured")


def grades(images: Tensor, scenes: Sequence[toybox.Scene]) -> dict[str, float]:
    """`attribute_accuracy`, and of several toys one more: "bound".

    bound is the share of pictures in which as many toys as asked for, each of its kind,
    have their own colour: no colour has moved to the wrong toy.
    """
    toybox.check_scenes(scenes)
    found = attribute_accuracy(images, scenes)
    if all(len(scene.things) == 1 for scene in scenes):
        return found
    names = ("toy", "colour", "count")
    asked = [{name: scene.attributes[name] for name in names} for scene in scenes]
    return found | {"bound": attribute_accuracy(images, asked)["all"]}


def tuples(
    pictures: Tensor | Sequence,
    attributes: Sequence[str] = ("toy", "colour"),
    real: Sequence | None = None,
    net: oracle.Reader | None = None,
) -> dict[str, float]:
    """Which combinations of attributes a set of pictures shows, and how unevenly.

    pictures    (B, 3, 64, 64) in [-1, 1], which the oracle reads; or scenes, or dicts
                like Scene.attributes. Every toy gives one tuple, with ground, count
                and relation of its picture
    real        scenes or dicts to compare with: 5000 of the split "train" if None
    Returns
    modes       how many of the tuples of `real` the pictures show at least once
    possible    how many there are in `real`
    outside     share of the toys whose tuple `real` does not have
    kl          KL(pictures || real) of the frequencies in nats, over the tuples of
                `real` only: sum p log(p / q), and 0 log 0 = 0. So what is never shown
                costs nothing by itself, and what `real` lacks counts as outside; inf
                if all is outside. 0 if the frequencies agree; one tuple alone out of K
                equal ones: log K. n true samples have about (possible - 1) / 2n.
    Modes and KL are those of stacked MNIST (Metz et al. 2016; Srivastava et al. 2017).
    """
    if not isinstance(pictures, Tensor | list | tuple) or not len(pictures):
        raise ValueError(
            "pictures must be a batch (B, 3, 64, 64), or a list of scenes, and not "
            f"empty; this is a {type(pictures).__name__}"
        )
    said = oracle.read(pictures, net) if isinstance(pictures, Tensor) else pictures
    known = _train_scenes() if real is None else real
    if not isinstance(known, list | tuple) or not known:
        raise ValueError("real must be a list of scenes, at least one")
    shown, truth = _count(said, attributes), _count(known, attributes)
    inside = {key: times for key, times in shown.items() if key in truth}
    n, m = sum(inside.values()), sum(truth.values())
    terms = (k / n * math.log((k / n) / (truth[key] / m)) for key, k in inside.items())
    return {
        "modes": len(inside),
        "possible": len(truth),
        "outside": 1 - n / max(1, sum(shown.values())),
        "kl": sum(terms) if n else math.inf,
    }


@functools.cache
def _train_scenes() -> list[toybox.Scene]:
    rng = np.random.default_rng(0)
    return [toybox.sample(rng) for _ in range(5000)]


def _count(pictures: Sequence, attributes: Sequence[str]) -> Counter:
    """How often each tuple is there."""
    if not isinstance(attributes, list | tuple) or not attributes:
        raise ValueError(f"attributes={attributes!r}: pass a tuple, such as ('toy',)")
    for name in attributes:
        if name not in list(toybox.ATTRIBUTES):
            raise ValueError(
                f"attributes: no {name!r}; there are {', '.join(toybox.ATTRIBUTES)}"
            )
    found: Counter = Counter()
    for picture in pictures:
        said = toybox.said_of(picture)
        values = [said.get(name) for name in attributes]
        for k in range(said["count"]):
            found[tuple(v[k] if isinstance(v, list) else v for v in values)] += 1
    return found
