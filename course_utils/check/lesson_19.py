"""Exercises of lesson 19: DreamBooth and LoRA."""

import torch

from course_utils.check import Exercise

# 19.1: the loss of subject and class


def _halves(answer, wanted):
    return (answer - wanted).square().mean((1, 2, 3)).chunk(2)


def _loss(answer, wanted, prior_weight):
    subject, prior = _halves(answer, wanted)
    return subject.mean() + prior_weight * prior.mean()


def _of_halves(combine):
    """A wrong answer that makes something else of the two means."""

    def answer(answer, wanted, prior_weight):
        subject, prior = (half.mean() for half in _halves(answer, wanted))
        return combine(subject, prior, prior_weight)

    return answer


def _every_other(answer, wanted, prior_weight):
    errors = (answer - wanted).square().mean((1, 2, 3))
    return errors[::2].mean() + prior_weight * errors[1::2].mean()


def _summed(answer, wanted, prior_weight):
    subject, prior = (answer - wanted).square().chunk(2)
    return subject.sum() + prior_weight * prior.sum()


def _loss_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(19)
    sizes = ((2, 1.0), (4, 0.5), (8, 2.0), (4, 0.0))
    return [
        (*torch.randn(2, n, 4, 8, 8, generator=generator), weight)
        for n, weight in sizes
    ]


# 19.2: what a layer with a LoRA answers


def _layer(x, W, A, B, scale):
    return x @ (W + scale * B @ A).T


def _layer_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(20)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    return [
        (draw(3, n_in), draw(n_out, n_in), draw(r, n_in), draw(n_out, r), scale)
        for n_in, n_out, r, scale in ((6, 4, 2, 1.0), (5, 5, 1, 0.5), (8, 3, 4, 2.0))
    ]


# 19.3: how many numbers


def _size(shapes, rank):
    return sum(rank * (n_out + n_in) for n_out, n_in in shapes)


def _each(count):
    return lambda shapes, rank: sum(count(o, i, rank) for o, i in shapes)


def _size_cases() -> list[tuple]:
    return [
        ([(128, 128)], 8),
        ([(128, 128), (512, 128), (128, 512)], 4),
        ([(96, 64), (64, 96), (10, 300)], 1),
    ]


EXERCISES = {
    "19.1": Exercise(
        reference=_loss,
        cases=_loss_cases,
        mistakes={
            "That is the mean over all rows: at a prior_weight of 1 it is half of the "
            "loss. Take the mean of each half, and add them.": _of_halves(
                lambda subject, prior, weight: (subject + prior) / 2
            ),
            "The weight is missing: it counts the class's half.": _of_halves(
                lambda subject, prior, weight: subject + prior
            ),
            "You weight the subject. prior_weight says how much the class counts: the "
            "second half.": _of_halves(
                lambda subject, prior, weight: weight * subject + prior
            ),
            "No blend: the subject's error counts fully, whatever the weight.": (
                _of_halves(
                    lambda subject, prior, weight: (
                        (1 - weight) * subject + weight * prior
                    )
                )
            ),
            "Only the subject: the class would be forgotten.": _of_halves(
                lambda subject, prior, weight: subject
            ),
            "The halves are the first rows and the last, not every other row: "
            "chunk(2).": _every_other,
            "A sum grows with batch and picture; take means.": _summed,
        },
        hint="error = (answer - wanted).square(), then error.chunk(2): the first half "
        "is the subject's. The mean of the one plus prior_weight times the mean of the "
        "other.",
        praise="Two plain losses, added: one teaches, the other reminds.",
    ),
    "19.2": Exercise(
        reference=_layer,
        cases=_layer_cases,
        mistakes={
            "scale is missing: it says how much of the LoRA counts.": (
                lambda x, W, A, B, scale: x @ (W + B @ A).T
            ),
            "scale belongs to the difference alone. W always counts fully.": (
                lambda x, W, A, B, scale: scale * x @ (W + B @ A).T
            ),
            "Where is W? A LoRA is added to the layer, it does not replace it.": (
                lambda x, W, A, B, scale: scale * x @ (B @ A).T
            ),
            "No blend: at scale 1 W is still there.": (
                lambda x, W, A, B, scale: x @ ((1 - scale) * W + scale * B @ A).T
            ),
            "scale counts twice: once for A and once for B. It belongs to their "
            "product.": lambda x, W, A, B, scale: x @ (W + scale**2 * B @ A).T,
            "Divided by the rank: peft does that to its alpha, and the result is the "
            "scale.": lambda x, W, A, B, scale: x @ (W + scale / len(A) * B @ A).T,
            "The shapes say the order: B is (out, r), A is (r, in), W is (out, in). So "
            "B @ A.": lambda x, W, A, B, scale: x @ (W + scale * A @ B).T,
        },
        hint="B @ A has the shape of W. A linear layer answers x @ weight.T.",
        praise="At scale 0 it is the old layer; nothing of W was touched.",
    ),
    "19.3": Exercise(
        reference=_size,
        cases=_size_cases,
        mistakes={
            "That is what the layers themselves hold.": _each(lambda o, i, r: o * i),
            "That is rank whole layers. A and B are thin: (r, in) and (out, r).": (
                _each(lambda o, i, r: r * o * i)
            ),
            "That is A alone; B holds rank times out.": _each(lambda o, i, r: r * i),
            "That is B alone; A holds rank times in.": _each(lambda o, i, r: r * o),
            "A and B lie one after the other; no r x r matrix stands between them.": (
                _each(lambda o, i, r: r * (o + i) + r * r)
            ),
            "Twice too many: A takes only the inputs, B gives only the outputs.": (
                _each(lambda o, i, r: 2 * r * (o + i))
            ),
        },
        hint="A is (r, in) and B is (out, r); count both, for each layer.",
        praise="It grows with the sides of a layer, not with its area.",
    ),
}
