"""Exercises of lesson 07: the score, its flow, and a trace without the matrix."""

import torch

from course_utils import schedules
from course_utils.check import Exercise
from course_utils.diffusion import likelihood, sde

# 07.2: the score from the noise


def _column(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))


def _over(power, sign=-1.0, level=lambda bar: 1 - bar):
    """The noise over a power of a level of the schedule, with a sign."""

    def answer(noise, t, schedule):
        return sign * noise / _column(level(schedule.alpha_bar[t]) ** power, noise)

    return answer


def _from_noise(noise, t, schedule):
    return -noise / _column(schedule.sigma[t], noise)


def _times_sigma(noise, t, schedule):
    return -noise * _column(schedule.sigma[t], noise)


def _one_t_for_all(noise, t, schedule):
    return -noise / schedule.sigma[t[0]]


def _not_a_column(noise, t, schedule):
    return -noise / schedule.sigma[t]


def _for_points_only(noise, t, schedule):
    return -noise / schedule.sigma[t][:, None]


def _one_step_only(noise, t, schedule):
    return -noise / _column(schedule.beta[t] ** 0.5, noise)


def _noise_cases() -> list[tuple]:
    cases, generator = [], torch.Generator().manual_seed(7)
    for shape in [(4, 2), (3, 1, 8, 8), (1, 2), (8, 3, 8, 8)]:
        for plan in (schedules.linear(1000), schedules.cosine(200)):
            noise = torch.randn(shape, generator=generator)
            t = torch.randint(plan.T, shape[:1], generator=generator)
            cases.append((noise, t, plan))
    return cases


# 07.3: the probability-flow ODE


def _flow(score, x, t, process):
    return likelihood.flow(score, x, t, process)


def _parts(pull, push):
    """A velocity with other factors: pull rate x - push(g) score."""

    def answer(score, x, t, process):
        return pull * process.rate(t) * x - push(process.diffusion(t)) * score

    return answer


def _no_drift_factor(score, x, t, process):
    return process.rate(t) - process.diffusion(t) ** 2 * score / 2


def _called(score, x, t, process):
    return process.rate(t) * x - process.diffusion(t) ** 2 * score(x, t) / 2


def _flow_cases() -> list[tuple]:
    cases, generator = [], torch.Generator().manual_seed(8)
    for process in (sde.VP(), sde.SubVP(), sde.VE(0.01, 20), sde.VP(0.2, 5)):
        for shape, t in [((5, 2), 0.3), ((2, 1, 4, 4), 0.8)]:
            score, x = torch.randn(2, *shape, generator=generator).double()
            cases.append((score, x, t, process))
    return cases


# 07.4: Hutchinson's trace


def _hutchinson(f, x, r):
    x = x.detach().requires_grad_()
    (pulled,) = torch.autograd.grad(f(x), x, r)
    return (pulled * r).sum(1)


def _no_second(f, x, r):
    x = x.detach().requires_grad_()
    (pulled,) = torch.autograd.grad(f(x), x, r)
    return pulled.sum(1)


def _ones(f, x, r):
    return _hutchinson(f, x, torch.ones_like(r))


def _ones_first(f, x, r):
    x = x.detach().requires_grad_()
    (pulled,) = torch.autograd.grad(f(x).sum(), x)
    return (pulled * r).sum(1)


def _over_all(f, x, r):
    return _hutchinson(f, x, r).sum()


def _mean_of_d(f, x, r):
    return _hutchinson(f, x, r) / x.shape[1]


def _not_summed(f, x, r):
    x = x.detach().requires_grad_()
    (pulled,) = torch.autograd.grad(f(x), x, r)
    return pulled * r


def _without_graph(f, x, r):
    (pulled,) = torch.autograd.grad(f(x), x, r)
    return (pulled * r).sum(1)


def _value_for_slope(f, x, r):
    return (f(x) * r).sum(1).detach()


def _bent(matrix):
    return lambda x: torch.tanh(x @ matrix)


