"""A Gaussian mixture that knows everything: density, score, noise, at every step t.

Its noisy versions are Gaussian mixtures too, so what a perfect network would say has a
closed form. With classes, so has what it would say about one class.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.diffusion import Model
from course_utils.schedules import Schedule

Bar = float | Tensor  # alpha_bar, one for all points or one for each; 1 is clean


@dataclass(frozen=True)
class Mixture:
    """K Gaussian bells in D dimensions, equally heavy unless said otherwise.

    centres  (K, D)
    std      the spread of a bell: one number, or (K,)
    classes  (K,) long: which class a bell belongs to; all 0 if not given
    weights  (K,) positive; scaled to sum to 1
    """

    centres: Tensor
    std: float | Tensor
    classes: Tensor | None = None
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        """Fill in what was not given."""
        k, shape = len(self.centres), tuple(self.centres.shape)
        if len(shape) != 2:
            raise ValueError(f"centres must be (K, D), one row a bell, not {shape}")
        std = torch.as_tensor(self.std, dtype=self.centres.dtype).expand(k)
        weights = torch.ones(k) if self.weights is None else self.weights
        classes = torch.zeros(k).long() if self.classes is None else self.classes
        if len(weights) != k or len(classes) != k:
            raise ValueError(f"classes and weights must have {k} entries, as centres")
        object.__setattr__(self, "std", std)
        object.__setattr__(self, "weights", weights / weights.sum())
        object.__setattr__(self, "classes", classes)

    def draw(self, n: int, generator=None, label: int | None = None) -> Tensor:
        """n points (n, D), of one class if a label is given."""
        odds = self._log_weights(label).exp()
        rows = torch.multinomial(odds, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.centres.shape[1], generator=generator)
        return self.centres[rows] + self.std[rows, None] * noise

    def log_density(self, x: Tensor, alpha_bar: Bar = 1.0, label=None) -> Tensor:
        """log p_t(x), or log p_t(x | label): (N, D) -> (N,). alpha_bar = 1 is clean."""
        return self._log_joint(x, alpha_bar, label).logsumexp(1)

    def log_posterior(self, x: Tensor, label: int, alpha_bar: Bar = 1.0) -> Tensor:
        """log p_t(label | x), what a perfect classifier would say: (N, D) -> (N,)."""
        joint = self._log_joint(x, alpha_bar, None)  # (N, K)
        own = joint[:, self.classes == label].logsumexp(1)
        return own - joint.logsumexp(1)

    def score(self, x: Tensor, alpha_bar: Bar = 1.0, label=None) -> Tensor:
        """The gradient of log_density by x: each bell pulls to its centre, (N, D)."""
        bar = _column(alpha_bar, x)
        share = self._log_joint(x, bar, label).softmax(1)  # (N, K)
        pull = share / self._variance(bar)
        return bar**0.5 * (pull @ self.centres.to(x)) - pull.sum(1, keepdim=True) * x

    def tilted(self, n: int, label: int, scale: float, generator=None) -> Tensor:
        """n points of p(x) p(label | x)^scale, scaled to be a density; scale >= 1.

        What guidance is meant to draw from. By rejection, which is exact: a point of
        the class is kept with probability p(label | x)^(scale - 1).
        """
        if scale < 1:
            raise ValueError(f"scale={scale} must be 1 (the class itself) or more")
        kept = torch.empty(0, self.centres.shape[1])
        while len(kept) < n:
            x = self.draw(4 * n, generator, label)
            odds = ((scale - 1) * self.log_posterior(x, label)).exp()
            kept = torch.cat([kept, x[torch.rand(4 * n, generator=generator) < odds]])
        return kept[:n]

    def noise_model(self, schedule: Schedule, label: int | None = None) -> Model:
        """The perfect network, E[noise | x_t]: -sqrt(1 - alpha_bar) times the score.

        Where the schedule does not preserve the variance, x_t over sqrt(signal^2 +
        sigma^2) is a point of one that does, with the same noise in it.
        """
        signal, noise = schedule.signal_power.float(), schedule.noise_power.float()
        size = signal + noise  # 1 where the variance is preserved

        def model(x_t: Tensor, t: Tensor) -> Tensor:
            bar = _column((signal / size)[t], x_t)
            x_t = x_t / _column(size[t], x_t) ** 0.5
            return -((1 - bar) ** 0.5) * self.score(x_t, bar, label)

        return model

    def _log_weights(self, label: int | None) -> Tensor:
        """log of the weights (K,), of one class only if a label is given."""
        weights = self.weights
        if label is not None:
            weights, known = weights * (self.classes == label), self.classes.unique()
            if not weights.any():
                known = known.tolist()
                raise ValueError(f"label={label} is not one of the classes {known}")
        return (weights / weights.sum()).log()

    def _variance(self, bar: Tensor) -> Tensor:
        """Of each bell at each point's noise level: (N, 1) -> (N, K)."""
        return bar * self.std.to(bar) ** 2 + 1 - bar

    def _log_joint(self, x: Tensor, alpha_bar: Bar, label: int | None) -> Tensor:
        """log of weight times density, (N, K): add_noise moves and widens each bell."""
        bar = _column(alpha_bar, x)
        variance = self._variance(bar)
        gap = x[:, None] - bar[..., None] ** 0.5 * self.centres.to(x)  # (N, K, D)
        fit = -gap.square().sum(-1) / (2 * variance)
        size = x.shape[1] / 2 * (2 * torch.pi * variance).log()
        return self._log_weights(label).to(x) + fit - size


def _column(alpha_bar: Bar, x: Tensor) -> Tensor:
    """alpha_bar as (N, 1), one for each point, in the points' precision."""
    return torch.as_tensor(alpha_bar).to(x).reshape(-1, 1).expand(len(x), 1)
