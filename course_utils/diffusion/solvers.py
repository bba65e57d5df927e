"""Fast walks from noise to data: DPM-Solver++, and DDIM backwards.

    alpha_t       sqrt(alpha_bar_t), how much of the picture is left
    sigma_t       sqrt(1 - alpha_bar_t), how much noise there is
    lambda_t      log(alpha_t / sigma_t), half the log of `schedule.snr`
    h             lambda_s - lambda_t, the length of a step from t to s

The rest is as in course_utils.diffusion, where `ddim_step` lives.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion import Model, alpha_bars, timesteps, x0_and_noise
from course_utils.schedules import Schedule


def log_snr(t: int, to: int, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)) at t and at `to` < t.

    In float64; infinite at to = -1, the clean picture. Lu et al. 2022, section 2.2.
    """
    bars = (bar.double() for bar in alpha_bars(t, to, schedule))
    return tuple((bar.log() - torch.log1p(-bar)) / 2 for bar in bars)


def dpm_step(
    x0: Tensor,
    x_t: Tensor,
    t: int,
    schedule: Schedule,
    *,
    to: int,
    before: tuple[int, Tensor] | None = None,
) -> Tensor:
    """One step of DPM-Solver++ from x_t to x_s, s = `to` < t (-1 is clean).

    x0      what the model takes x_t for, as a clean picture
    before  the step t and the x0 of one step earlier; with it the step is of second
            order, 2M, without it of first order, which is DDIM

    x_s = sigma_s / sigma_t x_t - alpha_s (e^-h - 1) D, with D = x0, or, with r the
    length of the step before over h, D = x0 + (x0 - x0_before) / 2r.
    Lu et al. 2022 (DPM-Solver++), Algorithm 2 (2M) and its line 4.
    """
    bar, bar_s = (bar.double() for bar in alpha_bars(t, to, schedule))
    now, then = log_snr(t, to, schedule)
    h = then - now  # infinite if x_s is clean: then x_s = D
    if before is not None:
        t_before, x0_before = before
        r = (now - log_snr(t_before, t, schedule)[0]) / h
        x0 = x0 + (x0 - x0_before) / (2 * r)
    keep = ((1 - bar_s) / (1 - bar)) ** 0.5
    return keep * x_t - bar_s**0.5 * torch.expm1(-h) * x0


def dpm_trajectory(
    model: Model,
    x_T: Tensor,
    schedule: Schedule,
    *,
    num_steps: int = 20,
    order: int = 2,
    predicts: str = "noise",
    visits: Sequence[int] | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Walk from noise to data by DPM-Solver++(2M), yielding (t, x), as `trajectory`.

    One network call a step. The first step has no step before it, and the one that
    ends at a clean picture would be infinitely long: both are of first order, as every
    step is with order=1. `visits`, both ends included, are timesteps(T, num_steps,
    "linspace") and then -1 if not given. Lu et al. 2022, Algorithm 2.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, not {order!r}")
    visits = visits or [*timesteps(schedule.T, num_steps, "linspace"), -1]
    x, before = x_T, None
    yield visits[0], x
    for t, to in pairwise(visits):
        steps = torch.full((len(x),), t, device=x.device)
        with torch.no_grad():
            prediction = model(x, steps)
        x0, _ = x0_and_noise(prediction, x, steps, schedule, predicts)
        second = order == 2 and to >= 0
        x = dpm_step(x0, x, t, schedule, to=to, before=before if second else None)
        before = t, x0
        yield to, x


def dpm_sample(
    model: Model, x_T: Tensor, schedule: Schedule, **options: object
) -> Tensor:
    """Turn noise x_T into data: the end of `dpm_trajectory`, which has the options."""
    *_, (_, x0) = dpm_trajectory(model, x_T, schedule, **options)
    return x0


def invert(
    model: Model,
    x0: Tensor,
    schedule: Schedule,
    *,
    num_steps: int = 50,
    predicts: str = "noise",
) -> Tensor:
    """Find the noise that `ddim_step` with eta = 0 turns into x0: DDIM backwards.

    Goes up timesteps(T, num_steps). To step from s to t one would need the noise in
    x_t; the model is asked at t, but shown x_s: exact for infinitely many steps only.
    Song et al. 2021 (DDIM), section 4.3. `predicts` is "noise" or "v".
    """
    if predicts not in ("noise", "v"):
        raise ValueError(f'predicts must be "noise" or "v" here, not {predicts!r}')
    x = x0
    for s, t in pairwise([-1, *reversed(timesteps(schedule.T, num_steps))]):
        there = torch.full((len(x),), t, device=x.device)
        with torch.no_grad():
            prediction = model(x, there)
        clean, noise = x, prediction  # at s = -1 both v and the noise are the noise
        if s >= 0:
            here = torch.full_like(there, s)
            clean, noise = x0_and_noise(prediction, x, here, schedule, predicts)
        x = diffusion.add_noise(clean, noise, there, schedule)
    return x
