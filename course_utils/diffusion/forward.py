"""From data to noise at once, and what a prediction about x_t says about x0.

    maths             code            meaning
    x_0, x_t          x0, x_t         pictures (B, C, H, W) in [-1, 1], or points (B, D)
    epsilon           noise           standard normal, the shape of x0
    t                 t               long (B,), 0..T-1; t = 0 is the first noisy step
    alpha_t, sigma_t  signal, sigma   x_t = signal x0 + sigma noise
    alpha_bar_t       alpha_bar       signal^2, where signal^2 + sigma^2 = 1 (DDPM)
    v_t               velocity        what v-prediction predicts

A model is any callable `model(x_t, t)` that returns its prediction, shaped like x_t.
"""

import operator
from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor

from course_utils.images import check_tensor
from course_utils.schedules import Schedule, check_schedule

Model = Callable[[Tensor, Tensor], Tensor]
_PREDICTS = 'predicts must be "noise", "x0" or "v", not {!r}'


def add_noise(x0: Tensor, noise: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Jump to step t at once: x_t = signal x0 + sigma noise.

    x0 and noise: the same shape (B, ...); t: long (B,). Ho et al. 2020, eq. 4, with
    signal = sqrt(alpha_bar) and sigma = sqrt(1 - alpha_bar).
    """
    check_same("x0", x0, "noise", noise, "use torch.randn_like(x0)")
    signal, sigma = _signal_and_sigma(t, schedule, x0)
    return signal * x0 + sigma * noise


def predict_x0(x_t: Tensor, noise: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Solve eq. 4 of Ho et al. 2020 for x0, given the noise that is in x_t."""
    check_same("x_t", x_t, "noise", noise)
    signal, sigma = _signal_and_sigma(t, schedule, x_t)
    return (x_t - sigma * noise) / _some(signal)


def predict_noise(x_t: Tensor, x0: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Solve eq. 4 of Ho et al. 2020 for the noise, given the clean x0."""
    check_same("x_t", x_t, "x0", x0)
    signal, sigma = _signal_and_sigma(t, schedule, x_t)
    return (x_t - signal * x0) / sigma


def velocity(x0: Tensor, noise: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Return v = signal noise - sigma x0, for schedules that preserve the variance.

    The target of v-prediction: Salimans and Ho 2022, section 4 and appendix D.
    """
    check_same("x0", x0, "noise", noise, "use torch.randn_like(x0)")
    _check_v(schedule)
    signal, sigma = _signal_and_sigma(t, schedule, x0)
    return signal * noise - sigma * x0


def target(
    x0: Tensor, noise: Tensor, t: Tensor, schedule: Schedule, predicts: str = "noise"
) -> Tensor:
    """Return what a model should answer in training: the "noise", "x0" or "v"."""
    check_same("x0", x0, "noise", noise, "use torch.randn_like(x0)")
    if predicts in ("noise", "x0"):
        return noise if predicts == "noise" else x0
    if predicts == "v":
        return velocity(x0, noise, t, schedule)
    raise ValueError(_PREDICTS.format(predicts))


def x0_and_noise(
    prediction: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule, predicts: str
) -> tuple[Tensor, Tensor]:
    """Read a model's prediction as both the clean x0 and the noise it implies.

    `predicts` says what the model was trained to predict: "noise", "x0" or "v".
    """
    check_same("x_t", x_t, "prediction", prediction)
    signal, sigma = _signal_and_sigma(t, schedule, x_t)
    if predicts == "noise":
        return (x_t - sigma * prediction) / _some(signal), prediction
    if predicts == "x0":
        return prediction, (x_t - signal * prediction) / sigma
    if predicts == "v":
        _check_v(schedule)
        return signal * x_t - sigma * prediction, signal * prediction + sigma * x_t
    raise ValueError(_PREDICTS.format(predicts))


def levels(t: int, to: int, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Look up signal^2 and sigma^2, each (2,) in float64: at t and at `to` < t.

    At to = -1, the clean picture, they are 1 and 0.
    """
    check_schedule(schedule)
    t, to = whole(t, "t"), whole(to, "to")
    if not -1 <= to < t < schedule.T:
        raise ValueError(
            f"a step must go down, from t in 0..{schedule.T - 1} to an earlier step "
            f"(-1 is the clean picture); got t={t}, to={to}"
        )
    both = []
    for power, clean in ((schedule.signal_power, 1), (schedule.noise_power, 0)):
        there = power[to] if to >= 0 else torch.full_like(power[t], clean)
        both.append(torch.stack([power[t], there]))
    return tuple(both)


def same_step(t: int, x: Tensor) -> Tensor:
    """The int t as long (B,), one for each picture of x."""
    check_tensor(x, "x_t")
    return torch.full((len(x),), whole(t, "t"), device=x.device)


def whole(value: object, name: str) -> int:
    """Value as an int; a float is refused, even 10.0."""
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(
            f"{name} must be an integer, not {value!r}: use int(...)"
        ) from None


def check_same(
    name: str,
    x: Tensor,
    other_name: str,
    other: Tensor,
    cure: str = "nothing is broadcast here, so slice or expand it yourself",
) -> None:
    """Refuse two tensors of unequal shapes: broadcasting would answer wrongly."""
    for tensor, its_name in ((x, name), (other, other_name)):
        check_tensor(tensor, its_name)
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise ValueError(
                f"{its_name} must be floats, not {tensor.dtype}: of bytes in 0..255 "
                f"pass {its_name}.float() / 127.5 - 1"
            )
    if other.shape != x.shape:
        raise ValueError(
            f"{other_name} must have the shape of {name}, {tuple(x.shape)}, "
            f"not {tuple(other.shape)}: {cure}"
        )


def _signal_and_sigma(
    t: Tensor, schedule: Schedule, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Look up signal[t] and sigma[t], shaped to multiply x."""
    check_schedule(schedule)
    if not isinstance(t, Integral):
        check_tensor(t, "t")
    t = torch.as_tensor(t, device=x.device)
    if t.is_floating_point() or t.ndim > 1 or (t.ndim == 1 and len(t) != len(x)):
        raise ValueError(
            f"t must be a long tensor of shape ({len(x)},), one step per picture; "
            f"got {tuple(t.shape)} {t.dtype}"
        )
    if t.numel() and not 0 <= int(t.min()) <= int(t.max()) < schedule.T:
        raise ValueError(
            f"t must lie in 0..{schedule.T - 1} (t = 0 is the first noisy step); "
            f"got {int(t.min())}..{int(t.max())}"
        )
    column = -1, *[1] * (x.ndim - 1)  # (B, 1, ..)
    both = schedule.signal, schedule.sigma
    return tuple(level.to(x.device)[t].view(column) for level in both)


def _some(signal: Tensor) -> Tensor:
    if not signal.all():
        raise ValueError(
            "at this t the schedule's signal is 0: no noise says what x0 was. "
            'Take an earlier t, or a model with predicts="x0" or "v"'
        )
    return signal


def _check_v(schedule: Schedule) -> None:
    if not schedule.variance_preserving:
        raise ValueError(
            f"v needs a schedule with signal^2 + sigma^2 = 1, and {schedule.name} is "
            'none: let the model predict "noise" or "x0"'
        )
