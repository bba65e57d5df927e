"""Exercises of lesson 04: editing on a GAN's manifold, and a GAN that is told."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.check import Exercise

from . import answers_04 as answers

JURIES = [[(4, 1, 4, 4), (4, 1, 2, 2)], [(3, 1, 2, 2)], [(2, 1, 3, 3)] * 3]
CANVASES = [(1, 4, 4), (3, 16, 16), (2, 5, 8)]


def _random(shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    return torch.randn(shape, generator=generator)


def _verdicts() -> list[tuple]:
    return [
        tuple([1.5 * _random(shape, 10 * seed + k) for k, shape in enumerate(jury)]
              for seed in (1, 2))
        for jury in JURIES
    ]  # fmt: skip


def _judges_pay(real, fake):
    return _summed(real, fake, lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean())


def _summed(real, fake, pay):
    return sum(pay(r, f) for r, f in zip(real, fake, strict=True))


def _brush_error(colours, brush, ink):
    apart = (colours - ink.view(3, 1, 1)).square().sum(1, keepdim=True)
    return (brush * apart).sum((1, 2, 3)) / brush.sum((1, 2, 3))


def _strokes() -> list[tuple]:
    cases = []
    for b, h, w in CANVASES:
        brush = (_random((b, 1, h, w), 3) - 0.5).clamp(0, 1)
        brush[:, :, 0, 0] = 0.5  # each picture is painted somewhere
        cases.append((_random((b, 3, h, w), 1), brush, _random((3,), 2)))
    return cases


def _apart(colours: Tensor, ink: Tensor) -> Tensor:
    return (colours - ink.view(3, 1, 1)).square()


EXERCISES = {
    "04.1": Exercise(
        reference=_judges_pay,
        cases=_verdicts,
        mistakes={
            "You have the two exchanged: a true logit should be above 1, so 1 minus it "
            "is what it lacks.": lambda real, fake: _judges_pay(fake, real),
            "Without the hinge a judge is paid without end for being surer: cut off "
            "below 0, with F.relu.": lambda real, fake: _summed(
                real, fake, lambda r, f: (1 - r).mean() + (1 + f).mean()
            ),
            "The margin is missing: a true logit must be above 1, not just above 0.": (
                lambda real, fake: _summed(
                    real, fake, lambda r, f: F.relu(-r).mean() + F.relu(f).mean()
                )
            ),
            "That is the mean over the judges; eq. 2 of Projected GANs is a sum.": (
                lambda real, fake: _judges_pay(real, fake) / len(real)
            ),
            "Each judge's logits are to be averaged: a judge with more regions would "
            "count for more.": lambda real, fake: _summed(
                real, fake, lambda r, f: F.relu(1 - r).sum() + F.relu(1 + f).sum()
            ),
            "Only the first judge pays. Go through all of them.": (
                lambda real, fake: (
                    F.relu(1 - real[0]).mean() + F.relu(1 + fake[0]).mean()
                )
            ),
        },
        hint="For each judge: F.relu(1 - r).mean() for the true ones, and the same "
        "with a plus for the forged ones. Add up all judges.",
        praise="Right: who is sure enough pays nothing, and learns nothing more.",
    ),
    "04.2": Exercise(
        reference=_brush_error,
        cases=_strokes,
        mistakes={
            "You average over the whole picture, so a small dab would hardly count: "
            "divide by the brush's own sum.": lambda colours, brush, ink: (
                (brush * _apart(colours, ink)).sum(1).mean((1, 2))
            ),
            "You ask the whole picture to have that colour: weigh with the brush.": (
                lambda colours, brush, ink: _apart(colours, ink).sum(1).mean((1, 2))
            ),
            "That grows with the dab: divide by the brush's sum.": (
                lambda colours, brush, ink: (brush * _apart(colours, ink)).sum(
                    (1, 2, 3)
                )
            ),
            "That is the mean over red, green and blue. Add them: it is a squared "
            "distance.": lambda colours, brush, ink: (
                _brush_error(colours, brush, ink) / 3
            ),
            "You average over the batch too: return one number for each picture.": (
                lambda colours, brush, ink: _brush_error(colours, brush, ink).mean()
            ),
            "You divide by the sum of all brushes: each picture has its own.": (
                lambda colours, brush, ink: (
                    (brush * _apart(colours, ink)).sum((1, 2, 3)) / brush.sum()
                )
            ),
            "You square the weights of the brush with the rest: multiply afterwards.": (
                lambda colours, brush, ink: (
                    (brush**2 * _apart(colours, ink)).sum((1, 2, 3))
                    / brush.sum((1, 2, 3))
                )
            ),
        },
        hint="Give ink the shape (3, 1, 1). Sum the squares over channels, weigh them "
        "with the brush, and divide by the brush's own sum.",
        praise="Right: a small dab counts as much as a big one.",
    ),
    "04.3": Exercise(
        reference=answers.between_loss,
        cases=answers.games,
        outcome=answers.felt,
        mistakes={
            "The generator draws for the text in the middle, and the judge is asked "
            "about one of the two. Ask it about the middle.": answers.judged_by_one,
            "You mix two pictures. Mix the texts: one picture is drawn for the text "
            "between them.": answers.mixed_pictures,
            "These are the losses of two texts that somebody wrote. Take the mean of "
            "the codes first, then draw once.": answers.two_losses,
            "You add the codes. The middle is half of their sum: beta = 1/2.": (
                answers.sum_of_texts
            ),
            "You take half of their difference. The middle is half of their sum.": (
                answers.difference_of_texts
            ),
            "That is what the judge pays for a forgery. The generator wants to hear "
            "real: mind the sign.": answers.caught,
            "That has no lower end. The judges never learn about texts in the middle, "
            "so they could be pleased for ever: use -log sigmoid.": answers.boundless,
            "The number is right, but `.detach()` cuts the generator off: it learns "
            "nothing from the judge's word.": answers.cut_off,
        },
        hint="One new code, the mean of two. It goes to the generator, and the same "
        "one to the judge. `F.softplus(-l)` is -log sigmoid(l).",
        praise="Right: a text between two texts, for which nobody has a picture.",
    ),
    "04.4": Exercise(
        reference=answers.restyle,
        cases=answers.tables,
        mistakes={
            "Your pictures are made column by column and laid out row by row. Repeat "
            "each z for all texts in turn: `repeat_interleave`.": (
                answers.column_by_column
            ),
            "Both lists run side by side, so some pairs come twice and others never. "
            "One needs `repeat_interleave`, the other `repeat`.": answers.side_by_side,
            "Rows and columns are swapped: row p should hold the style of picture "
            "p.": answers.texts_as_rows,
            "That is a new z. The style is what `style` reads in the pictures.": (
                answers.new_noise
            ),
            "Every row has the style of the first picture.": answers.one_style,
            "Every column has the first text.": answers.one_text,
        },
        hint="All rows in one batch: `repeat_interleave` gives 0 0 0 1 1 1, `repeat` "
        "gives 0 1 2 0 1 2. At the end `unflatten(0, (P, T))`.",
        praise="Right: every style meets every text.",
    ),
}
