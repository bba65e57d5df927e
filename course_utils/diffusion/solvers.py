"""Fast walks from noise to data: DPM-Solver++, and DDIM backwards.

    alpha_t       schedule.signal[t], how much of the picture is left
    sigma_t       schedule.sigma[t], how much noise there is
    lambda_t      log(alpha_t / sigma_t), half the log of `schedule.snr`
    h             lambda_s - lambda_t, the length of a step from t to s

The rest is as in course_utils.diffusion, where `ddim_step` lives.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion.forward import (
    Model,
    check_same,
    levels,
    same_step,
    x0_and_noise,
)
from course_utils.images import check_callable, check_floats
from course_utils.schedules import Schedule, check_schedule


def log_snr(t: int, to: int, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """lambda = log(signal / sigma) at t and at `to` < t.

    In float64; infinite at to = -1, the clean picture. Lu et al. 2022, section 2.2.
    """
    signal, noise = levels(t, to, schedule)
    now, then = (signal.log() - noise.log()) / 2
    return now, then


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
    check_same("x_t", x_t, "x0", x0)
    (_, signal_s), (noise, noise_s) = levels(t, to, schedule)
    now, then = log_snr(t, to, schedule)
    h = then - now  # infinite if x_s is clean: then x_s = D
    if before is not None:
        if to < 0:
            raise ValueError(
                "before must be None at the last step, to=-1: it is infinitely long, "
                "and only the first order is finite"
            )
        if not (isinstance(before, tuple) and len(before) == 2):
            raise ValueError("before must be a tuple (t, x0) of one step earlier")
        t_before, x0_before = before
        check_same("x0", x0, "the x0 in before", x0_before)
        r = (now - log_snr(t_before, t, schedule)[0]) / h
        x0 = x0 + (x0 - x0_before) / (2 * r)
    return (noise_s / noise) ** 0.5 * x_t - signal_s**0.5 * torch.expm1(-h) * x0


class DPMSolver:
    """DPM-Solver++ as a step of `diffusion.trajectory`: it remembers the step before.

    Make one for each walk. The first step has no step before it, and the one that ends
    at a clean picture would be infinitely long: both are of first order, as every step
    is with order=1. Lu et al. 2022, Algorithm 2.
    """

    def __init__(self, order: int = 2):
        if order not in (1, 2):
            raise ValueError(f"order must be 1 or 2, not {order!r}")
        self.order = order
        self.before = self.arrived = None  # (t, x0) of the last step; where it ended

    def __call__(
        self,
        prediction: Tensor,
        x_t: Tensor,
        t: int,
        schedule: Schedule,
        *,
        to: int,
        generator: torch.Generator | None = None,
        predicts: str = "noise",
    ) -> Tensor:
        """Go from x_t to x_s, s = `to`; there is no noise, so no use for a generator.

        What it remembers counts only if the last step ended here, at t.
        """
        x0, _ = x0_and_noise(prediction, x_t, same_step(t, x_t), schedule, predicts)
        second = self.order == 2 and to >= 0 and self.arrived == t
        before = self.before if second else None
        x_s = dpm_step(x0, x_t, t, schedule, to=to, before=before)
        self.before, self.arrived = (t, x0), to
        return x_s


def dpm_sample(
    model: Model,
    x_T: Tensor,
    schedule: Schedule,
    *,
    num_steps: int | None = None,
    timesteps: Sequence[int] | None = None,
    order: int = 2,
    **options: object,
) -> Tensor:
    """Turn noise x_T into data by DPM-Solver++(2M), one network call a step.

    `timesteps`, both ends included, are num_steps (20 if not given) of the schedule's,
    spaced as "linspace", and then -1 if not given; the other options are
    `diffusion.trajectory`'s. Lu et al. 2022, Algorithm 2.
    """
    check_schedule(schedule)
    if timesteps is None:
        number = 20 if num_steps is None else num_steps
        timesteps = [*diffusion.timesteps(schedule.T, number, "linspace"), -1]
        num_steps = None
    path = dict(num_steps=num_steps, timesteps=timesteps)
    return diffusion.sample(
        model, x_T, schedule, step=DPMSolver(order), **path, **options
    )


def inversion(
    model: Model,
    x0: Tensor,
    schedule: Schedule,
    *,
    num_steps: int | None = None,
    timesteps: Sequence[int] | None = None,
    predicts: str = "noise",
) -> Iterator[tuple[int, Tensor]]:
    """Walk up to the noise that `ddim_step` with eta = 0 turns into x0: DDIM backwards.

    Yields (-1, x0), then (t, x_t) at each of timesteps(T, num_steps), 50 if not given,
    from clean to noisy; or at those of `timesteps`, which go from noisy to clean, as in
    a walk. To step from s to t one would need the noise in x_t; the model is asked at
    t, but shown x_s: exact for infinitely many steps only. Song et al. 2021 (DDIM),
    section 4.3. `predicts` is "noise" or "v".
    """
    if predicts not in ("noise", "v"):
        raise ValueError(f'predicts must be "noise" or "v" here, not {predicts!r}')
    check_callable(model, "model")
    check_floats(x0, "x0")
    check_schedule(schedule)
    if timesteps is None:
        number = 50 if num_steps is None else num_steps
        timesteps = diffusion.timesteps(schedule.T, number)
    elif num_steps is not None:
        raise ValueError("give num_steps or timesteps, not both")
    x = x0
    yield -1, x
    for s, t in pairwise([-1, *reversed(timesteps)]):
        there = same_step(t, x)
        with torch.no_grad():
            prediction = model(x, there)
        clean, noise = x, prediction  # at s = -1 both v and the noise are the noise
        if s >= 0:
            here = torch.full_like(there, s)
            clean, noise = x0_and_noise(prediction, x, here, schedule, predicts)
        x = diffusion.add_noise(clean, noise, there, schedule)
        yield t, x


def invert(model: Model, x0: Tensor, schedule: Schedule, **options: object) -> Tensor:
    """Find the noise that DDIM turns into x0: the end of `inversion`, see there."""
    *_, (_, x_T) = inversion(model, x0, schedule, **options)
    return x_T
