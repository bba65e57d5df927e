"""Exercises of lesson 15: DiffEdit."""

import torch

from course_utils import diffusion, schedules
from course_utils.check import Exercise

# 15.1: where two captions disagree


def _contrast(query, reference, x0, noise, t, schedule):
    return _mean(
        lambda x_t: (query(x_t, t) - reference(x_t, t)).abs(), x0, noise, t, schedule
    )


def _mean(seen, x0, noise, t, schedule):
    """The mean over noises and channels of what is seen in x_t."""
    x_ts = [diffusion.add_noise(x0, some, t, schedule) for some in noise]
    return torch.stack([seen(x_t) for x_t in x_ts]).mean((0, 2)).unsqueeze(1)


def _signed(query, reference, x0, noise, t, schedule):
    return _mean(lambda x: query(x, t) - reference(x, t), x0, noise, t, schedule)


def _abs_at_the_end(query, reference, x0, noise, t, schedule):
    return _signed(query, reference, x0, noise, t, schedule).abs()


def _squared(query, reference, x0, noise, t, schedule):
    return _mean(
        lambda x: (query(x, t) - reference(x, t)).square(), x0, noise, t, schedule
    )


def _one_map(query, reference, x0, noise, t, schedule):
    return _contrast(query, reference, x0, noise[:1], t, schedule)


def _summed(query, reference, x0, noise, t, schedule):
    return len(noise) * _contrast(query, reference, x0, noise, t, schedule)


def _clean(query, reference, x0, noise, t, schedule):
    return (query(x0, t) - reference(x0, t)).abs().mean(1, keepdim=True)


def _only_noise(query, reference, x0, noise, t, schedule):
    return _contrast(query, reference, torch.zeros_like(x0), noise, t, schedule)


def _every_channel(query, reference, x0, noise, t, schedule):
    x_ts = [diffusion.add_noise(x0, some, t, schedule) for some in noise]
    return sum((query(x, t) - reference(x, t)).abs() for x in x_ts) / len(noise)


def _network(weight, shift):
    return lambda x_t, t: torch.tanh(weight * x_t + shift * t.view(-1, 1, 1, 1) / 1000)


def _contrast_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(15)
    cases = []
    for n, b, t, plan in (
        (4, 2, 480, schedules.linear()),
        (3, 1, 90, schedules.cosine(200)),
    ):
        x0 = torch.randn(b, 4, 6, 6, generator=generator)
        noise = torch.randn(n, b, 4, 6, 6, generator=generator)
        both = _network(1.0, 1.0), _network(0.4, -0.5)
        cases.append((*both, x0, noise, torch.full((b,), t), plan))
    return cases


# 15.3: from contrast to mask


def _mask(found, outliers, threshold):
    most = found.flatten(1).quantile(1 - outliers, 1).view(-1, 1, 1, 1)
    return (found > threshold * most).float()


def _mask_above(most):
    """A mask of what is above threshold * most(found, outliers)."""

    def wrong(found, outliers, threshold):
        return (found > threshold * most(found, outliers)).float()

    return wrong


def _no_scale(found, outliers, threshold):
    return (found > threshold).float()


def _share_of_places(found, outliers, threshold):
    cut = found.flatten(1).quantile(1 - threshold, 1).view(-1, 1, 1, 1)
    return (found > cut).float()


def _lowest(found, outliers):
    return found.flatten(1).quantile(outliers, 1).view(-1, 1, 1, 1)


def _mask_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(16)
    found = torch.rand(3, 1, 16, 16, generator=generator) ** 3
    found[1] *= 40  # each picture has its own scale
    found[2, :, 4, 4] = 9  # and one has an outlier
    return [(found, 0.05, 0.5), (found[1:], 0.1, 0.3), (found, 0.02, 0.7)]


# 15.4: what stays


def _keep(y_s, encoded, mask, s):
    return mask * y_s + (1 - mask) * encoded[s]


def _keeps(level):
    """Outside the mask the encoding of the step level(encoded, s)."""

    def wrong(y_s, encoded, mask, s):
        return _keep(y_s, {s: encoded[level(encoded, s)]}, mask, s)

    return wrong


def _one_late(encoded, s):
    return min((t for t in encoded if t > s), default=s)


def _keep_inside(y_s, encoded, mask, s):
    return _keep(y_s, encoded, 1 - mask, s)


def _keep_too_much(y_s, encoded, mask, s):
    return mask * y_s + encoded[s]


