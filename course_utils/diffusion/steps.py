"""One step back, from x_t to x_s: the ancestral step of DDPM, and DDIM's.

Every step can be walked by `sampling.trajectory`, because all have one signature:

    step(prediction, x_t, t, schedule, *, to, generator=None, **options) -> x_s

prediction is what the model says about x_t, shaped like it. t and `to` are ints, t the
step we are at and `to` the one we go to, s; to = -1 is the clean picture. A step that
needs noise draws it from the generator, one that needs none ignores it.
"""

import math
from numbers import Real

import torch
from torch import Tensor

from course_utils.diffusion.forward import (
    check_same,
    levels,
    predict_noise,
    same_step,
    whole,
    x0_and_noise,
)
from course_utils.schedules import Schedule


def posterior(
    x0: Tensor, x_t: Tensor, t: int, schedule: Schedule, to: int | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_s | x_t, x0), s = `to` (t - 1 if not given).

    s = -1 is the clean picture itself. Ho et al. 2020, eq. 6 and 7; for s < t - 1 the
    same formula holds with beta_t replaced by 1 - alpha_bar_t / alpha_bar_s, and for
    any signal and sigma by the noise added between (Kingma et al. 2021, appendix A).
    """
    check_same("x_t", x_t, "x0", x0)
    to = t - 1 if to is None else whole(to, "to")
    (signal, signal_s), (noise, noise_s) = _levels(t, to, schedule)
    added = _added(t, to, schedule)
    mean_x0 = signal_s**0.5 * added / noise
    mean_xt = (signal / signal_s) ** 0.5 * noise_s / noise
    return mean_x0 * x0 + mean_xt * x_t, noise_s / noise * added


def ddpm_step(
    prediction: Tensor,
    x_t: Tensor,
    t: int,
    schedule: Schedule,
    *,
    to: int | None = None,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    predicts: str = "noise",
    variance: str = "fixed_small",
    clip: bool = False,
) -> Tensor:
    """One step back, from x_t to x_{t-1}: line 4 of Ho et al. 2020, Algorithm 2.

    to          t - 1 if not given
    noise       z of Algorithm 2; drawn here if not given; ignored at the last step
    predicts    "noise", "x0" or "v"
    variance    "fixed_small": the posterior's (eq. 7); "fixed_large": beta_t
    clip        clamp the predicted x0 to [-1, 1], for pictures
    """
    to = t - 1 if to is None else to
    x0, _ = x0_and_noise(prediction, x_t, same_step(t, x_t), schedule, predicts)
    mean, small = posterior(x0.clamp(-1, 1) if clip else x0, x_t, t, schedule, to)
    if variance not in ("fixed_small", "fixed_large"):
        raise ValueError(
            f'variance must be "fixed_small" or "fixed_large", not {variance!r}'
        )
    spread = (small if variance == "fixed_small" else _added(t, to, schedule)) ** 0.5
    noise = _noise(x_t, noise, generator, needed=to >= 0)
    # the last step is the mean: a clean picture gets no noise
    return mean if to < 0 else mean + spread * noise


def ddim_step(
    prediction: Tensor,
    x_t: Tensor,
    t: int,
    schedule: Schedule,
    *,
    to: int,
    generator: torch.Generator | None = None,
    noise: Tensor | None = None,
    eta: float = 0.0,
    predicts: str = "noise",
    clip: bool = False,
) -> Tensor:
    """One step from x_t to x_s, s = `to`: Song et al. 2021 (DDIM), eq. 12.

    eta = 0 is deterministic, eta = 1 as noisy as DDPM; noise, predicts and clip are
    ddpm_step's.
    """
    if not (isinstance(eta, Real) and 0 <= eta <= 1):
        raise ValueError(f"eta must lie between 0 (DDIM) and 1 (DDPM), not {eta!r}")
    steps = same_step(t, x_t)
    x0, direction = x0_and_noise(prediction, x_t, steps, schedule, predicts)
    if clip:
        x0 = x0.clamp(-1, 1)
        direction = predict_noise(x_t, x0, steps, schedule)
    (_, signal_s), (noise_t, noise_s) = _levels(t, to, schedule)
    fresh = eta * (noise_s / noise_t * _added(t, to, schedule)) ** 0.5
    x_s = signal_s**0.5 * x0
    x_s = x_s + (noise_s - fresh**2).clamp(min=0) ** 0.5 * direction
    draws = eta > 0 and to >= 0
    noise = _noise(x_t, noise, generator, needed=draws)
    return x_s + fresh * noise if draws else x_s


def guidance(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: unconditional + scale (conditional - unconditional).

    scale = 1 is no guidance. Ho and Salimans 2022, eq. 6, with scale = 1 + w.
    """
    check_same("unconditional", unconditional, "conditional", conditional)
    if not (isinstance(scale, Real | Tensor) and math.isfinite(scale)):
        raise ValueError(f"scale must be a finite number, 1 for none, not {scale!r}")
    return unconditional + scale * (conditional - unconditional)


def _levels(t: int, to: int, schedule: Schedule) -> tuple[Tensor, Tensor]:
    signal, noise = levels(t, to, schedule)
    return signal.float(), noise.float()


def _added(t: int, to: int, schedule: Schedule) -> Tensor:
    """Return the variance of q(x_t | x_s): sigma_t^2 - (signal_t/signal_s)^2 sigma_s^2.

    Where the variance is preserved that is 1 - alpha_bar_t / alpha_bar_s, beta_t for
    s = t - 1, which loses fewer digits.
    """
    (signal, signal_s), (noise, noise_s) = _levels(t, to, schedule)
    kept = signal / signal_s
    return 1 - kept if schedule.variance_preserving else noise - kept * noise_s


def _noise(
    x: Tensor,
    noise: Tensor | None,
    generator: torch.Generator | None,
    *,
    needed: bool,
) -> Tensor | None:
    """Return the given noise, checked, or fresh noise like x if it is needed."""
    if noise is not None:
        check_same("x_t", x, "noise", noise, "use torch.randn_like(x_t)")
        return noise
    if not needed:
        return None
    where = x.device if generator is None else generator.device
    return torch.randn(x.shape, generator=generator, device=where).to(x)
