"""Noise schedules: how much noise is added at each of the T steps.

t runs from 0 to T-1, and t = 0 is the first noisy step: `alpha_bar[0]` is just below 1.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class Schedule:
    """A schedule is its betas; everything else follows. All tensors are (T,) float32.

    beta[t] is the variance that step t adds (Ho et al. 2020, eq. 2).
    """

    beta: torch.Tensor  # (T,)
    name: str = "custom"

    def __post_init__(self) -> None:
        if self.beta.ndim != 1 or not ((self.beta > 0) & (self.beta < 1)).all():
            raise ValueError("beta must be (T,) with every value between 0 and 1")
        object.__setattr__(self, "beta", self.beta.float())

    @property
    def T(self) -> int:
        """The number of steps."""
        return len(self.beta)

    @cached_property
    def alpha(self) -> torch.Tensor:
        """1 - beta: the share of the variance that step t keeps."""
        return 1 - self.beta

    @cached_property
    def alpha_bar(self) -> torch.Tensor:
        """The product of alpha[0..t]: the share of the picture left after step t."""
        return self.alpha.cumprod(0)

    @cached_property
    def snr(self) -> torch.Tensor:
        """Signal-to-noise ratio, alpha_bar / (1 - alpha_bar)."""
        return self.alpha_bar / (1 - self.alpha_bar)

    def __repr__(self) -> str:
        return f"Schedule({self.name}, T={self.T}, beta={self.beta[0]:.2g}.." + (
            f"{self.beta[-1]:.2g})"
        )


def linear(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """Betas in a straight line (Ho et al. 2020, section 4)."""
    _at_least_two(T)
    return Schedule(torch.linspace(first, last, T), "linear")


def scaled_linear(
    T: int = 1000, first: float = 8.5e-4, last: float = 0.012
) -> Schedule:
    """Square roots of the betas in a straight line (Stable Diffusion 1.x)."""
    _at_least_two(T)
    return Schedule(torch.linspace(first**0.5, last**0.5, T) ** 2, "scaled_linear")


def cosine(T: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Schedule:
    """alpha_bar follows a squared cosine (Nichol and Dhariwal 2021, eq. 17)."""
    _at_least_two(T)
    u = torch.arange(T + 1, dtype=torch.float64) / T
    alpha_bar = torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2  # squared!
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    return Schedule(beta.clamp(max=largest), "cosine")


def _at_least_two(T: int) -> None:
    if not isinstance(T, int) or T < 2:
        raise ValueError(f"T must be an integer of at least 2, not {T!r}")
