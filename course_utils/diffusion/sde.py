"""Noise in continuous time: three SDEs, their scores, one step back.

    maths        code                meaning
    t            t                   time in [0, 1]: 0 is data, 1 is noise
    f(x, t)      rate(t) x           where a moment pulls x, the drift
    g(t)         diffusion(t)        how much noise a moment adds
    x_t          x_t                 signal(t) x0 + sigma(t) noise
    s(x, t)      score(x, t)         gradient by x of log p_t(x), shaped like x

The forward SDE is dx = f dt + g dw (Song et al. 2021, eq. 5). A process is VP, SubVP or
VE, a score any callable `score(x, t)` of x (B, ...) and t (B,), floats in [0, 1].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.diffusion.forward import Model, check_same
from course_utils.diffusion.mixtures import Mixture
from course_utils.schedules import Schedule, check_schedule

Score = Callable[[Tensor, Tensor], Tensor]
Time = float | Tensor


@dataclass(frozen=True)
class VP:
    """Variance preserving, what DDPM becomes: dx = -beta x / 2 dt + sqrt(beta) dw.

    beta grows in a straight line. Song et al. 2021, eq. 11 and, in closed form, 29.
    """

    first: float = 0.1
    last: float = 20.0

    def __post_init__(self) -> None:
        """Refuse a noise that does not grow."""
        _growing("first", self.first, "last", self.last)

    def beta(self, t: Time) -> Tensor:
        """Noise per unit of time."""
        return self.first + _time(t) * (self.last - self.first)

    def total(self, t: Time) -> Tensor:
        """The integral of beta from 0 to t."""
        return _time(t) * (self.first + self.beta(t)) / 2

    def rate(self, t: Time) -> Tensor:
        """f(x, t) = rate(t) x."""
        return -self.beta(t) / 2

    def diffusion(self, t: Time) -> Tensor:
        """g(t)."""
        return self.beta(t) ** 0.5

    def signal(self, t: Time) -> Tensor:
        """What is left of x0 at t."""
        return (-self.total(t) / 2).exp()

    def sigma(self, t: Time) -> Tensor:
        """The standard deviation of the noise at t."""
        return (-torch.expm1(-self.total(t))) ** 0.5


@dataclass(frozen=True)
class SubVP(VP):
    """VP with less noise at every t < 1: Song et al. 2021, eq. 12 and 29."""

    def diffusion(self, t: Time) -> Tensor:
        """g(t)."""
        return (self.beta(t) * -torch.expm1(-2 * self.total(t))) ** 0.5

    def sigma(self, t: Time) -> Tensor:
        """The standard deviation of the noise at t: VP's squared."""
        return -torch.expm1(-self.total(t))


