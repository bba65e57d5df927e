"""A set of pictures, scored beside what real pictures and static score.

A distance says nothing alone: it depends on the number of pictures and on the eyes
that compare them. So a report holds the same numbers for the best and the worst.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_images, check_tensor, in_parts
from course_utils.measure.distances import fid, kid, prdc


class FeatureExtractor(Protocol):
    """Whoever looks at pictures: a judge of the real data, or the oracle."""

    held_out_accuracy: float

    def features(self, images: Tensor) -> Tensor:
        """The space in which sets are compared: (N, C, H, W) -> (N, D)."""

    def opinion(self, images: Tensor) -> dict[str, float]:
        """confidence and classes, as `report` explains them."""


@dataclass(frozen=True)
class OracleFeatures:
    """The oracle, asked what a judge is asked; `net` is a Reader."""

    net: oracle.Reader

    @property
    def held_out_accuracy(self) -> float:
        """Share of held-out renders of which it reads everything right."""
        return self.net.facts["held_out_accuracy"]["all"]

    def features(self, images: Tensor) -> Tensor:
        """`oracle.features`: (N, 3, 64, 64) -> (N, D)."""
        return oracle.features(images, self.net).float().cpu()

    def opinion(self, images: Tensor) -> dict[str, float]:
        """How sure it is of its least sure answer, and how many toys it meets."""
        readings = oracle.read(images, self.net)
        sure = [min(reading["confidence"].values()) for reading in readings]
        met = Counter(toy for reading in readings for toy in set(reading["toy"]))
        often = [toy for toy, times in met.items() if times > len(images) // 100]
        return {"confidence": sum(sure) / len(sure), "classes": len(often)}


def report(
    judge: FeatureExtractor, images: Tensor, real: Tensor, held_out: Tensor
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
    for name, x in (("images", images), ("real", real), ("held_out", held_out)):
        check_tensor(x, name)
    n = len(images)
    if n > len(held_out):
        raise ValueError(
            f"images has {n} pictures, but only {len(held_out)} held-out ones are "
            f"there to compare with at the same n: pass images[:{len(held_out)}]"
        )
    known, row = _bounds(judge, real, held_out, n)
    own = {"n": n, "judge_accuracy": judge.held_out_accuracy}
    return own | _scores(judge, images, known) | row


@functools.lru_cache(maxsize=4)  # tensors are told apart by identity, not by value
def _bounds(
    judge: FeatureExtractor, real: Tensor, held_out: Tensor, n: int
) -> tuple[Tensor, dict[str, float]]:
    """Return the features of `real`, and what n real pictures and static score."""
    held_out, known = held_out[:n], judge.features(real)
    generator = torch.Generator().manual_seed(0)
    static = torch.rand(held_out.shape, generator=generator) * 2 - 1
    best = _scores(judge, held_out, known)
    worst = _scores(judge, static, known)
    row = {f"{key}_real": x for key, x in best.items()}
    return known, row | {f"{key}_noise": x for key, x in worst.items()}


def _scores(judge: FeatureExtractor, images: Tensor, known: Tensor) -> dict[str, float]:
    features = judge.features(images)
    return {
        "tiny_fid": fid(known, features),
        "kid": kid(known, features),
        **prdc(known, features),
        **judge.opinion(images),
    }


def scene_report(
    images: Tensor,
    scenes: Sequence[toybox.Scene] | None = None,
    real: Sequence[toybox.Scene] | None = None,
    net: oracle.Reader | None = None,
) -> dict[str, float]:
    """`report` for pictures of the toybox, (N, 3, 64, 64) in [-1, 1]: the same keys.

    scenes  those that the pictures were asked to show; their true renders are the
            ceiling. If not given, N scenes of the split "test"
    real    scenes whose renders are compared with; if not given, 1000 of the split
            "train". Pass some of the same kind if `scenes` are of a special kind, such
            as cats only: else the ceiling is far away as well
    The eyes are the oracle's: confidence is that of its least sure answer, classes are
    toys. FID needs more pictures than the oracle has features (160).
    """
    check_images(images, 3, 64)
    eyes, n = OracleFeatures(net or oracle.reader()), len(images)
    for name, given in (("scenes", scenes), ("real", real)):
        if given is not None:
            toybox.check_scenes(given, name)
    if scenes is not None and len(scenes) != n:
        raise ValueError(f"{n} images need as many scenes, not {len(scenes)}")
    held_out = _renders("test", n) if scenes is None else _render(scenes)
    known = _renders("train", 1000) if real is None else _render(real)
    return report(eyes, images, known, held_out)


@functools.lru_cache(maxsize=4)
def _renders(split: str, n: int) -> Tensor:
    rng = np.random.default_rng(0)
    return _render([toybox.sample(rng, split) for _ in range(n)])


def _render(scenes: Sequence[toybox.Scene]) -> Tensor:
    return in_parts(toybox.render, scenes)
