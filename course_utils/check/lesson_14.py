"""Exercises of lesson 14: SDEdit."""

import torch

from course_utils import diffusion, schedules
from course_utils.check import Exercise

# 14.1: what a strength hides


def _half_way(alpha_bar):
    return ((alpha_bar >= 0.5).sum() / len(alpha_bar)).item()


def _below(level, weight=lambda bar: bar):
    return lambda bar: ((weight(bar) >= level).sum() / len(bar)).item()


def _bar_cases() -> list[tuple]:
    plans = schedules.linear(1000), schedules.cosine(1000), schedules.linear(500)
    return [(plan.alpha_bar.float(),) for plan in plans]


# 14.2: which strength


def _choose(strengths, success, preservation, least):
    fit = [i for i, kept in enumerate(preservation) if kept >= least]
    return strengths[max(fit, key=lambda i: success[i])]


def _best(of, where=lambda kept, least: True):
    """The strength with the most of something, among those that fit."""

    def wrong(strengths, success, preservation, least):
        fit = [i for i, kept in enumerate(preservation) if where(kept, least)]
        return strengths[max(fit, key=lambda i: of(success[i], preservation[i], i))]

    return wrong


def _choose_cases() -> list[tuple]:
    strengths = [0.2, 0.4, 0.6, 0.8]
    return [
        (strengths, [0.3, 0.6, 0.5, 0.9], [1.0, 0.9, 0.8, 0.5], 0.75),
        (strengths, [0.4, 0.5, 0.7, 0.8], [1.0, 0.95, 0.7, 0.4], 0.7),
        (strengths, [0.1, 0.2, 0.4, 0.7], [1.0, 0.95, 0.9, 0.3], 0.92),
    ]


# 14.3: what stays


def _keep(x_s, guide, noise, mask, s, schedule):
    known = diffusion.add_noise(guide, noise, s, schedule)
    return mask * x_s + (1 - mask) * known


def _keeps(known):
    def wrong(x_s, guide, noise, mask, s, schedule):
        return mask * x_s + (1 - mask) * known(guide, noise, s, schedule)

    return wrong


def _inside_out(x_s, guide, noise, mask, s, schedule):
    return _keep(x_s, guide, noise, 1 - mask, s, schedule)


def _mask_on_the_sum(x_s, guide, noise, mask, s, schedule):
    return mask * x_s + diffusion.add_noise(guide, noise, s, schedule)


def _fresh(guide, noise, s, schedule):
    return diffusion.add_noise(guide, torch.randn_like(guide), s, schedule)


def _without_roots(guide, noise, s, schedule):
    bar = schedule.alpha_bar[s].view(-1, 1, 1, 1).float()
    return bar * guide + (1 - bar) * noise


def _keep_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(14)
    cases = []
    for b, s, plan in ((2, 400, schedules.linear()), (3, 120, schedules.cosine(500))):
        x_s, guide, noise = torch.randn(3, b, 4, 8, 8, generator=generator)
        mask = (torch.rand(b, 1, 8, 8, generator=generator) > 0.6).float()
        cases.append((x_s, guide, noise, mask, torch.full((b,), s), plan))
    return cases


EXERCISES = {
    "14.1": Exercise(
        reference=_half_way,
        cases=_bar_cases,
        mistakes={
            "You compare the weight of the guide, sqrt(alpha_bar). The strength of a "
            "signal is its variance: alpha_bar itself.": _below(0.5, torch.sqrt),
            "You compare the weight of the noise, sqrt(1 - alpha_bar), with a half. "
            "Compare variances, without roots.": _below(0.75),
            "That is the step t. A strength is a share: divide by the number of "
            "steps.": lambda bar: float((bar >= 0.5).sum()),
            "That is the share of steps with more noise than guide, counted from the "
            "far end. Strength counts from the clean one.": (
                lambda bar: (bar < 0.5).float().mean().item()
            ),
            "Half of the steps is not half of the noise: it depends on the schedule, "
            "so look into alpha_bar.": lambda bar: 0.5,
        },
        hint="The guide has variance alpha_bar and the noise 1 - alpha_bar. How many "
        "of the steps still have alpha_bar >= 0.5?",
        praise="For the linear schedule that is about a quarter of the way.",
        tolerance=4e-3,  # the last step before and the first step after are both fine
    ),
    "14.2": Exercise(
        reference=_choose,
        cases=_choose_cases,
        mistakes={
            "You forget `least`: the most successful strength may ruin the rest.": (
                _best(lambda done, kept, i: done)
            ),
            "You take the largest strength that is allowed. Among those that are, the "
            "most successful one is asked for.": _best(
                lambda done, kept, i: i, lambda kept, least: kept >= least
            ),
            "You take what preserves most: that is to leave the picture alone.": _best(
                lambda done, kept, i: kept
            ),
            "Your limit is strict: `least` itself is still allowed.": _best(
                lambda done, kept, i: done, lambda kept, least: kept > least
            ),
            "You add the two scores. A sum lets success pay for what is ruined; here "
            "`least` is a limit.": _best(lambda done, kept, i: done + kept),
        },
        hint="First leave out the strengths whose preservation is below least; then "
        "take the one with the greatest success.",
        praise="A limit for what may be lost, then the most of what is wanted.",
    ),
    "14.3": Exercise(
        reference=_keep,
        cases=_keep_cases,
        mistakes={
            "Inside out: mask is 1 where the picture may change, so x_s belongs "
            "there.": _inside_out,
            "You put the clean guide beside a noisy x_s. The network is told one "
            "noise level for all: bring the guide to step s.": _keeps(
                lambda guide, noise, s, schedule: guide
            ),
            "You draw new noise. Take the noise that began the walk, or what is kept "
            "flickers from step to step.": _keeps(_fresh),
            "You add the noise at full strength. Weigh it as at step s: "
            "sqrt(alpha_bar) and sqrt(1 - alpha_bar).": _keeps(
                lambda guide, noise, s, schedule: guide + noise
            ),
            "The roots are missing: sqrt(alpha_bar) and sqrt(1 - alpha_bar).": _keeps(
                _without_roots
            ),
            "The guide is added everywhere; it belongs only where mask is 0.": (
                _mask_on_the_sum
            ),
        },
        hint="diffusion.add_noise brings the guide to step s. Where mask is 1 take "
        "x_s, elsewhere that.",
        praise="Inside, the walk goes on; outside, the guide is put back.",
    ),
}