def _trace_cases() -> list[tuple]:
    cases, generator = [], torch.Generator().manual_seed(9)
    for rows, size in [(4, 2), (3, 5), (1, 3), (6, 16)]:
        f = _bent(torch.randn(size, size, generator=generator))
        x = torch.randn(rows, size, generator=generator)
        signs = 2.0 * torch.randint(0, 2, (rows, size), generator=generator) - 1
        cases.append((f, x, signs))
    return cases


EXERCISES = {
    "07.1": Exercise(
        reference=50,
        mistakes={
            "That is the truth. But would a walker in the left town ever learn that "
            "the right one is larger?": 80,
            "That is the share of the left town. The map is as wide on both sides.": 20,
            "The right town is larger, but the left one has arrows of its own.": 100,
        },
        hint="A score is a slope. Between the towns, does it know how many people live "
        "in each?",
        praise="Half of the map leads to each, whoever lives there.",
    ),
    "07.2": Exercise(
        reference=_from_noise,
        cases=_noise_cases,
        mistakes={
            "Your arrows point to the noise: mind the sign.": _over(0.5, sign=1.0),
            "You divide by the variance 1 - alpha_bar; sigma is its root.": _over(1.0),
            "You divide by the root of alpha_bar, what is left of the picture; the "
            "noise was multiplied by the root of 1 - alpha_bar.": _over(
                0.5, level=lambda bar: bar
            ),
            "You multiply by sigma. That is the way from the score to the noise; here "
            "divide.": _times_sigma,
            "You forgot to divide: minus the noise is only the arrow's direction.": (
                _over(0.0)
            ),
            "You use the first t for the whole batch; each has its own.": (
                _one_t_for_all
            ),
            "beta is the noise of one step. sigma, of all steps so far, is the root of "
            "1 - alpha_bar.": _one_step_only,
            "Right for points (B, 2). Pictures have more axes: view sigma as (B, 1, 1, "
            "1) there.": _for_points_only,
            "sigma[t] is a row of B numbers: view it as (B, 1, ...), so that each "
            "divides its own x.": _not_a_column,
        },
        hint="The arrow points away from the noise. Divide by sigma, the root of "
        "1 - alpha_bar, one for each of the batch.",
        praise="Any network that guesses noise has arrows now.",
    ),
    "07.3": Exercise(
        reference=_flow,
        cases=_flow_cases,
        mistakes={
            "That is the drift of the reverse SDE, for walks by dice. On rails the "
            "score has half of it.": _parts(1, lambda g: g**2),
            "The score's sign is turned: your rails lead away from the data.": (
                _parts(1, lambda g: -(g**2) / 2)
            ),
            "g is not squared.": _parts(1, lambda g: g / 2),
            "You squared the half as well: it is half of g squared.": _parts(
                1, lambda g: (g / 2) ** 2
            ),
            "f is missing: `process.rate(t) * x`.": _parts(0, lambda g: g**2 / 2),
            "f has the wrong sign: it is the forward SDE's own.": _parts(
                -1, lambda g: g**2 / 2
            ),
            "rate(t) is f over x: multiply it by x.": _no_drift_factor,
            "`score` is no function here, but its value at x: do not call it.": _called,
        },
        hint="Two terms. In the second, g is squared, and halved only once.",
        praise="The same for VP, VE and sub-VP.",
    ),
    "07.4": Exercise(
        reference=_hutchinson,
        cases=_trace_cases,
        mistakes={
            "You have r times J; times r again before you sum.": _no_second,
            "You used ones instead of the signs: that adds up all of J, no trace.": (
                _ones
            ),
            "You summed f(x) before the derivative, so r stands on one side of J only. "
            "Give r to torch.autograd.grad.": _ones_first,
            "You summed over the batch too: one number a point, (B,).": _over_all,
            "A trace is a sum over D, not a mean.": _mean_of_d,
            "Sum over D at the end: (B,), one number a point.": _not_summed,
            "x has no gradient yet: begin with x = x.detach().requires_grad_().": (
                _without_graph
            ),
            "That is f(x) times r. We want the derivative of f: "
            "torch.autograd.grad.": _value_for_slope,
        },
        hint="`torch.autograd.grad(y, x, r)` is r times J, in one backward pass. Then "
        "times r again, and sum over D.",
        praise="One backward pass, whatever the number of pixels.",
    ),
}