def _keep_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(17)
    steps = [-1, 0, 200, 400, 600]
    levels = torch.randn(5, 2, 4, 8, 8, generator=generator)
    y_s = torch.randn(2, 4, 8, 8, generator=generator)
    mask = (torch.rand(2, 1, 8, 8, generator=generator) > 0.6).float()
    encoded = dict(zip(steps, levels, strict=True))
    return [(y_s, encoded, mask, s) for s in (400, 200, -1)]


EXERCISES = {
    "15.1": Exercise(
        reference=_contrast,
        cases=_contrast_cases,
        mistakes={
            "The sign is still there: what one noise raises, another lowers, and the "
            "mean forgets both. Take the absolute value first.": _signed,
            "You take the absolute value of the mean. By then the noises have "
            "cancelled each other: first abs, then mean.": _abs_at_the_end,
            "You square the difference; outliers then count even more. The paper takes "
            "the absolute value.": _squared,
            "You use the first noise only; average over all of them.": _one_map,
            "You add the maps up. Divide by their number, or the contrast grows with "
            "it.": _summed,
            "You show the network the clean x0, and say t. It expects x_t: add the "
            "noise with diffusion.add_noise.": _clean,
            "The picture is missing: both networks look at nothing but noise.": (
                _only_noise
            ),
            "One number for each place: average over the channels too, with "
            "keepdim=True.": _every_channel,
        },
        hint="For each noise: x_t = diffusion.add_noise(x0, some, t, schedule), and "
        "(query(x_t, t) - reference(x_t, t)).abs(). The mean over noises, then over "
        "channels with keepdim=True.",
        praise="The same noisy picture, two captions: what differs is what they say.",
    ),
    "15.2": Exercise(
        reference=3,
        mistakes={
            "Both predictions are stretched away from the one without words, so their "
            "difference is stretched too. By how much?": 1,
            "Write both with the formula and subtract. The prediction without words is "
            "the same in both.": 2,
            "Both have the factor, but they are subtracted, not multiplied.": 9,
            "Each has it once, and a - b stretched is (a - b) stretched: once.": 6,
            "What is left is not nothing: only the prediction without words cancels.": (
                0
            ),
        },
        hint="nothing + 3 (query - nothing), minus nothing + 3 (reference - nothing). "
        "What is left?",
        praise="The prediction without words cancels, so two calls of four are spared.",
    ),
    "15.3": Exercise(
        reference=_mask,
        cases=_mask_cases,
        outcome=lambda answer, *case: torch.as_tensor(answer(*case)).float(),
        mistakes={
            "You take the greatest value as it is: one outlier then decides. Leave out "
            "the share `outliers`: quantile(1 - outliers).": _mask_above(
                lambda found, outliers: found.amax((1, 2, 3), keepdim=True)
            ),
            "You mix the pictures of the batch. Each has its own scale: "
            "found.flatten(1).quantile(..., 1).": _mask_above(
                lambda found, outliers: found.quantile(1 - outliers)
            ),
            "That is the mean's multiple, the library's way. Here: threshold times the "
            "quantile.": _mask_above(
                lambda found, outliers: 3 * found.mean((1, 2, 3), keepdim=True)
            ),
            "Outliers are the greatest values: quantile(1 - outliers), not "
            "quantile(outliers).": _mask_above(_lowest),
            "Contrast has no unit: compare with a share of what the picture itself "
            "reaches.": _no_scale,
            "You mark a fixed share of the places. Then an edit of a small thing and "
            "one of the ground get equally large masks.": _share_of_places,
            "Inside out: 1 where captions disagree.": lambda *case: 1 - _mask(*case),
        },
        hint="most = found.flatten(1).quantile(1 - outliers, 1) is one number a "
        "picture; view(-1, 1, 1, 1), and compare found with threshold times it.",
        praise="One scale a picture, and no place decides alone.",
    ),
    "15.4": Exercise(
        reference=_keep,
        cases=_keep_cases,
        mistakes={
            "Inside out: mask is 1 where the query may write, so y_s belongs there.": (
                _keep_inside
            ),
            "You put the clean picture beside a noisy y_s. The network is told one "
            "level for all: encoded[s].": _keeps(lambda encoded, s: -1),
            "One step late: that is the level the step came from, noisier than y_s. "
            "The library does it, too.": _keeps(_one_late),
            "That is the noisiest level; take that of step s.": _keeps(
                lambda encoded, s: max(encoded)
            ),
            "The encoding is added everywhere; it belongs only where mask is 0.": (
                _keep_too_much
            ),
        },
        hint="Where mask is 1 take y_s, elsewhere encoded[s].",
        praise="Inside the query writes; outside, the way up is walked down.",
    ),
}
