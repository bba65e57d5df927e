"""Exercises of lesson 08: fast walks."""

import torch

from course_utils import diffusion, schedules
from course_utils.check import Exercise

SHAPES = [(1, 4, 16, 16), (3, 1, 8, 8), (5, 2)]
PLANS = [schedules.linear(), schedules.scaled_linear(), schedules.cosine(200)]


def _drawn(shape: tuple[int, ...], count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    return [torch.randn(shape, generator=generator) for _ in range(count)]


# 08.1: DDIM upwards


def _up(x_s, noise, s, t, schedule, *, x0_at="s", mix_at="t", power=0.5, swapped=False):
    bars = {"s": schedule.alpha_bar[s], "t": schedule.alpha_bar[t]}
    bar, to = bars[x0_at], bars[mix_at]
    x0 = (x_s - (1 - bar) ** power * noise) / bar**power
    if swapped:
        return (1 - to) ** 0.5 * x0 + to**0.5 * noise
    return to**power * x0 + (1 - to) ** power * noise


def _step_up(x_s, noise, s, t, schedule):
    return _up(x_s, noise, s, t, schedule)


def _up_wrong(**wrong):
    return lambda x_s, noise, s, t, schedule: _up(x_s, noise, s, t, schedule, **wrong)


def _forward_only(x_s, noise, s, t, schedule):
    steps = torch.full((len(x_s),), t)
    return diffusion.add_noise(x_s, noise, steps, schedule)


def _relative(x_s, noise, s, t, schedule):
    bar = schedule.alpha_bar[t] / schedule.alpha_bar[s]
    return bar**0.5 * x_s + (1 - bar) ** 0.5 * noise


def _up_cases() -> list[tuple]:
    return [
        (*_drawn(shape, 2), s, t, plan)
        for plan in PLANS
        for shape in SHAPES
        for s, t in ((0, 10), (40, 90), (100, 199))
    ]


# 08.2: the line through two guesses


def _line(now, before, lam_before, lam_now, where):
    slope = (now - before) / (lam_now - lam_before)
    return now + slope * (where - lam_now)


def _middle(now, before, lam_before, lam_now, lam_next):
    return _line(now, before, lam_before, lam_now, (lam_now + lam_next) / 2)


def _at_the_end(now, before, lam_before, lam_now, lam_next):
    return _line(now, before, lam_before, lam_now, lam_next)


def _behind(now, before, lam_before, lam_now, lam_next):
    return _line(now, before, lam_before, lam_now, (lam_before + lam_now) / 2)


def _backwards(now, before, lam_before, lam_now, lam_next):
    return 2 * now - _middle(now, before, lam_before, lam_now, lam_next)


def _equal_steps(now, before, lam_before, lam_now, lam_next):
    return 1.5 * now - 0.5 * before


def _from_before(now, before, lam_before, lam_now, lam_next):
    return before + _middle(now, before, lam_before, lam_now, lam_next) - now


def _upside_down(now, before, lam_before, lam_now, lam_next):
    return now + (now - before) * (lam_now - lam_before) / (lam_next - lam_now) / 2


def _middle_cases() -> list[tuple]:
    lams = [(-2.0, -1.0, 0.5), (0.2, 0.5, 1.5), (1.0, 3.0, 3.5)]
    return [(*_drawn(shape, 2), *three) for shape in SHAPES for three in lams]


# 08.3: s and w


def _paper(conditional, unconditional, s):
    w = s - 1
    return (1 + w) * conditional - w * unconditional, w


def _w_is_s(conditional, unconditional, s):
    return (1 + s) * conditional - s * unconditional, s


def _only_w_is_s(conditional, unconditional, s):
    return _paper(conditional, unconditional, s)[0], s


def _other_way(conditional, unconditional, s):
    return _paper(unconditional, conditional, s)[0], s - 1


def _plus(conditional, unconditional, s):
    return s * conditional + (s - 1) * unconditional, s - 1


def _w_plus_one(conditional, unconditional, s):
    return _paper(conditional, unconditional, s)[0], s + 1


EXERCISES = {
    "08.1": Exercise(
        reference=_step_up,
        cases=_up_cases,
        mistakes={
            "Your x_s comes back as it was: you take x0 out and mix it again at the "
            "same step. Take it out at s, with alpha_bar[s], and mix at t.": (
                _up_wrong(x0_at="t")
            ),
            "That is the step down: it takes x_s for a picture at t and goes to s. "
            "Here s is where we are.": _up_wrong(x0_at="t", mix_at="s"),
            "The square roots are missing: alpha_bar is a share of the variance.": (
                _up_wrong(power=1.0)
            ),
            "At the end the two factors are swapped: the picture gets "
            "sqrt(alpha_bar[t]).": _up_wrong(swapped=True),
            "You treat x_s as clean and add noise to it. First take out the noise "
            "that it has.": _forward_only,
            "That adds fresh noise, as the forward process does. This noise is in x_s "
            "already: take x0 out, then mix x0 and the same noise anew.": _relative,
        },
        hint="Two lines. Solve eq. 4 at s for x0; then eq. 4 at t with that x0 and the "
        "same noise.",
        praise="Right, for every pair of steps and schedule that we tried.",
        tolerance=1e-4,
    ),
    "08.2": Exercise(
        reference=_middle,
        cases=_middle_cases,
        mistakes={
            "That is the line at the end of the next step. Take its middle.": (
                _at_the_end
            ),
            "That is the middle of the step behind us. The next step goes from lam_now "
            "to lam_next.": _behind,
            "You follow the line backwards: beyond now, away from before.": _backwards,
            "That is right only if both steps are equally long. The slope is (now - "
            "before) over lam_now - lam_before.": _equal_steps,
            "You start from before. From there the way is longer: to lam_now, and then "
            "half a step. Start from now.": _from_before,
            "The ratio of the two steps is upside down: the longer the step to come, "
            "the further the line is followed.": _upside_down,
        },
        hint="The slope is the change of the guess over the change of lambda. From "
        "lam_now to the middle of the next step it is half of lam_next - lam_now.",
        praise="Right: this is the second order of DPM-Solver++.",
    ),
    "08.3": Exercise(
        reference=_paper,
        cases=lambda: [
            (*_drawn(shape, 2), s) for shape in SHAPES for s in (1.0, 3.0, 7.5)
        ],
        mistakes={
            "You use s as w. With w = 0 the paper has no guidance, diffusers with "
            "s = 1.": _w_is_s,
            "The noise is right. The paper's w is not s: w = 0 is no guidance.": (
                _only_w_is_s
            ),
            "The two answers are swapped: go away from the unconditional one.": (
                _other_way
            ),
            "Mind the sign: what the unconditional answer says is taken away.": _plus,
            "The noise is right. w is one less than s, not one more.": _w_plus_one,
        },
        hint="unconditional + s (conditional - unconditional): sort it by the two "
        "answers, and compare with (1 + w) and w.",
        praise="Right. Whenever you read a guidance number, ask whose letter it is.",
    ),
    "08.4": Exercise(
        reference="static",
        mistakes={
            "It would, if the network saw where it is. But it is told t = 0, where "
            "there is no noise to take out.": "grey",
            "That is what one step from t = 999 gives. Leading spacing with one step "
            "starts elsewhere: try diffusion.timesteps(1000, 1).": "a blur",
            "One step is never enough for that. But look where it starts: "
            "diffusion.timesteps(1000, 1).": "a picture",
        },
        hint="Which t does the one step start at? How much noise does the network "
        "believe to be there?",
        praise="Right: the step starts at t = 0, and at t = 0 there is nothing to do.",
    ),
}
