"""Exercises of lesson 10: few steps."""

import torch

from course_utils.check import Exercise

# 10.1: what two steps of the teacher ask of one


def _target(x_t, x_s, signal_t, sigma_t, signal_s, sigma_s):
    ratio = sigma_s / sigma_t
    return (x_s - ratio * x_t) / (signal_s - ratio * signal_t)


def _not_divided(x_t, x_s, signal_t, sigma_t, signal_s, sigma_s):
    return x_s - sigma_s / sigma_t * x_t


def _by_signal(x_t, x_s, signal_t, sigma_t, signal_s, sigma_s):
    return (x_s - sigma_s / sigma_t * x_t) / signal_s


def _upside_down(x_t, x_s, signal_t, sigma_t, signal_s, sigma_s):
    ratio = sigma_t / sigma_s
    return (x_s - ratio * x_t) / (signal_s - ratio * signal_t)


def _plus(x_t, x_s, signal_t, sigma_t, signal_s, sigma_s):
    ratio = sigma_s / sigma_t
    return (x_s - ratio * x_t) / (signal_s + ratio * signal_t)


def _target_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(10)
    levels = ((0.1, 0.9), (0.5, 0.8), (0.3, 0.6))
    cases = []
    for early, late in levels:
        x_t, x_s = torch.randn(2, 2, 4, 4, 4, generator=generator)
        cases.append(
            (x_t, x_s, early, (1 - early**2) ** 0.5, late, (1 - late**2) ** 0.5)
        )
    return cases


# 10.2: the steps of a student


def _trailing(steps, T):
    return [round(T - k * T / steps) - 1 for k in range(steps)]


def _leading(steps, T):
    return [k * (T // steps) for k in range(steps)][::-1]


def _linspace(steps, T):
    if steps == 1:
        return [T - 1]
    return [round((T - 1) * (1 - k / (steps - 1))) for k in range(steps)]


def _one_too_high(steps, T):
    return [t + 1 for t in _trailing(steps, T)]


def _upwards(steps, T):
    return _trailing(steps, T)[::-1]


def _with_the_end(steps, T):
    return [*_trailing(steps, T), -1]


# 10.3: the boundary of a consistency model


def _scaled(t):
    return (10.0 * t.float()).view(-1, 1, 1, 1)


def _consistent(x0, x_t, t):
    time = _scaled(t)
    skip, out = 0.25 / (time**2 + 0.25), time / (time**2 + 0.25) ** 0.5
    return skip * x_t + out * x0


def _swapped(x0, x_t, t):
    return _consistent(x_t, x0, t)


def _no_ten(x0, x_t, t):
    time = t.float().view(-1, 1, 1, 1)
    skip, out = 0.25 / (time**2 + 0.25), time / (time**2 + 0.25) ** 0.5
    return skip * x_t + out * x0


def _no_root(x0, x_t, t):
    time = _scaled(t)
    return 0.25 / (time**2 + 0.25) * x_t + time / (time**2 + 0.25) * x0


def _half_not_squared(x0, x_t, t):
    time = _scaled(t)
    skip, out = 0.5 / (time**2 + 0.5), time / (time**2 + 0.5) ** 0.5
    return skip * x_t + out * x0


def _no_boundary(x0, x_t, t):
    return x0


def _boundary_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(3)
    pairs = torch.randn(2, 2, 4, 2, 3, 3, generator=generator)
    steps = torch.tensor([0, 1, 19, 999]), torch.tensor([1, 0, 2, 499])
    return [(*pair, t) for pair, t in zip(pairs, steps, strict=True)]


EXERCISES = {
    "10.1": Exercise(
        reference=_target,
        cases=_target_cases,
        mistakes={
            "The x0 is still multiplied by what you left out: divide by the signal at "
            "s less the ratio times the signal at t.": _not_divided,
            "You divide by the signal at s alone. x0 also stands in the second "
            "bracket, with the signal at t.": _by_signal,
            "The ratio is upside down: sigma_s over sigma_t, for the noise shrinks on "
            "the way from t to s.": _upside_down,
            "A sign: the second bracket takes the ratio times the signal away.": _plus,
        },
        hint="Bring everything with x0 to one side; it stands in two places. Then "
        "divide by what is in front of it.",
        praise="Right: this is what the student must say to land where two steps end.",
    ),
    "10.2": Exercise(
        reference=_trailing,
        cases=lambda: [(1, 1000), (2, 1000), (4, 1000), (8, 1000), (5, 100)],
        mistakes={
            "That is leading spacing: it begins below T - 1, where a picture already "
            "shines through, and there is none yet.": _leading,
            "That is linspace: its last step is t = 0, which no student has learnt.": (
                _linspace
            ),
            "All are one too high: steps are counted from 0, so the first is T - 1.": (
                _one_too_high
            ),
            "The right steps in the wrong order: sampling begins at the noise.": (
                _upwards
            ),
            "The clean picture at the end is where the last step leads, but it is no "
            "step: nothing is predicted there.": _with_the_end,
        },
        hint="Go down from T by T / steps each time, round, and take 1 away because "
        "steps are counted from 0.",
        praise='Right: this is timestep_spacing="trailing".',
    ),
    "10.3": Exercise(
        reference=_consistent,
        cases=_boundary_cases,
        mistakes={
            "c_skip belongs to x_t, c_out to x0: you have them the other way round.": (
                _swapped
            ),
            "t is multiplied by 10 first.": _no_ten,
            "c_out has a square root in its denominator.": _no_root,
            "sigma_d is a half, and it is squared: a quarter.": _half_not_squared,
            "At t = 0 this is not the input. The skip is missing.": _no_boundary,
        },
        hint="Shape t to (B, 1, 1, 1), multiply it by 10, and write both fractions as "
        "they stand.",
        praise="Right: at t = 0 it cannot be wrong, and far from it the guess counts.",
    ),
}
