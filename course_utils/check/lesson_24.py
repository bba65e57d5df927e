"""Exercises of lesson 24: a clip that is told how it begins and ends."""

import torch

from course_utils.check import Exercise

# 24.1: the second set of inputs


def _hints(first, last, frames):
    hints = first.new_zeros(*first.shape[:2], frames, *first.shape[2:])
    hints[:, :, 0] = first
    if last is not None:
        hints[:, :, -1] = last
    return hints


def _held(first, last, frames):
    """The first picture in every frame but the last."""
    hints = first[:, :, None].repeat(1, 1, frames, 1, 1)
    if last is not None:
        hints[:, :, -1] = last
    return hints


def _blended(first, last, frames):
    if last is None:
        return _hints(first, last, frames)
    share = torch.linspace(0, 1, frames).view(-1, 1, 1)
    return torch.lerp(first[:, :, None], last[:, :, None], share)


def _no_last(first, last, frames):
    return _hints(first, None, frames)


def _frames_second(first, last, frames):
    return _hints(first, last, frames).transpose(1, 2)


def _repeats_the_first(first, last, frames):
    return _hints(first, first if last is None else last, frames)


def _hint_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(24)
    first, last = torch.randn(2, 2, 4, 3, 3, generator=generator)
    return [(first, last, 5), (first, None, 4), (last, first, 2)]


# 24.3: while is the last frame looked at?


def _looked_at(steps, tau, T):
    return [t for t in steps if t >= (1 - tau) * T]


def _step_cases() -> list[tuple]:
    steps = list(range(999, -1, -111))
    return [(steps, 0.6, 1000), (steps, 0.0, 1000), (steps, 1.0, 1000)]


EXERCISES = {
    "24.1": Exercise(
        reference=_hints,
        cases=_hint_cases,
        mistakes={
            "You repeat the first picture. Between the two ends there are zeros: "
            "nobody says what is there.": _held,
            "You fade from one to the other. Between the two ends there are zeros: "
            "what lies there is to be drawn.": _blended,
            "The last picture is missing: it belongs into the last frame.": _no_last,
            "Channels come second, frames third: (B, C, frames, h, w).": _frames_second,
            "Without a last picture its frame stays zero; you put the first one "
            "there, which asks for a clip that returns.": _repeats_the_first,
        },
        hint="first.new_zeros(B, C, frames, h, w), then set [:, :, 0] and, unless last "
        "is None, [:, :, -1].",
        praise="Two pictures, and silence between them.",
    ),
    "24.2": Exercise(
        reference=250,
        mistakes={
            "That is how many have a last hint at all. It is one of three frames.": 750,
            "You forget that a quarter of the clips has none: it is a third of the "
            "rest.": 333,
            "Those are the clips with one of the two earlier frames.": 500,
        },
        hint="Three quarters of the clips have a last hint at all; one of three of "
        "those is the eighth frame.",
        praise="A quarter. The network had better not rely on it.",
    ),
    "24.3": Exercise(
        reference=_looked_at,
        cases=_step_cases,
        mistakes={
            "You look at it while t is low, at the end. The plan is made while t is "
            "high.": lambda steps, tau, T: [t for t in steps if t < (1 - tau) * T],
            "You compare with tau T. The first part of the way is where t is high: "
            "above (1 - tau) T.": lambda steps, tau, T: [
                t for t in steps if t >= tau * T
            ],
            "You compare t, which goes to T, with a share. Multiply by T.": (
                lambda steps, tau, T: [t for t in steps if t >= 1 - tau]
            ),
        },
        hint="[t for t in steps if t >= (1 - tau) * T]",
        praise="First the plan, then the pictures.",
    ),
}
