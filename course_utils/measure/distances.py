"""How far apart are two sets, and what does one of them miss?

FID, KID, precision, recall, density, coverage, modes: all on (N, D) tensors, one row a
sample. `course_utils.measure` makes the features, and shows the numbers beside those of
real pictures and of static.
"""

import math
from numbers import Real

import torch
from torch import Tensor

from course_utils.images import check_tensor, check_whole


def fid(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two feature sets (N, D), (M, D), each taken as a Gaussian.

    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))      (Heusel et al. 2017, eq. 6)

    0 for equal means and covariances. In float64; the root is that of the symmetric
    S_a^(1/2) S_b S_a^(1/2), which has the same trace. Biased upwards, the more the
    fewer samples: compare only at equal N. On our judge's features it is a *tiny*-FID:
    never comparable with published numbers.
    """
    _check_features(a, b, more_than_features=True)
    a, b = a.double(), b.double()
    root = _symmetric_root(a.T.cov())
    mean = (a.mean(0) - b.mean(0)).square().sum()
    cross = _symmetric_root(root @ b.T.cov() @ root).trace()
    return (mean + a.T.cov().trace() + b.T.cov().trace() - 2 * cross).clamp(0).item()


def _symmetric_root(matrix: Tensor) -> Tensor:
    """Return the square root of a symmetric positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * values.clamp(0).sqrt() @ vectors.T  # rounding makes -1e-17 of 0


def kid(a: Tensor, b: Tensor) -> float:
    """Squared maximum mean discrepancy of two feature sets (N, D), (M, D).

    Kernel (x.y / D + 1)^3, unbiased estimator  (Binkowski et al. 2018, eq. 4): 0 in
    expectation for two samples of one distribution at any N, so it can be negative.
    """
    _check_features(a, b)
    a, b = a.double(), b.double()
    return (_mean_kernel(a) + _mean_kernel(b) - 2 * _kernel(a, b).mean()).item()


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3  # (N, M)


def _mean_kernel(a: Tensor) -> Tensor:
    """The mean over pairs of different samples: leaving out i = j removes the bias."""
    kernel = _kernel(a, a)
    return (kernel.sum() - kernel.trace()) / (len(a) * (len(a) - 1))


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> dict[str, float]:
    """Precision, recall, density, coverage of fake (M, D) given real (N, D) features.

    Around each sample lies a ball that reaches to its k-th neighbour in its own set.

    precision  share of fakes in some real ball        (Kynkaanniemi et al. 2019; k = 3)
    recall     share of reals in some fake ball; a single far-off fake raises it
    density    mean number of real balls a fake lies in, over k; can exceed 1
    coverage   share of real balls with a fake in them        (Naeem et al. 2020; k = 5)
    """
    _check_features(real, fake)
    for name, x in (("real", real), ("fake", fake)):
        check_whole(k, "k")
        if k >= len(x):
            raise ValueError(f"k={k} needs 1 <= k < {len(x)}, the samples in {name}")
    real, fake = real.double(), fake.double()
    between = _distances(real, fake)  # (N, M)
    in_real = between < _radii(real, k)[:, None]
    in_fake = between < _radii(fake, k)[None, :]
    return {
        "precision": in_real.any(0).double().mean().item(),
        "recall": in_fake.any(1).double().mean().item(),
        "density": in_real.sum(0).double().mean().item() / k,
        "coverage": in_real.any(1).double().mean().item(),
    }


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Distances (N, M) between rows, by |a|^2 + |b|^2 - 2 a.b, which is fast."""
    a, b = a - a.mean(0), b - a.mean(0)
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None, :]
    distances = squares - 2 * a @ b.T
    # Rounding puts equal points 1e-8 apart, and a copy would lie outside its own ball.
    return distances.where(distances > 1e-12 * squares, 0.0).sqrt()


def _radii(x: Tensor, k: int) -> Tensor:
    """Distance (N,) from each sample to its k-th neighbour; itself is the 0th."""
    return _distances(x, x).kthvalue(k + 1, dim=1).values


def modes_covered(
    points: Tensor, centres: Tensor, std: float, within: float = 3.0
) -> dict[str, float]:
    """Count the modes that points (N, 2) reach, and the share of good points.

    A point is of high quality if it lies within 3 std of the nearest centre; a mode is
    covered if it has at least one such point (Srivastava et al. 2017, VEEGAN; Lin et
    al. 2018, PacGAN: of 2500 points). Returns {"modes": int, "high_quality": share}.
    """
    for name, value in (("std", std), ("within", within)):
        if not isinstance(value, Real) or not 0 < value < math.inf:
            raise ValueError(f"{name}={value} must be a positive number")
    _check_features(points, centres, names=("points", "centres"), at_least=1)
    distance, nearest = torch.cdist(points.double(), centres.double()).min(dim=1)
    good = distance <= within * std
    return {
        "modes": len(nearest[good].unique()),
        "high_quality": good.double().mean().item(),
    }


def classes_covered(labels: Tensor, classes: int = 10, at_least: int = 1) -> int:
    """How many of the classes 0..classes-1 appear `at_least` times in labels (N,).

    A judge misreads a few pictures, so ask for more than one when N is large.
    """
    check_tensor(labels, "labels")
    check_whole(at_least, "at_least")
    check_whole(classes, "classes")
    if labels.ndim != 1 or labels.dtype not in (torch.long, torch.int, torch.uint8):
        raise ValueError(
            f"labels must be (N,) whole numbers, such as judge.labels(images); got "
            f"{labels.dtype} of shape {tuple(labels.shape)}"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels must lie in 0..{classes - 1}: is classes right?")
    counts = torch.bincount(labels.cpu(), minlength=classes)
    return int((counts >= at_least).sum())


def _check_features(
    a: Tensor,
    b: Tensor,
    names: tuple[str, str] = ("the first set", "the second set"),
    at_least: int = 2,
    more_than_features: bool = False,
) -> None:
    """Raise ValueError unless a and b are finite, (N, D), (M, D), and large enough."""
    for name, x in zip(names, (a, b), strict=True):
        check_tensor(x, name)
        if x.ndim != 2:
            raise ValueError(f"{name} must be (N, D), not {tuple(x.shape)}")
        if x.is_complex() or not x.isfinite().all():
            raise ValueError(f"{name} has values that are not finite, or not real")
        least = x.shape[1] + 1 if more_than_features else at_least
        if len(x) < least:
            raise ValueError(
                f"{name} has {len(x)} samples of {x.shape[1]} numbers: pass at least "
                f"{least}; ten times as many give a steady result"
            )
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{names[0]} has {a.shape[1]} numbers a sample, {names[1]} {b.shape[1]}: "
            "features of the same judge are needed"
        )
