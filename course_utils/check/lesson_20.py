"""Exercises of lesson 20: Textual Inversion."""

import torch
import torch.nn.functional as F

from course_utils import diffusion, schedules
from course_utils.check import Exercise

# 20.1: the rows of a text with new words in it


def _look_up(table, vectors, ids):
    return torch.cat([table, vectors])[ids]


def _new_first(table, vectors, ids):
    return torch.cat([vectors, table])[ids]


def _always_the_first(table, vectors, ids):
    return torch.cat([table, vectors[:1].expand_as(vectors)])[ids]


def _last_known(table, vectors, ids):
    return table[ids.clamp(max=len(table) - 1)]


def _added(table, vectors, ids):
    rows = _last_known(table, vectors, ids)
    new = (ids >= len(table)).unsqueeze(-1)
    return rows + new * vectors[(ids - len(table)).clamp(min=0)]


def _zeros(table, vectors, ids):
    return torch.cat([table, torch.zeros_like(vectors)])[ids]


def _look_up_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(20)
    cases = []
    for known, new, wide in ((9, 1, 4), (6, 3, 5)):
        table = torch.randn(known, wide, generator=generator)
        vectors = torch.randn(new, wide, generator=generator)
        ids = torch.randint(known + new, (2, 7), generator=generator)
        ids[:, 2 : 2 + new] = torch.arange(known, known + new)
        cases.append((table, vectors, ids))
    return cases


# 20.2: eq. 2


def _denoise(network, words, x0, noise, t, schedule):
    x_t = diffusion.add_noise(x0, noise, t, schedule)
    return (noise - network(x_t, t, words)).square().mean()


def _clean(network, words, x0, noise, t, schedule):
    return (noise - network(x0, t, words)).square().mean()


def _wants_the_picture(network, words, x0, noise, t, schedule):
    x_t = diffusion.add_noise(x0, noise, t, schedule)
    return (x0 - network(x_t, t, words)).square().mean()


def _summed(network, words, x0, noise, t, schedule):
    return _denoise(network, words, x0, noise, t, schedule) * noise.numel()


def _absolute(network, words, x0, noise, t, schedule):
    x_t = diffusion.add_noise(x0, noise, t, schedule)
    return (noise - network(x_t, t, words)).abs().mean()


def _signed(network, words, x0, noise, t, schedule):
    x_t = diffusion.add_noise(x0, noise, t, schedule)
    return (noise - network(x_t, t, words)).mean()


def _unheard(network, words, x0, noise, t, schedule):
    return _denoise(network, torch.zeros_like(words), x0, noise, t, schedule)


def _network(x_t, t, words):
    """Stands in for a network: depends on the pictures, the steps and the words."""
    told = words.mean((1, 2)).view(-1, 1, 1, 1)
    return x_t * 0.7 + told + t.view(-1, 1, 1, 1) / 1000


def _denoise_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(21)
    cases = []
    for b, plan in ((2, schedules.linear()), (3, schedules.cosine(100))):
        x0, noise = torch.randn(2, b, 4, 6, 6, generator=generator)
        words = torch.randn(b, 5, 8, generator=generator)
        t = torch.randint(plan.T, (b,), generator=generator)
        cases.append((_network, words, x0, noise, t, plan))
    return cases


# 20.3: the words nearby


def _nearness(vector, table):
    return F.normalize(table, dim=1) @ F.normalize(vector, dim=0)


def _dot(vector, table):
    return table @ vector


def _half_cosine(vector, table):
    return table @ F.normalize(vector, dim=0)


def _other_half(vector, table):
    return F.normalize(table, dim=1) @ vector


def _distance(vector, table):
    return (table - vector).norm(dim=1)


def _columns(vector, table):
    return F.normalize(table, dim=0) @ F.normalize(vector, dim=0)


def _nearness_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(23)
    table = torch.randn(7, 5, generator=generator)
    table *= torch.linspace(0.1, 3, 7)[:, None]
    return [(2 * table[k] + 0.1, table) for k in (0, 4)]


# 20.4: no longer than a word


def _shorten(vectors, longest):
    return vectors * (longest / vectors.norm(dim=1, keepdim=True)).clamp(max=1)


