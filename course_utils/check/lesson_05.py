"""Exercises of lesson 05: the forward process."""

import torch

from course_utils import diffusion, schedules
from course_utils.check import Exercise


def _noised(shape: tuple[int, ...], schedule: schedules.Schedule) -> tuple:
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    x0 = torch.rand(shape, generator=generator) * 2 - 1
    noise = torch.randn(shape, generator=generator)
    # not up to T: there the division by sqrt(alpha_bar) magnifies rounding errors
    t = torch.randint(schedule.T // 2, shape[:1], generator=generator)
    return x0, noise, t


PLANS = [schedules.linear(1000), schedules.linear(50), schedules.cosine(200)]
# the shorter linear schedules end before noise takes over: 05.3 has no answer there
CROSSING = [schedules.linear(), schedules.cosine(200), schedules.scaled_linear(300)]
SHAPES = [(1, 1, 8, 8), (3, 1, 8, 8), (2, 3, 4, 6), (8, 1, 8, 8)]


def _backward_cases() -> list[tuple]:
    cases = []
    for schedule in PLANS:
        for shape in SHAPES:
            x0, noise, t = _noised(shape, schedule)
            x_t = diffusion.add_noise(x0, noise, t, schedule)
            cases.append((x_t, noise, t, schedule))
    return cases


def _per_picture(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))


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


def _one_t_for_all(x_t, noise, t, schedule):
    return diffusion.predict_x0(x_t, noise, t[:1].expand(len(t)), schedule)


def _no_view(x_t, noise, t, schedule):
    bar = schedule.alpha_bar[t]
    return (x_t - (1 - bar) ** 0.5 * noise) / bar**0.5


def _signal_to_noise(schedule):
    return schedule.snr


def _takes_over(schedule):
    return int((schedule.snr < 1).float().argmax())


EXERCISES = {
    "05.1": Exercise(
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
            "Every picture in the batch has its own t; you use the first one's for "
            "all. Index alpha_bar with the whole t.": _one_t_for_all,
            "alpha_bar[t] is one number per picture: give it the shape (B, 1, 1, 1) "
            "with view, or it multiplies columns of pixels.": _no_view,
            "You add the noise once more. Take it away: mind the sign.": _plus,
        },
        hint="Eq. 4 says x_t = a x_0 + b noise, with two numbers a and b. Solve it for "
        "x_0.",
        praise="Right for every batch, shape and schedule that we tried.",
        tolerance=1e-4,
    ),
    "05.2": Exercise(
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
        tolerance=2e-3,  # 1 / (1 / alpha_bar - 1) is as right, and rounds otherwise
        hint="In eq. 4 the signal's variance is the square of the first factor, the "
        "noise's the square of the second.",
    ),
    "05.3": Exercise(
        reference=_takes_over,
        cases=lambda: [(plan,) for plan in CROSSING],
        mistakes={
            "One too many: t = 0 is already the first noisy step.": (
                lambda s: _takes_over(s) + 1
            ),
            "One too few: at that step the picture is still the stronger part.": (
                lambda s: _takes_over(s) - 1
            ),
            "You compare the factors with one half. The parts' variances are "
            "alpha_bar and 1 - alpha_bar: compare those.": (
                lambda s: int((s.alpha_bar**0.5 < 0.5).float().argmax())
            ),
            "That is where a single step adds more than it keeps. Look at alpha_bar, "
            "what is left after all steps up to t.": (
                lambda s: int((s.beta > s.alpha).float().argmax())
            ),
        },
        hint="Where does the ratio of 05.2 fall below 1? For a tensor of True and "
        "False, `.float().argmax()` finds the first True.",
        praise="Right: 259 for the linear schedule of a thousand steps.",
    ),
    "05.4": Exercise(
        reference=200,
        mistakes={
            "Later than that. At 50 there is 97 % of the picture left.": 50,
            "Sooner. At 500 the noise has more than ten times the picture's "
            "variance.": 500,
            "Much sooner: at 900 there are three parts in ten thousand left.": 900,
        },
        hint="The judge has never seen noise. Look at the film strip.",
        praise="Right, near 200: the picture still has two thirds of its variance, and "
        "the judge already errs every second time.",
    ),
}
