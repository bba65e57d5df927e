"""How an answer differs from the course's own: nothing, a factor, or by how much."""

import math
import numbers
import reprlib
from typing import Any

import torch
from torch import Tensor

# what people forget: a half, a channel count, a circle, the range of bytes, and roots
LIKELY = [2.0, 3.0, 4.0, 8.0, 10.0, math.pi, 2 * math.pi, 127.5, 255.0]
LIKELY += [math.sqrt(factor) for factor in LIKELY]
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def difference(yours: Any, ours: Any, tolerance: float) -> str | None:
    """Return None if both are equal, else how they differ."""
    if isinstance(ours, list | tuple):
        if not isinstance(yours, list | tuple) or len(yours) != len(ours):
            return f"We expect {len(ours)} values: {type(ours).__name__}."
        pairs = zip(yours, ours, strict=True)
        return next((d for a, b in pairs if (d := difference(a, b, tolerance))), None)
    if isinstance(ours, str | bool) or not isinstance(ours, Tensor | float | int):
        alike = isinstance(yours, str) == isinstance(ours, str)  # arrays compare oddly
        return None if alike and yours == ours else f"{reprlib.repr(yours)} is not it."
    try:
        yours, ours = number(yours), number(ours)
    except (TypeError, ValueError, RuntimeError):
        return f"We expect a tensor or a number, not a {type(yours).__name__}."
    if yours.is_complex():
        return "We expect real numbers; yours are complex."
    yours, ours = yours.double(), ours.double()
    if yours.numel() == 1 and ours.ndim == 0:
        yours = yours.reshape(())  # (1,) says the same
    if yours.shape != ours.shape:
        return f"The shape is {tuple(yours.shape)}; it should be {tuple(ours.shape)}."
    # two answers that are wrong in the same way may both hold nan; ours never does
    if torch.allclose(yours, ours, rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    if not yours.isfinite().all():
        return "Some of your values are not finite: a division by zero, or a root?"
    return f"Not equal: the largest difference is {(yours - ours).abs().max():.3g}."


def number(value: Any) -> Tensor:
    """Return a number of any kind, a list, an array or a tensor as a plain tensor."""
    if isinstance(value, numbers.Rational):  # a Fraction
        value = float(value)
    return torch.as_tensor(value).detach().cpu()


def proportion(yours: list, ours: list, cases: list[tuple]) -> str | None:
    """Say that all cases are right but for the sign or a factor, if they are.

    A factor is believed if it is the same everywhere and one that people forget, or if
    it is in each case the size of one of its tensors, or of a side of one, or a root.
    """
    ratios, sizes = [], []
    for mine, right, case in zip(yours, ours, cases, strict=True):
        mine, right = _flat(mine), _flat(right)
        if mine is None or right is None or mine.shape != right.shape:
            return None
        if not right.any():  # nothing times any factor
            if mine.any():
                return None
            continue
        ratio = float(mine @ right / (right @ right))
        if not torch.allclose(mine, ratio * right, **CLOSE):
            return None
        ratios.append(ratio)
        sizes.append(_sizes(case))
    if len(ratios) < 2:
        return None
    if _near(ratios, [-1.0] * len(ratios)):
        return "Right, but for the sign."
    if _near(ratios, ratios[:1] * len(ratios)):
        likely = any(_near([abs(ratios[0])], [f]) or _near([abs(ratios[0])], [1 / f])
                     for f in LIKELY)  # fmt: skip
        return _said(ratios[0]) if likely else None
    for power in (1, -1, 0.5, -0.5):
        if all(any(_near([r], [n**power]) for n in many)
               for r, many in zip(ratios, sizes, strict=True)):  # fmt: skip
            return _said(ratios[0]) + " A size of the case: a sum for a mean?"
    return None


def _said(ratio: float) -> str:
    return f"Right, but for a factor: yours is {ratio:.4g} times ours."


def _near(a: list[float], b: list[float]) -> bool:
    return all(math.isclose(x, y, rel_tol=1e-4) for x, y in zip(a, b, strict=True))


def _flat(outcome: Any) -> Tensor | None:
    """Return all numbers of an outcome in a row, or None if some are not finite."""
    parts = list(outcome) if isinstance(outcome, list | tuple) else [outcome]
    flat = torch.cat([number(part).double().flatten() for part in parts])
    return flat if flat.isfinite().all() else None


def _sizes(case: tuple) -> set[int]:
    """Return the sizes of a case's tensors and of their sides, ones left out."""
    tensors = [x for x in case if isinstance(x, Tensor)]
    return {n for x in tensors for n in (x.numel(), *x.shape) if n > 1}
