"""Diffusion in the papers' own letters: forwards, one step back, and all the way.

    maths           code              meaning
    x_0, x_t        x0, x_t           pictures (B, C, H, W) in [-1, 1], or points (B, D)
    epsilon         noise             standard normal, the shape of x0
    t               t                 long (B,), 0..T-1; t = 0 is the first noisy step
    alpha_bar_t     alpha_bar         schedule.alpha_bar[t]
    v_t             velocity          what v-prediction predicts

A model is any callable `model(x_t, t)` that returns its prediction, shaped like x_t.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from course_utils.schedules import Schedule

Model = Callable[[Tensor, Tensor], Tensor]


def add_noise(x0: Tensor, noise: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Jump to step t at once: x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise.

    x0 and noise: the same shape (B, ...); t: long (B,). Ho et al. 2020, eq. 4.
    """
    if noise.shape != x0.shape:
        raise ValueError(
            f"noise must have the shape of x0, {tuple(x0.shape)}, "
            f"not {tuple(noise.shape)}: use torch.randn_like(x0)"
        )
    signal, spread = _signal_and_spread(t, schedule, x0)
    return signal * x0 + spread * noise


def predict_x0(x_t: Tensor, noise: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Solve eq. 4 of Ho et al. 2020 for x0, given the noise that is in x_t."""
    signal, spread = _signal_and_spread(t, schedule, x_t)
    return (x_t - spread * noise) / signal


def predict_noise(x_t: Tensor, x0: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Solve eq. 4 of Ho et al. 2020 for the noise, given the clean x0."""
    signal, spread = _signal_and_spread(t, schedule, x_t)
    return (x_t - signal * x0) / spread


def velocity(x0: Tensor, noise: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Return v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0.

    The target of v-prediction: Salimans and Ho 2022, section 4 and appendix D.
    """
    signal, spread = _signal_and_spread(t, schedule, x0)
    return signal * noise - spread * x0


def x0_and_noise(
    prediction: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule, predicts: str
) -> tuple[Tensor, Tensor]:
    """Read a model's prediction as both the clean x0 and the noise it implies.

    `predicts` says what the model was trained to predict: "noise", "x0" or "v".
    """
    signal, spread = _signal_and_spread(t, schedule, x_t)
    if predicts == "noise":
        return (x_t - spread * prediction) / signal, prediction
    if predicts == "x0":
        return prediction, (x_t - signal * prediction) / spread
    if predicts == "v":
        return signal * x_t - spread * prediction, signal * prediction + spread * x_t
    raise ValueError(f'predicts must be "noise", "x0" or "v", not {predicts!r}')


def posterior(
    x0: Tensor, x_t: Tensor, t: int, schedule: Schedule, to: int | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_s | x_t, x0), s = `to` (t - 1 if not given).

    s = -1 is the clean picture itself. Ho et al. 2020, eq. 6 and 7; for s < t - 1 the
    same formula holds with beta_t replaced by 1 - alpha_bar_t / alpha_bar_s.
    """
    bar, bar_before = alpha_bars(t, t - 1 if to is None else to, schedule)
    alpha = bar / bar_before  # alpha_t when s = t - 1
    mean_x0 = bar_before**0.5 * (1 - alpha) / (1 - bar)
    mean_xt = alpha**0.5 * (1 - bar_before) / (1 - bar)
    variance = (1 - bar_before) / (1 - bar) * (1 - alpha)
    return mean_x0 * x0 + mean_xt * x_t, variance


def ddpm_step(
    prediction: Tensor,
    x_t: Tensor,
    t: int,
    schedule: Schedule,
    *,
    noise: Tensor | None = None,
    predicts: str = "noise",
    variance: str = "fixed_small",
    clip: bool = False,
    to: int | None = None,
) -> Tensor:
    """One step back, from x_t to x_{t-1}: line 4 of Ho et al. 2020, Algorithm 2.

    prediction  what the model says about x_t, shaped like it
    t           the step we are at, an int; `to` the step we go to (t - 1)
    noise       z of Algorithm 2; drawn here if not given; ignored at the last step
    variance    "fixed_small": the posterior's (eq. 7); "fixed_large": beta_t
    clip        clamp the predicted x0 to [-1, 1], for pictures
    """
    steps = torch.full((len(x_t),), t, device=x_t.device)
    x0, _ = x0_and_noise(prediction, x_t, steps, schedule, predicts)
    mean, small = posterior(x0.clamp(-1, 1) if clip else x0, x_t, t, schedule, to)
    if variance not in ("fixed_small", "fixed_large"):
        raise ValueError(
            f'variance must be "fixed_small" or "fixed_large", not {variance!r}'
        )
    before = t - 1 if to is None else to
    if before < 0:  # the last step is the mean: a clean picture gets no noise
        return mean
    bar, bar_before = alpha_bars(t, before, schedule)
    var = small if variance == "fixed_small" else 1 - bar / bar_before
    noise = torch.randn_like(x_t) if noise is None else noise
    return mean + var**0.5 * noise


def ddim_step(
    prediction: Tensor,
    x_t: Tensor,
    t: int,
    schedule: Schedule,
    *,
    to: int,
    eta: float = 0.0,
    noise: Tensor | None = None,
    predicts: str = "noise",
    clip: bool = False,
) -> Tensor:
    """One step from x_t to x_s, s = `to`: Song et al. 2021 (DDIM), eq. 12.

    eta = 0 is deterministic, eta = 1 as noisy as DDPM; s = -1 is the clean picture.
    """
    steps = torch.full((len(x_t),), t, device=x_t.device)
    x0, direction = x0_and_noise(prediction, x_t, steps, schedule, predicts)
    if clip:
        x0 = x0.clamp(-1, 1)
        direction = predict_noise(x_t, x0, steps, schedule)
    bar, bar_before = alpha_bars(t, to, schedule)
    sigma = eta * ((1 - bar_before) / (1 - bar) * (1 - bar / bar_before)) ** 0.5
    x_s = bar_before**0.5 * x0
    x_s = x_s + (1 - bar_before - sigma**2).clamp(min=0) ** 0.5 * direction
    if eta > 0:
        x_s = x_s + sigma * (torch.randn_like(x_t) if noise is None else noise)
    return x_s


def guidance(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: unconditional + scale (conditional - unconditional).

    scale = 1 is no guidance. Ho and Salimans 2022, eq. 6, with scale = 1 + w.
    """
    return unconditional + scale * (conditional - unconditional)


def timesteps(T: int, num_steps: int, spacing: str = "leading") -> list[int]:
    """The steps to visit, from noisy to clean: num_steps of 0..T-1, evenly spaced.

    spacing   as diffusers calls it (Lin et al. 2024, table 2):
    leading   starts at T - T // num_steps, ends at 0
    trailing  starts at T - 1, ends at T / num_steps - 1
    linspace  starts at T - 1, ends at (T - 1) / num_steps: DPM-Solver's
    """
    if not 1 <= num_steps <= T:
        raise ValueError(f"num_steps must be between 1 and T={T}, not {num_steps}")
    if spacing == "leading":
        return [i * (T // num_steps) for i in reversed(range(num_steps))]
    if spacing == "trailing":
        return [round(T - i * (T / num_steps)) - 1 for i in range(num_steps)]
    if spacing == "linspace":
        return [round(i * ((T - 1) / num_steps)) for i in range(num_steps, 0, -1)]
    raise ValueError(
        f'spacing must be "leading", "trailing" or "linspace", not {spacing!r}'
    )


def trajectory(
    model: Model,
    x_T: Tensor,
    schedule: Schedule,
    *,
    num_steps: int | None = None,
    visits: Sequence[int] | None = None,
    step: Callable[..., Tensor] = ddpm_step,
    generator: torch.Generator | None = None,
    **options: object,
) -> Iterator[tuple[int, Tensor]]:
    """Walk from noise to data, yielding (t, x): Ho et al. 2020, Algorithm 2.

    The first pair is (t, x_T) at the noisiest step visited, the last (-1, x0). The
    walk goes through `visits`, both ends included: timesteps(T, num_steps) and then -1
    if not given.
    `step` is ddpm_step or ddim_step, `options` its keywords. With a generator all the
    noise is drawn from it, so that the walk can be repeated.
    """
    visits = visits or [*timesteps(schedule.T, num_steps or schedule.T), -1]
    draws = step is ddpm_step or options.get("eta", 0) > 0
    x = x_T
    yield visits[0], x
    for t, to in pairwise(visits):
        with torch.no_grad():
            prediction = model(x, torch.full((len(x),), t, device=x.device))
            if draws and to >= 0:
                noise = _randn_like(x, generator)
                x = step(prediction, x, t, schedule, to=to, noise=noise, **options)
            else:
                x = step(prediction, x, t, schedule, to=to, **options)
        yield to, x


def sample(model: Model, x_T: Tensor, schedule: Schedule, **options: object) -> Tensor:
    """Turn noise x_T into data: the end of `trajectory`, which explains the options."""
    *_, (_, x0) = trajectory(model, x_T, schedule, **options)
    return x0


def _randn_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    where = x.device if generator is None else generator.device
    return torch.randn(x.shape, generator=generator, device=where).to(x)


def _signal_and_spread(
    t: Tensor, schedule: Schedule, x: Tensor
) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), shaped to multiply x."""
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
    bar = schedule.alpha_bar.to(x.device)[t].view(-1, *[1] * (x.ndim - 1))  # (B, 1, ..)
    return bar**0.5, (1 - bar) ** 0.5


def alpha_bars(t: int, to: int, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """alpha_bar at t and at the earlier step `to`; to = -1 is the clean picture: 1."""
    if not -1 <= to < t < schedule.T:
        raise ValueError(
            f"a step must go down, from t in 0..{schedule.T - 1} to an earlier step "
            f"(-1 is the clean picture); got t={t}, to={to}"
        )
    bar = schedule.alpha_bar[t]
    return bar, schedule.alpha_bar[to] if to >= 0 else torch.ones_like(bar)
