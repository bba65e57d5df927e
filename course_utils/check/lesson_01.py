"""Exercises of lesson 01: what a density is made of, in three families."""

import math

import torch

from course_utils.check import Exercise

HALF_LOG_2_PI = math.log(2 * math.pi) / 2


def _level_cases() -> list[tuple]:
    cases = []
    for n, levels, width in ((5, 8, 0.1), (1, 64, 0.25), (7, 3, 2.0)):
        rng = torch.Generator().manual_seed(n)
        logits = torch.randn(2, n, levels, generator=rng)
        i, j = torch.randint(levels, (2, n), generator=rng)
        cases.append((*logits, i, j, width))
    return cases


def _log_mass(logits_1, logits_2, i, j):
    """log of the probability of square (i, j)."""
    rows = torch.arange(len(i))
    return logits_1.log_softmax(1)[rows, i] + logits_2.log_softmax(1)[rows, j]


def _log_density_of_levels(logits_1, logits_2, i, j, width):
    return _log_mass(logits_1, logits_2, i, j) - 2 * math.log(width)


def _of_raw_logits(logits_1, logits_2, i, j, width):
    rows = torch.arange(len(i))
    return logits_1[rows, i] + logits_2[rows, j] - 2 * math.log(width)


def _stretch_cases() -> list[tuple]:
    cases = []
    for n, d in ((4, 2), (1, 3), (6, 5)):
        rng = torch.Generator().manual_seed(d)
        x, shift = torch.randn(n, d, generator=rng), torch.randn(d, generator=rng)
        cases.append((x, shift, 0.3 + torch.rand(d, generator=rng)))
    return cases


def _stretched_log_density(x, shift, scale):
    z = (x - shift) / scale
    return (-z.square() / 2 - HALF_LOG_2_PI - scale.log()).sum(1)


def _sign_of_stretch(x, shift, scale):
    return _stretched_log_density(x, shift, scale) + 2 * scale.log().sum()


def _no_stretch(x, shift, scale):
    return _stretched_log_density(x, shift, scale) + scale.log().sum()


def _no_constant(x, shift, scale):
    return _stretched_log_density(x, shift, scale) + x.shape[1] * HALF_LOG_2_PI


def _one_constant(x, shift, scale):
    return _stretched_log_density(x, shift, scale) + (x.shape[1] - 1) * HALF_LOG_2_PI


def _of_x_itself(x, shift, scale):
    return (-x.square() / 2 - HALF_LOG_2_PI - scale.log()).sum(1)


def _not_added_up(x, shift, scale):
    z = (x - shift) / scale
    return -z.square() / 2 - HALF_LOG_2_PI - scale.log()


def _grid_cases() -> list[tuple]:
    rng = torch.Generator().manual_seed(0)
    hills = [torch.randn(4, 5, generator=rng), 3 * torch.randn(7, 7, generator=rng)]
    hills.append(torch.randn(3, 2, generator=rng) - 1000)  # exp overflows
    return [(e, cell) for e, cell in zip(hills, (0.5, 0.01, 2.0), strict=True)]


def _log_sum(energies):
    return (-energies).flatten().logsumexp(0)


def _normalised(energies, cell):
    return -energies - _log_sum(energies) - math.log(cell)


def _naive(energies, cell):
    return ((-energies).exp() / ((-energies).exp().sum() * cell)).log()


EXERCISES = {
    "01.1": Exercise(
        reference=_log_density_of_levels,
        cases=_level_cases,
        mistakes={
            "That is the probability of the square. A density is probability per "
            "area: divide by width squared.": (
                lambda a, b, i, j, width: _log_mass(a, b, i, j)
            ),
            "You divide by the width once. A square is as high as it is wide.": (
                lambda a, b, i, j, width: _log_mass(a, b, i, j) - math.log(width)
            ),
            "You multiply by the area. The smaller the square that holds a "
            "probability, the greater the density: divide.": (
                lambda a, b, i, j, width: _log_mass(a, b, i, j) + 2 * math.log(width)
            ),
            "Logits are not yet log probabilities: log_softmax first.": _of_raw_logits,
            "You return the density itself; its logarithm is asked for.": (
                lambda *case: _log_density_of_levels(*case).exp()
            ),
            "The sign: what you return is the loss, -log p.": (
                lambda *case: -_log_density_of_levels(*case)
            ),
        },
        hint="Log probabilities are added. A square is `width` wide and `width` high.",
        praise="Right: the chain rule, and per area.",
    ),
    "01.2": Exercise(
        reference=_stretched_log_density,
        cases=_stretch_cases,
        mistakes={
            "The determinant is missing: where the map squeezes x together, density "
            "piles up. Take away the sum of log scale.": _no_stretch,
            "The sign of the determinant: the map divides by scale, so the log "
            "determinant is minus the sum of log scale.": _sign_of_stretch,
            "The normal density's constant is missing, log(2 pi) / 2 a number.": (
                _no_constant
            ),
            "log(2 pi) / 2 belongs to each of the D numbers, not once to a point.": (
                _one_constant
            ),
            "That is the normal density at x. Its place is z: shift and scale "
            "first.": _of_x_itself,
            "One number a point: add up over the D numbers, sum(1).": _not_added_up,
        },
        hint="The map divides by `scale`: its determinant is one over the product of "
        "the scales. And the normal density has a constant, log(2 pi) / 2 for each of "
        "the D numbers.",
        praise="Right: that is the normal density with mean shift and spread scale.",
    ),
    "01.3": Exercise(
        reference=_normalised,
        cases=_grid_cases,
        mistakes={
            "Without the area of a cell your p adds up to 1, but a density must when "
            "each cell counts with its area.": (lambda e, cell: -e - _log_sum(e)),
            "You multiply by the area of a cell. Z is a sum of exp(-E) times area, "
            "and it divides.": (lambda e, cell: -e - _log_sum(e) + math.log(cell)),
            "Low energy means likely: it is exp(-E), with a minus.": (
                lambda e, cell: e - e.flatten().logsumexp(0) - math.log(cell)
            ),
            "Each row has been normalised on its own. Z is one number for the whole "
            "grid.": lambda e, cell: (-e).log_softmax(1) - math.log(cell),
            "That overflows at an energy of -1000: exp(1000) is infinite. Stay with "
            "logarithms: logsumexp.": _naive,
            "That is -E alone: Z is missing, so it does not add up to one.": (
                lambda e, cell: -e
            ),
            "You return p; its logarithm is asked for.": (
                lambda e, cell: _normalised(e, cell).exp()
            ),
        },
        hint="The sum of p times the area of a cell must be 1. `logsumexp` adds up "
        "exponentials without ever writing down a huge one.",
        praise="Right: with every cell's area, it adds up to one.",
        tolerance=1e-4,
    ),
    "01.4": Exercise(
        reference="flow",
        mistakes={
            "No: a classifier may give a level next to nothing, however likely its "
            "neighbours are.": "autoregressive",
            "It leaves many, but not by its nature: a decoder may be as steep as it "
            "likes. Which map may never tear?": "VAE",
            "It walks in small steps with fresh noise between, and can part what was "
            "together. It was not among the three, either.": "diffusion",
        },
        hint="One of the three is a map that can be undone. What happens to a "
        "sheet of rubber that may be stretched but never torn?",
        praise="Right: a map that can be undone may stretch the plane as thin as it "
        "likes, but never tear it.",
    ),
}
