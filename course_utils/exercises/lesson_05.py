"""Exercises of lesson 05: the forward process."""

import torch

from course_utils import diffusion, schedules
from course_utils.check import Exercise


def _noised(shape: tuple[int, ...], schedule: schedules.Schedule) -> tuple:
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    x0 = torch.rand(shape, generator=generator) * 2 - 1
    noise = torch.randn(shape, generator=generator)
    t = torch.randint(schedule.T, shape[:1], generator=generator)
    t[0] = schedule.T // 2
    return x0, noise, t


SHAPES = [(1, 1, 8, 8), (3, 1, 8, 8), (2, 3, 4, 6), (5, 2)]


def _forward_cases() -> list[tuple]:
    plans = [schedules.linear(1000), schedules.linear(50), schedules.cosine(200)]
    return [(*_noised(shape, plan), plan) for plan in plans for shape in SHAPES]


def _backward_cases() -> list[tuple]:
    cases = []
    for x0, noise, t, schedule in _forward_cases():
        t = t.clamp(max=schedule.T // 2)  # near T the division by sqrt(alpha_bar) blows
        x_t = diffusion.add_noise(x0, noise, t, schedule)
        cases.append((x_t, noise, t, schedule))
    return cases


def _per_picture(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))


def _no_roots(x0, noise, t, schedule):
    bar = _per_picture(schedule.alpha_bar[t], x0)
    return bar * x0 + (1 - bar) * noise


def _one_root(x0, noise, t, schedule):
    bar = _per_picture(schedule.alpha_bar[t], x0)
    return bar**0.5 * x0 + (1 - bar) * noise


def _beta_for_bar(x0, noise, t, schedule):
    beta = _per_picture(schedule.beta[t], x0)
    return (1 - beta) ** 0.5 * x0 + beta**0.5 * noise


def _swapped(x0, noise, t, schedule):
    return diffusion.add_noise(noise, x0, t, schedule)


def _one_t_for_all(x0, noise, t, schedule):
    return diffusion.add_noise(x0, noise, t[:1].expand(len(x0)), schedule)


def _forgot_to_divide(x_t, noise, t, schedule):
    return x_t - _per_picture((1 - schedule.alpha_bar[t]) ** 0.5, x_t) * noise


def _divided_by_bar(x_t, noise, t, schedule):
    bar = _per_picture(schedule.alpha_bar[t], x_t)
    return (x_t - (1 - bar) ** 0.5 * noise) / bar


def _variance_for_spread(x_t, noise, t, schedule):
    bar = _per_picture(schedule.alpha_bar[t], x_t)
    return (x_t - (1 - bar) * noise) / bar**0.5


def _plus(x_t, noise, t, schedule):
    return diffusion.predict_x0(x_t, -noise, t, schedule)


def _signal_to_noise(schedule):
    return schedule.snr


EXERCISES = {
    "05.1": Exercise(
        reference=diffusion.add_noise,
        cases=_forward_cases,
        mistakes={
            "You multiply by alpha_bar and 1 - alpha_bar: both roots are missing. "
            "Variances add up, so the factors are square roots.": _no_roots,
            "The picture's root is there, the noise's is not: 1 - alpha_bar is its "
            "variance, you need its standard deviation.": _one_root,
            "That is one small step (eq. 2), from x_{t-1}. The jump from x_0 needs the "
            "product of all the steps: alpha_bar[t], not beta[t].": _beta_for_bar,
            "The factors are swapped: at t = 0 it should be almost all picture.": (
                _swapped
            ),
            "Every picture in the batch has its own t; you use the first one's for "
            "all. Index alpha_bar with the whole t, then view(-1, 1, 1, 1).": (
                _one_t_for_all
            ),
        },
        hint="Eq. 4, term by term. alpha_bar[t] has one number per picture: give it as "
        "many trailing ones as x0 has further dimensions.",
        praise="Right, for every t, batch and shape that we tried.",
    ),
    "05.2": Exercise(
        reference=diffusion.predict_x0,
        cases=_backward_cases,
        mistakes={
            "Close, but your answer is too small by the factor sqrt(alpha_bar_t): "
            "divide at the end.": _forgot_to_divide,
            "You divide by alpha_bar; the picture was multiplied by its root.": (
                _divided_by_bar
            ),
            "You take away (1 - alpha_bar) times the noise. That is its variance; what "
            "was added is sqrt(1 - alpha_bar) times the noise.": _variance_for_spread,
            "You add the noise once more. Take it away: mind the sign.": _plus,
        },
        hint="Eq. 4 says x_t = a x_0 + b noise, with two numbers a and b. Solve it for "
        "x_0.",
        praise="Right to 1e-5, for every t, batch and shape that we tried.",
        tolerance=1e-4,
    ),
    "05.3": Exercise(
        reference=_signal_to_noise,
        cases=lambda: [(schedules.linear(1000),), (schedules.cosine(100),)],
        mistakes={
            "That is the ratio of standard deviations. The signal-to-noise ratio "
            "compares variances: no roots.": lambda s: s.snr**0.5,
            "That is noise to signal: turn the fraction over.": lambda s: 1 / s.snr,
            "The logarithm is for the plot. Return the ratio itself.": (
                lambda s: s.snr.log()
            ),
            "You use alpha, the share that one step keeps. After t steps the share "
            "left is alpha_bar.": lambda s: s.alpha / (1 - s.alpha),
        },
        hint="In eq. 4 the signal's variance is the square of the first factor, the "
        "noise's the square of the second.",
        praise="Right: and its logarithm is nearly a straight line for the cosine.",
    ),
}
