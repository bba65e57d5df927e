"""Exercises of lesson 25: a picture that dances."""

import torch

from course_utils.check import Exercise

# 25.1: attention that looks elsewhere, too


def _look_around(z, y, to_q, to_k, to_v):
    both = torch.cat([z, y], 1)
    q, k, v = to_q(z), to_k(both), to_v(both)
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


def _alone(z, y, to_q, to_k, to_v):
    return _look_around(z, y[:, :0], to_q, to_k, to_v)


def _cross(z, y, to_q, to_k, to_v):
    return _look_around(z[:, :0], y, lambda _: to_q(z), to_k, to_v)


def _summed(z, y, to_q, to_k, to_v):
    return _alone(z, y, to_q, to_k, to_v) + _cross(z, y, to_q, to_k, to_v)


def _unscaled(z, y, to_q, to_k, to_v):
    both = torch.cat([z, y], 1)
    return (to_q(z) @ to_k(both).mT).softmax(-1) @ to_v(both)


def _both_ask(z, y, to_q, to_k, to_v):
    both = torch.cat([z, y], 1)
    return _look_around(both, y[:, :0], to_q, to_k, to_v)


def _wrong_axis(z, y, to_q, to_k, to_v):
    both = torch.cat([z, y], 1)
    q, k, v = to_q(z), to_k(both), to_v(both)
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(1) @ v


def _attention_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(25)
    cases = []
    for n, m in ((3, 5), (4, 2)):
        z = torch.randn(2, n, 6, generator=generator)
        y = torch.randn(2, m, 6, generator=generator)
        maps = torch.randn(3, 6, 6, generator=generator)
        cases.append((z, y, *(lambda x, w=w: x @ w for w in maps)))
    return cases


# 25.2: the mean of windows


def _mean_of_windows(model, x_t, windows):
    total, times = torch.zeros_like(x_t), torch.zeros(x_t.shape[2])
    for window in windows:
        total[:, :, window] += model(x_t[:, :, window], window)
        times[window] += 1
    return total / times.view(-1, 1, 1)


def _sum_of_windows(model, x_t, windows):
    total = torch.zeros_like(x_t)
    for window in windows:
        total[:, :, window] += model(x_t[:, :, window], window)
    return total


def _last_window(model, x_t, windows):
    found = torch.zeros_like(x_t)
    for window in windows:
        found[:, :, window] = model(x_t[:, :, window], window)
    return found


def _by_number_of_windows(model, x_t, windows):
    return _sum_of_windows(model, x_t, windows) / len(windows)


def _one_after_the_other(model, x_t, windows):
    parts = [model(x_t[:, :, window], window) for window in windows]
    return torch.cat(parts, 2)


def _first_frames(model, x_t, windows):
    total, times = torch.zeros_like(x_t), torch.zeros(x_t.shape[2])
    for window in windows:
        total[:, :, window] += model(x_t[:, :, : len(window)], window)
        times[window] += 1
    return total / times.view(-1, 1, 1)


def _window_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(26)

    def model(x, window):
        return x + torch.tensor(window, dtype=x.dtype).view(-1, 1, 1) ** 2 + window[0]

    x = torch.randn(2, 3, 7, 1, 2, generator=generator)
    return [
        (model, x, [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]),
        (model, x, [[0, 1, 2, 3, 4], [4, 5, 6]]),
    ]


EXERCISES = {
    "25.1": Exercise(
        reference=_look_around,
        cases=_attention_cases,
        mistakes={
            "That is ordinary self-attention: nobody looks at the picture.": _alone,
            "That is cross-attention: the frame looks at the picture only, and no "
            "longer at itself.": _cross,
            "Two attentions, added: each has a softmax of its own. Here one softmax "
            "shares a place's attention between both.": _summed,
            "The scale is missing: divide by the root of the number of channels.": (
                _unscaled
            ),
            "The picture asks, too: queries come from the frame alone.": _both_ask,
            "The softmax is over the queries. Each query's weights sum to 1: over the "
            "last dimension.": _wrong_axis,
        },
        hint="both = torch.cat([z, y], 1); q from z, k and v from both; weights = "
        "(q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).",
        praise="One softmax, two pictures to look at.",
    ),
    "25.2": Exercise(
        reference=_mean_of_windows,
        cases=_window_cases,
        mistakes={
            "That is the sum: divide each frame by how many windows it was in.": (
                _sum_of_windows
            ),
            "The last window wins. Where windows overlap, take the mean.": _last_window,
            "You divide by the number of windows; but a frame is in some of them "
            "only.": _by_number_of_windows,
            "One after the other: frames in two windows come twice.": (
                _one_after_the_other
            ),
            "Every window shows the model the first frames. Show it its own: "
            "x_t[:, :, window].": _first_frames,
        },
        hint="Sum up in zeros_like(x_t): total[:, :, window] += "
        "model(x_t[:, :, window], window). Count how often each frame came, and "
        "divide.",
        praise="Windows that agree before there is anything to see.",
    ),
    "25.3": Exercise(
        reference=83,
        mistakes={
            "That is without overlap: each window brings 12 new frames, not 16.": 63,
            "Those come after the first one: add it.": 82,
            "That is with guidance: half of it is asked here.": 166,
            "That is one for each frame.": 1000,
        },
        hint="Each window brings 12 new frames, the first one 16. The last one is "
        "moved back so that it ends with the film.",
        praise="A third more than without overlap: the price of no seams.",
    ),
}
