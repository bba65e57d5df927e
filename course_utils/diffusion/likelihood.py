"""The flow: noise and data joined by an ODE, and what it says of a density.

The letters are those of `sde`. Every point of the flow moves without noise, and yet at
every t their density is that of the SDE, p_t.
"""

from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from course_utils.diffusion.forward import check_same
from course_utils.diffusion.sde import Process, Score, Time, column
from course_utils.images import (
    check_callable,
    check_floats,
    check_generator,
    check_kind,
    check_number,
    check_positive,
)

EPSILON = 1e-5  # where the flow ends: at t = 0 itself a score may be infinite


def flow(score: Tensor, x: Tensor, t: Time, process: Process) -> Tensor:
    """dx/dt of the probability-flow ODE, f - g^2 score / 2 (Song et al. 2021, eq. 13).

    Its points have the density p_t of the SDE's at every t, without any noise. `score`
    is the value at x, t a number or (B,).
    """
    check_same("x", x, "score", score, "pass score(x, t), not the function")
    rate, g = (column(level(t), x) for level in (process.rate, process.diffusion))
    return rate * x - g**2 * score / 2


class Likelihood(NamedTuple):
    """What the flow says about data."""

    log_density: Tensor  # (B,), in nats
    noise: Tensor  # (B, ...): where x0 ends at t = 1
    calls: int  # of the score


def log_likelihood(
    score: Score,
    x0: Tensor,
    process: Process,
    *,
    probes: int | None = None,
    start: float = EPSILON,
    tolerance: float = 1e-5,
    generator: torch.Generator | None = None,
) -> Likelihood:
    """log p(x0) by the flow from t = `start` to 1: Song et al. 2021, eq. 39.

    The divergence of the flow is exact if `probes` is None, one backward pass for each
    dimension. Else Hutchinson's estimate from so many random directions of +1 and -1,
    the same all along: right on average (eq. 40). RK45 of scipy, with `tolerance`
    relative and absolute; x0 (B, ...) in float64 for small ones.
    """
    check_callable(score, "score")
    check_floats(x0, "x0")
    check_generator(generator)
    if x0.ndim < 2 or not x0.isfinite().all():
        raise ValueError("x0 must be finite, (B, ...): one point is x0[None]")
    check_kind(process, "process", Process, "sde.VP()")
    check_number(start, "start", 0, 1)
    check_positive(tolerance, "tolerance")
    if probes is not None and not (isinstance(probes, Integral) and probes > 0):
        raise ValueError(f"probes={probes!r} must be 1 or more, or None for exact")
    along, size = _directions(x0, probes, generator), x0.numel()

    def slope(t: float, now: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(now[:size]).to(x0).view_as(x0).requires_grad_()
        with torch.enable_grad():
            v = flow(score(x, torch.full((len(x),), t).to(x)), x, t, process)
        bent = torch.zeros(len(x0)).to(x0)
        for way in along:
            (pull,) = torch.autograd.grad(v, x, way, retain_graph=True)
            bent += (pull * way).flatten(1).sum(1) / (probes or 1)
        both = torch.cat([v.detach().flatten(), bent])
        return both.cpu().double().numpy()

    state = np.concatenate([x0.detach().cpu().double().flatten(), np.zeros(len(x0))])
    found = solve_ivp(slope, (start, 1), state, rtol=tolerance, atol=tolerance)
    if not found.success:
        raise ValueError(f"the flow could not be followed: {found.message}")
    end = torch.from_numpy(found.y[:, -1])
    noise, change = end[:size].view(x0.shape), end[size:]
    prior = torch.distributions.Normal(0, float(process.sigma(1)))
    density = prior.log_prob(noise).flatten(1).sum(1) + change
    return Likelihood(density.to(x0), noise.to(x0), found.nfev)


def _directions(x: Tensor, probes: int | None, generator) -> Tensor:
    """Unit vectors for an exact trace, or random signs: (K, B, ...)."""
    if probes is None:
        each = torch.eye(x[0].numel()).view(-1, 1, *x.shape[1:])
        return each.expand(-1, *x.shape).to(x)
    signs = torch.randint(0, 2, (probes, *x.shape), generator=generator)
    return (2 * signs - 1).to(x)
