"""Exercises of lesson 26: what came since 2024."""

import torch
import torch.nn.functional as F

from course_utils.check import Exercise

# 26.1: Euler's walk along the velocity


def _walk(model, noise, grid):
    z = noise
    for t, to in zip(grid, grid[1:], strict=False):
        z = z + (to - t) * model(z, z.new_full((len(z),), t))
    return z


def _away(model, noise, grid):
    z = noise
    for t, to in zip(grid, grid[1:], strict=False):
        z = z + (t - to) * model(z, z.new_full((len(z),), t))
    return z


def _even(model, noise, grid):
    z = noise
    for t in grid[:-1]:
        z = z - model(z, z.new_full((len(z),), t)) / (len(grid) - 1)
    return z


def _told_too_late(model, noise, grid):
    z = noise
    for t, to in zip(grid, grid[1:], strict=False):
        z = z + (to - t) * model(z, z.new_full((len(z),), to))
    return z


def _asked_at_the_start(model, noise, grid):
    z = noise
    for t, to in zip(grid, grid[1:], strict=False):
        z = z + (to - t) * model(noise, z.new_full((len(z),), t))
    return z


def _one_step_short(model, noise, grid):
    return _walk(model, noise, grid[:-1])


def _bent(z, t):
    """A velocity that depends on place and time, so that no slip stays hidden."""
    return torch.sin(z.flip(1)) + t.view(-1, 1) * z


def _walk_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(26)
    grids = [1.0, 0.6, 0.3, 0.0], [1.0, 0.9, 0.5, 0.2, 0.0], [0.8, 0.1, 0.0]
    return [(_bent, torch.randn(4, 2, generator=generator), grid) for grid in grids]


# 26.2: a diffusion's step on the flow's clock


def _clock(signal, sigma):
    return sigma / (signal + sigma), 1 / (signal + sigma)


def _sigma_alone(signal, sigma):
    return sigma, 1 / (signal + sigma)


def _by_variance(signal, sigma):
    return sigma**2, 1 / (signal + sigma)


def _backwards(signal, sigma):
    return signal / (signal + sigma), 1 / (signal + sigma)


def _by_signal(signal, sigma):
    return sigma / (signal + sigma), 1 / signal


def _upside_down(signal, sigma):
    return sigma / (signal + sigma), signal + sigma


def _clock_cases() -> list[tuple]:
    signal = torch.tensor([0.95, 0.7, 0.2])
    sigma = (1 - signal**2).sqrt()
    return [(signal, sigma), (torch.tensor(0.6), torch.tensor(0.8)), (0.28, 0.96)]


# 26.3: attention to words, and beside it attention to a picture


def _seen(q, k, v, k_shown, v_shown, scale):
    attend = F.scaled_dot_product_attention
    return attend(q, k, v) + scale * attend(q, k_shown, v_shown)


def _one_softmax(q, k, v, k_shown, v_shown, scale):
    keys, values = torch.cat([k, k_shown], -2), torch.cat([v, scale * v_shown], -2)
    return F.scaled_dot_product_attention(q, keys, values)


def _mixed(q, k, v, k_shown, v_shown, scale):
    attend = F.scaled_dot_product_attention
    return (1 - scale) * attend(q, k, v) + scale * attend(q, k_shown, v_shown)


def _louder_keys(q, k, v, k_shown, v_shown, scale):
    attend = F.scaled_dot_product_attention
    return attend(q, k, v) + attend(q, scale * k_shown, v_shown)


def _own_queries(q, k, v, k_shown, v_shown, scale):
    attend = F.scaled_dot_product_attention
    return attend(q, k, v) + scale * attend(attend(q, k, v), k_shown, v_shown)


def _no_scale(q, k, v, k_shown, v_shown, scale):
    return _seen(q, k, v, k_shown, v_shown, 1.0)


def _seen_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(3)
    cases = []
    for scale in (0.3, 0.7):
        q = torch.randn(2, 2, 5, 8, generator=generator)
        k, v = torch.randn(2, 2, 2, 6, 8, generator=generator)
        k_shown, v_shown = torch.randn(2, 2, 2, 4, 8, generator=generator)
        cases.append((q, k, v, k_shown, v_shown, scale))
    return cases


EXERCISES = {
    "26.1": Exercise(
        reference=_walk,
        cases=_walk_cases,
        mistakes={
            "You walk away from the data: t falls, so the stride, to - t, is "
            "negative.": _away,
            "Your strides are all alike. The grid's need not be: take to - t.": _even,
            "The network is told the time where the step ends. Ask it where you "
            "stand, at t.": _told_too_late,
            "You ask about the noise at every step. Ask about where you are by "
            "now, z.": _asked_at_the_start,
            "A grid of n times has n - 1 strides; your last one is missing.": (
                _one_step_short
            ),
        },
        hint="Walk over pairs of neighbours in the grid. Each step adds (to - t) "
        "times the velocity at z and t.",
        praise="Right: this is all the sampler that a flow needs.",
    ),
    "26.2": Exercise(
        reference=_clock,
        cases=_clock_cases,
        mistakes={
            "sigma alone is the noise's share of x_t as it is. After scaling, both "
            "shares must add up to 1.": _sigma_alone,
            "sigma squared is a variance. On a line amounts count, not "
            "variances.": _by_variance,
            "That clock runs backwards: t = 1 is nothing but noise.": _backwards,
            "Divided by the signal, x0 comes out whole. It should be 1 - t of "
            "it.": _by_signal,
            "The factor is upside down: x_t is longer than z.": _upside_down,
        },
        hint="z = c x_t, and its two shares are c signal and c sigma. They must add "
        "up to 1.",
        praise="Right: the same picture and the same noise, only shorter.",
    ),
    "26.3": Exercise(
        reference=_seen,
        cases=_seen_cases,
        mistakes={
            "One softmax over words and picture: then each takes attention from the "
            "other. Here there are two.": _one_softmax,
            "The words are turned down as the picture is turned up. Only the picture "
            "has a scale.": _mixed,
            "You scale the keys. That changes who is listened to, not how "
            "loudly.": _louder_keys,
            "The picture is asked with the words' answer. The query is the same for "
            "both.": _own_queries,
            "The scale is missing: at 0 only the words should be left.": _no_scale,
        },
        hint="Two calls of F.scaled_dot_product_attention with the same q. Which of "
        "the two has the scale?",
        praise="Right: at scale 0 nothing of the old model has changed.",
    ),
}
