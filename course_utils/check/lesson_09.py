"""Exercises of lesson 09: latent diffusion."""

import torch
from torch import Tensor

from course_utils.check import Exercise
from course_utils.methods import attention


def _drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(sum(map(sum, shapes)))
    return [torch.randn(shape, generator=generator) for shape in shapes]


# 09.1: the scaling factor


def _scaling_factor(latents):
    return (1 / latents.std()).item()


def _latent_cases() -> list[tuple]:
    # so many numbers that the population's deviation is as good as the sample's
    a, b, c = _drawn((8, 4, 16, 16), (8, 4, 16, 16), (10, 4, 12, 15))
    return [(5.5 * a,), (0.2 * b + 0.1,), (3 * c + torch.arange(4).view(4, 1, 1),)]


# 09.2: attention


def _attend(query, key, value):
    return attention.attend(query, key, value)[0]


def _attends(scale=lambda d: d**-0.5, axis=-1, values=lambda value, key: value):
    def wrong(query, key, value):
        scores = query @ key.mT * scale(query.shape[-1])
        return scores.softmax(axis) @ values(value, key)

    return wrong


def _without_softmax(query, key, value):
    return query @ key.mT / query.shape[-1] ** 0.5 @ value


def _values_width(query, key, value):
    return (query @ key.mT / value.shape[-1] ** 0.5).softmax(-1) @ value


def _attend_cases() -> list[tuple]:
    return [
        tuple(_drawn((2, 5, 8), (2, 3, 8), (2, 3, 8))),
        tuple(_drawn((1, 16, 4), (1, 7, 4), (1, 7, 6))),  # values may be wider
        tuple(_drawn((2, 3, 6, 2), (2, 3, 9, 2), (2, 3, 9, 3))),  # with heads
    ]


# 09.3: how much a step counts


def _min_snr(alpha_bar):
    snr = alpha_bar / (1 - alpha_bar)
    return snr.clamp(max=5) / (snr + 1)


def _snr_weights(function):
    return lambda alpha_bar: function(alpha_bar / (1 - alpha_bar))


def _bar_cases() -> list[tuple]:
    return [(torch.linspace(0.999, 0.001, n),) for n in (7, 40)]


EXERCISES = {
    "09.1": Exercise(
        reference=_scaling_factor,
        cases=_latent_cases,
        mistakes={
            "That is the standard deviation itself. Multiplying by it makes large "
            "latents larger; take its inverse.": lambda x: x.std().item(),
            "You divide by the variance. Scaling by c changes the standard deviation "
            "by c, so it is 1 / std.": lambda x: (1 / x.var()).item(),
            "You have one factor for each channel. Stable Diffusion has one for all: "
            "it must not change the channels against each other.": (
                lambda x: 1 / x.std((0, 2, 3))
            ),
            "You divide by the largest value. One outlier would decide; noise asks "
            "for the standard deviation.": lambda x: (1 / x.abs().max()).item(),
            "You measure the distance from zero, not from the mean.": (
                lambda x: (1 / x.square().mean().sqrt()).item()
            ),
        },
        hint="After multiplying, latents.std() should be 1. Return a float.",
        praise="With it, noise of variance 1 meets latents of variance 1.",
        tolerance=1e-4,
    ),
    "09.2": Exercise(
        reference=_attend,
        cases=_attend_cases,
        mistakes={
            "The division by sqrt(d) is missing. Without it long queries shout: the "
            "softmax gives everything to one word.": _attends(lambda d: 1.0),
            "You divide by d. It is its root: the spread of a sum of d products grows "
            "like sqrt(d).": _attends(lambda d: 1 / d),
            "You multiply by sqrt(d); divide.": _attends(lambda d: d**0.5),
            "You divide by the root of the values' width. It is queries and keys that "
            "are multiplied, so d is theirs.": _values_width,
            "Your softmax runs over the places, so that places compete for a word. "
            "Words compete for a place: the last axis.": _attends(axis=-2),
            "The softmax is missing: weights must be positive and sum to 1.": (
                _without_softmax
            ),
            "You mix the keys. Keys decide who is loud; the values are what is "
            "said.": _attends(values=lambda value, key: key),
        },
        hint="query @ key.mT compares each place with each word: (B, N, M). Divide, "
        "softmax over the last axis, and multiply by value.",
        praise="With and without heads, for any number of places and words.",
    ),
    "09.3": Exercise(
        reference=_min_snr,
        cases=_bar_cases,
        mistakes={
            "That is the weight for a network that predicts the noise. For v divide "
            "by SNR + 1.": _snr_weights(lambda snr: snr.clamp(max=5) / snr),
            "That is the weight for a network that predicts x0. For v divide by "
            "SNR + 1.": _snr_weights(lambda snr: snr.clamp(max=5)),
            "The limit is missing: without min(SNR, 5) the almost clean steps, where "
            "nothing is left to learn, count most.": _snr_weights(
                lambda snr: snr / (snr + 1)
            ),
            "Python's `min` cannot compare a tensor with 5 number by number; "
            ".clamp(max=5) can.": _snr_weights(lambda snr: min(snr, 5) / (snr + 1)),
            "You take the larger of SNR and 5; take the smaller.": _snr_weights(
                lambda snr: snr.clamp(min=5) / (snr + 1)
            ),
            "Your SNR has a root in it: it is a ratio of variances, "
            "alpha_bar / (1 - alpha_bar).": lambda bar: (
                (bar / (1 - bar)).sqrt().clamp(max=5) / ((bar / (1 - bar)).sqrt() + 1)
            ),
        },
        hint="SNR from `alpha_bar` as in lesson 05; the smaller of a tensor and 5 is "
        "`.clamp(max=5)`.",
        praise="The recipe adds 0.5 to it, or steps of mere noise would hardly count.",
    ),
}