def _all_as_long(vectors, longest):
    return vectors * (longest / vectors.norm(dim=1, keepdim=True))


def _one_length(vectors, longest):
    return vectors * (longest / vectors.norm()).clamp(max=1)


def _each_number(vectors, longest):
    return vectors.clamp(-longest, longest)


def _down_the_columns(vectors, longest):
    return vectors * (longest / vectors.norm(dim=0, keepdim=True)).clamp(max=1)


def _longer_only(vectors, longest):
    return vectors * (longest / vectors.norm(dim=1, keepdim=True)).clamp(min=1)


def _shorten_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(22)
    vectors = torch.randn(4, 6, generator=generator)
    vectors[1] *= 0.1
    return [(vectors, 0.5), (vectors * 5, 1.5), (vectors[:2] * 0.2, 0.4)]


EXERCISES = {
    "20.1": Exercise(
        reference=_look_up,
        cases=_look_up_cases,
        mistakes={
            "The new rows stand first, so every old word has become another one. They "
            "belong below the table.": _new_first,
            "Every new id gets the first vector; id len(table) + k is row k of "
            "vectors.": _always_the_first,
            "The new ids are answered by the table's last row. The vectors are never "
            "asked, so they could never learn.": _last_known,
            "The vector is added to a row of the table; it stands in place of one.": (
                _added
            ),
            "The new words are zero: their vectors are missing.": _zeros,
        },
        hint="Put the vectors below the table, torch.cat([table, vectors]), and take "
        "the rows ids of it.",
        praise="The table is only read: nothing of it can move.",
    ),
    "20.2": Exercise(
        reference=_denoise,
        cases=_denoise_cases,
        mistakes={
            "The network is shown the clean pictures. It expects x_t: "
            "diffusion.add_noise(x0, noise, t, schedule).": _clean,
            "You compare with x0. Eq. 2 asks for the noise.": _wants_the_picture,
            "That is the sum. Take the mean, or the loss grows with the batch.": (
                _summed
            ),
            "You take the absolute error; eq. 2 squares it.": _absolute,
            "The sign is still there, and errors cancel: square first, then the "
            "mean.": _signed,
            "The words are not handed on. They are the only thing that learns.": (
                _unheard
            ),
        },
        hint="x_t = diffusion.add_noise(x0, noise, t, schedule); then the mean of "
        "(noise - network(x_t, t, words)) squared.",
        praise="The loss of lesson 06. Only what may learn has changed.",
    ),
    "20.3": Exercise(
        reference=_nearness,
        cases=_nearness_cases,
        mistakes={
            "That is the dot product: long words win, whatever they mean. Divide by "
            "both lengths.": _dot,
            "The rows of the table keep their lengths, so long words win. Normalise "
            "them, too.": _half_cosine,
            "The vector keeps its length, so this is no cosine: the vector itself "
            "would not get 1.": _other_half,
            "That is a distance, and it is smallest for the nearest. Take the cosine."
            "": _distance,
            "You normalise the columns; a word is a row: dim=1.": _columns,
        },
        hint="F.normalize(table, dim=1) has rows of length 1; F.normalize(vector, "
        "dim=0) too. Their product is the cosine.",
        praise="1 for the same direction, 0 for words that have nothing in common.",
    ),
    "20.4": Exercise(
        reference=_shorten,
        cases=_shorten_cases,
        mistakes={
            "Short vectors become longer, too. Only those above `longest` may change: "
            "clamp the factor at 1.": _all_as_long,
            "One length for all rows together; each row has its own: norm(dim=1, "
            "keepdim=True).": _one_length,
            "You clamp each number, and that turns the vector. Multiply the whole row "
            "by one factor.": _each_number,
            "You measure the columns; a vector is a row: dim=1.": _down_the_columns,
            "The wrong way round: short ones grow, and long ones stay long.": (
                _longer_only
            ),
        },
        hint="One factor a row: longest / vectors.norm(dim=1, keepdim=True), at most "
        "1. Multiply.",
        praise="The direction stays, and no row outweighs its place.",
    ),
}
