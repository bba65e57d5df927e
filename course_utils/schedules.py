"""Noise schedules: how much signal and how much noise at each of the T steps.

    x_t = signal[t] x0 + sigma[t] noise

t runs from 0 to T-1, and t = 0 is the first noisy step: signal[0] is just below 1 and
sigma[0] just above 0. Some keep the variance, signal^2 + sigma^2 = 1, as DDPM does;
only these have betas.
"""

import math
from functools import cached_property
from numbers import Real

import torch
from torch import Tensor


class Schedule:
    """Made of its betas, or of signal and sigma; everything else follows.

    beta           (T,), the variance that step t adds (Ho et al. 2020, eq. 2)
    signal, sigma  (T,), what x0 and the noise are multiplied by (Kingma et al. 2021,
                   eq. 1, alpha_t and sigma_t); signal / sigma falls with t

    Schedule(beta) is DDPM's. Schedule(signal=..., sigma=...) is any other, such as
    signal 1 and a growing sigma, whose variance explodes. All tensors are (T,) float32.
    """

    def __init__(
        self,
        beta: Tensor | None = None,
        name: str = "custom",
        *,
        signal: Tensor | None = None,
        sigma: Tensor | None = None,
    ):
        if (beta is None) == (signal is None and sigma is None):
            raise ValueError("give either beta, or both signal and sigma")
        self.name = name
        if beta is not None:
            beta = torch.as_tensor(beta)
            if beta.ndim != 1 or not len(beta) or not ((beta > 0) & (beta < 1)).all():
                raise ValueError("beta must be (T,) with every value between 0 and 1")
            self.beta = beta.float()
            self.signal_power = self.alpha.cumprod(0).double()  # signal^2
            self.noise_power = 1 - self.signal_power
            self.signal = self.signal_power.float() ** 0.5
            self.sigma = self.noise_power.float() ** 0.5
        else:
            signal, sigma = _levels(signal, sigma)
            self.signal, self.sigma = signal.float(), sigma.float()
            self.signal_power = signal.double() ** 2
            self.noise_power = sigma.double() ** 2

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.signal)

    @cached_property
    def variance_preserving(self) -> bool:
        """Whether signal^2 + sigma^2 is 1 at every step, as in DDPM."""
        return bool(((self.signal_power + self.noise_power - 1).abs() < 1e-5).all())

    @cached_property
    def beta(self) -> Tensor:
        """The variance that step t adds: 1 - alpha_bar[t] / alpha_bar[t - 1]."""
        bar = self.alpha_bar
        return 1 - bar / torch.cat([bar.new_ones(1), bar[:-1]])

    @cached_property
    def alpha(self) -> Tensor:
        """1 - beta: the share of the variance that step t keeps."""
        return 1 - self.beta

    @cached_property
    def alpha_bar(self) -> Tensor:
        """The product of alpha[0..t]: the share of the picture left after step t."""
        if not self.variance_preserving:
            raise ValueError(
                f"schedule {self.name} has no beta, alpha or alpha_bar: its signal^2 + "
                "sigma^2 is not 1. Use schedule.signal, schedule.sigma or schedule.snr"
            )
        return self.signal_power.float()

    @cached_property
    def snr(self) -> Tensor:
        """Signal-to-noise ratio, signal^2 / sigma^2: alpha_bar / (1 - alpha_bar)."""
        return self.signal_power.float() / self.noise_power.float()

    def __repr__(self) -> str:
        """Name, T, and the ends of its betas, or else of its sigmas."""
        kind = "beta" if self.variance_preserving else "sigma"
        first, last = getattr(self, kind)[[0, -1]].tolist()
        return f"Schedule({self.name}, T={self.T}, {kind}={first:.2g}..{last:.2g})"


def check_schedule(schedule: object) -> None:
    """Refuse what is no Schedule, such as one of diffusers'."""
    if not isinstance(schedule, Schedule):
        raise ValueError(
            "schedule must be a Schedule, such as schedules.linear(), not "
            f"{schedule!r:.60}: of a scheduler of diffusers, Schedule(plan.betas)"
        )


def linear(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """Betas in a straight line (Ho et al. 2020, section 4)."""
    _at_least_two(T)
    _check_ends(first, last)
    return Schedule(torch.linspace(first, last, T), "linear")


def scaled_linear(
    T: int = 1000, first: float = 8.5e-4, last: float = 0.012
) -> Schedule:
    """Square roots of the betas in a straight line (Stable Diffusion 1.x)."""
    _at_least_two(T)
    _check_ends(first, last)
    return Schedule(torch.linspace(first**0.5, last**0.5, T) ** 2, "scaled_linear")


def _check_ends(first: float, last: float) -> None:
    for name, beta in (("first", first), ("last", last)):
        if not isinstance(beta, Real) or not 0 < beta < 1:
            raise ValueError(f"{name}={beta!r} must be a beta, between 0 and 1")


def cosine(T: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Schedule:
    """alpha_bar follows a squared cosine (Nichol and Dhariwal 2021, eq. 17)."""
    _at_least_two(T)
    for name, value in dict(offset=offset, largest=largest).items():
        if not (isinstance(value, Real) and 0 <= value < 1):
            raise ValueError(f"{name} must be a number in [0, 1), not {value!r}")
    u = torch.arange(T + 1, dtype=torch.float64) / T
    alpha_bar = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2  # squared!
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return Schedule(beta.clamp(max=largest), "cosine")


def _at_least_two(T: int) -> None:
    if not isinstance(T, int) or T < 2:
        raise ValueError(f"T must be an integer of at least 2, not {T!r}")


def _levels(signal: Tensor | None, sigma: Tensor | None) -> tuple[Tensor, Tensor]:
    if signal is None or sigma is None:
        raise ValueError("signal and sigma belong together: give both")
    signal, sigma = torch.as_tensor(signal), torch.as_tensor(sigma)
    if signal.ndim != 1 or signal.shape != sigma.shape or not len(signal):
        raise ValueError(
            "signal and sigma must both be (T,), one number a step, not "
            f"{tuple(signal.shape)} and {tuple(sigma.shape)}"
        )
    finite = signal.isfinite().all() and sigma.isfinite().all()
    if not (finite and (signal >= 0).all() and (sigma > 0).all()):
        raise ValueError("signal must be 0 or more and sigma above 0, both finite")
    if not ((signal.double() / sigma.double()).diff() < 0).all():
        raise ValueError(
            "signal / sigma must fall with t, as t = 0 is the cleanest step: "
            "try signal.flip(0) and sigma.flip(0)"
        )
    return signal, sigma