@dataclass(frozen=True)
class VE:
    """Variance exploding, what SMLD becomes: dx = sqrt(d sigma^2 / dt) dw.

    sigma grows geometrically from sigma_min, which the data have at t = 0 already. Song
    et al. 2021, eq. 9 and appendix C.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        """Refuse a noise that does not grow."""
        _growing("sigma_min", self.sigma_min, "sigma_max", self.sigma_max)

    def rate(self, t: Time) -> Tensor:
        """f(x, t) = 0: nothing shrinks."""
        return 0 * _time(t)

    def diffusion(self, t: Time) -> Tensor:
        """g(t)."""
        return self.sigma(t) * (2 * math.log(self.sigma_max / self.sigma_min)) ** 0.5

    def signal(self, t: Time) -> Tensor:
        """What is left of x0 at t: all of it."""
        return torch.ones_like(_time(t))

    def sigma(self, t: Time) -> Tensor:
        """The standard deviation of the noise at t."""
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** _time(t)


Process = VP | SubVP | VE


def score_of_noise(model: Model, schedule: Schedule, process: Process) -> Score:
    """Turn a network that predicts the noise into a score: -noise / sigma.

    It may have learnt by another process: whatever signal and sigma are, x_t over
    sqrt(signal^2 + sigma^2) is an x_t of a schedule that preserves the variance, at the
    step of the same signal over sigma, where the network is asked. Steps in between are
    fractional; levels beyond the schedule's ends are asked at its ends.
    """
    check_schedule(schedule)
    known = (schedule.signal_power / schedule.noise_power).log().flip(0)  # rising
    if not schedule.variance_preserving:
        raise ValueError("schedule must preserve the variance: signal^2 + sigma^2 = 1")

    def score(x: Tensor, t: Tensor) -> Tensor:
        signal, sigma = _levels(process, t, x)
        ratio = (2 * (signal / sigma).log()).double().flatten().to(known)
        after = torch.searchsorted(known, ratio).clamp(1, schedule.T - 1)
        low, high = known[after - 1], known[after]
        place = (after - 1 + (ratio - low) / (high - low)).clamp(0, schedule.T - 1)
        step = (schedule.T - 1 - place).to(x)
        return -model(x / (signal**2 + sigma**2) ** 0.5, step) / sigma

    return score


def score_of_mixture(mixture: Mixture, process: Process) -> Score:
    """The true score of a Gaussian mixture in noise: (B, D), (B,) -> (B, D)."""

    def score(x: Tensor, t: Tensor) -> Tensor:
        signal, sigma = _levels(process, t, x)
        size = (signal**2 + sigma**2) ** 0.5
        return mixture.score(x / size, (signal / size) ** 2) / size

    return score


def back_step(
    score: Tensor,
    x_t: Tensor,
    t: float,
    process: Process,
    *,
    to: float | None,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One step of the reverse SDE, from t to an earlier time `to`: the predictor.

    x_s = (x_t + added score) / kept + sqrt(added) noise, with kept = signal_t/signal_s
    and added = sigma_t^2 - kept^2 sigma_s^2, the variance of the noise that came in
    between. For VP that is DDPM with its large variance (Song et al. 2021, eq. 4), for
    VE the reverse-diffusion predictor (appendix E).

    score  its value at x_t, shaped like it
    to     None is the clean picture: the step is then the mean, without fresh noise
    """
    check_same("x_t", x_t, "score", score, "pass score(x_t, t), not the function")
    if to is not None and not 0 <= to < t:
        raise ValueError(f"to={to} must lie in [0, t), t={t}, or be None for clean")
    signal, sigma = process.signal(t), process.sigma(t)
    clean = to is None
    kept = signal if clean else signal / process.signal(to)
    added = sigma**2 if clean else sigma**2 - (kept * process.sigma(to)) ** 2
    added, kept = added.to(x_t), kept.to(x_t)
    mean = (x_t + added * score) / kept
    return mean if clean else mean + added**0.5 * _noise(x_t, noise, generator)


def langevin_step(
    score: Tensor,
    x: Tensor,
    *,
    snr: float = 0.16,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Stay at t, but come nearer to p_t: the corrector, a step of Langevin dynamics.

    x + step score + sqrt(2 step) noise, step = 2 (snr |noise| / |score|)^2, the norms
    averaged over the batch. Song et al. 2021, Algorithm 4, VE (its alpha is 1).
    """
    check_same("x", x, "score", score, "pass score(x, t), not the function")
    if not snr > 0:
        raise ValueError(f"snr={snr} must be above 0; the paper has 0.16")
    noise = _noise(x, noise, generator)
    sizes = [z.flatten(1).norm(dim=1).mean() for z in (noise, score)]
    step = 2 * (snr * sizes[0] / sizes[1]) ** 2
    return x + step * score + (2 * step) ** 0.5 * noise


def _time(t: Time) -> Tensor:
    t = torch.as_tensor(t, dtype=None if isinstance(t, Tensor) else torch.float64)
    ends = t.detach().flatten()
    if len(ends) and not 0 <= float(ends.min()) <= float(ends.max()) <= 1:
        raise ValueError(
            f"t must lie in [0, 1], got {float(ends.min())}..{float(ends.max())}: of a "
            "step number of T take t / T"
        )
    return t


def column(level: Tensor, x: Tensor) -> Tensor:
    """A number, or one for each of the batch, shaped to multiply x."""
    return level.to(x).view(-1, *[1] * (x.ndim - 1)) if level.ndim else level.to(x)


def _levels(process: Process, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    t = t.double() if isinstance(t, Tensor) else t
    return column(process.signal(t), x), column(process.sigma(t), x)


def _growing(name: str, low: float, other: str, high: float) -> None:
    if not 0 < low < high:
        raise ValueError(f"{name}={low} must be above 0 and below {other}={high}")


def _noise(x: Tensor, noise: Tensor | None, generator) -> Tensor:
    if noise is not None:
        check_same("x_t", x, "noise", noise, "use torch.randn_like(x_t)")
        return noise
    where = x.device if generator is None else generator.device
    return torch.randn(x.shape, generator=generator, device=where).to(x)
