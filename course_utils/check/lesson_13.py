"""Exercises of lesson 13: illusions."""

import torch

from course_utils.check import Exercise
from course_utils.methods.anagrams import VIEWS

# 13.1: what all views say, as one answer


def _back_and_mean(answers, views):
    pairs = zip(answers, views, strict=True)
    return torch.stack([view.undo(answer) for answer, view in pairs]).mean(0)


def _not_back(answers, views):
    return torch.stack(list(answers)).mean(0)


def _forth_again(answers, views):
    pairs = zip(answers, views, strict=True)
    return torch.stack([view.see(answer) for answer, view in pairs]).mean(0)


def _summed(answers, views):
    return _back_and_mean(answers, views) * len(views)


def _last_only(answers, views):
    return views[-1].undo(answers[-1])


def _mean_then_back(answers, views):
    return views[-1].undo(torch.stack(list(answers)).mean(0))


def _answer_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(13)
    names = (["as it is", "quarter turn"], ["as it is", "pieces", "quarter turn"])
    return [
        ([torch.randn(2, 3, 8, 8, generator=generator) for _ in some], views)
        for some in names
        for views in [[VIEWS[name] for name in some]]
    ]


# 13.3: light through sheets


def _through(sheets):
    return torch.tanh(3 * sheets.prod(0))


def _sheet_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(31)
    return [(torch.rand(n, 3, 5, 5, generator=generator),) for n in (2, 4)]


# 13.4: does each view hide the other prompts?


def _hidden(p):
    return ((p / p.sum(0, keepdim=True) + p / p.sum(1, keepdim=True)) / 2).diag().mean()


def _matrix_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(41)
    return [(torch.rand(v, v, generator=generator) + 0.01,) for v in (2, 4)]


EXERCISES = {
    "13.1": Exercise(
        reference=_back_and_mean,
        cases=_answer_cases,
        mistakes={
            "You average what lies in different directions: each answer is about the "
            "picture as its view saw it. Turn it back first, with `undo`.": _not_back,
            "You turned each answer once more instead of back: `undo`, not `see`. For "
            "half turns the two are the same, for quarter turns they are not.": (
                _forth_again
            ),
            "That is the sum over the views, too loud by far. Take their mean.": (
                _summed
            ),
            "Only the last view is heard. All of them count.": _last_only,
            "First back, then the mean: each answer has its own way back.": (
                _mean_then_back
            ),
        },
        hint="Two steps. Lay every answer the way the picture lies, then average. Each "
        "view brings its own way back.",
        praise="Right: section 3.2 of the paper, for any number of views.",
    ),
    "13.2": Exercise(
        reference="blur",
        mistakes={
            "A half turn moves pixels and changes none: noise stays noise.": (
                "half turn"
            ),
            "Pieces move pixels and change none, however torn it looks.": "pieces",
            "The negative turns all signs. Minus a normal number is a normal number.": (
                "negative"
            ),
        },
        hint="Which of the four would you hear, if the noise were sound?",
        praise="Right: neighbours get alike and the variance falls. That is no noise "
        "that the network has ever met.",
    ),
    "13.3": Exercise(
        reference=_through,
        cases=_sheet_cases,
        mistakes={
            "The mean is what two projectors would give. Sheets take light away: "
            "multiply.": lambda sheets: torch.tanh(3 * sheets.mean(0)),
            "A sum adds light, and sheets have none. Multiply.": (
                lambda sheets: torch.tanh(3 * sheets.sum(0))
            ),
            "The darkest sheet alone does not decide: two greys are darker than one.": (
                lambda sheets: torch.tanh(3 * sheets.amin(0))
            ),
            "The product is right. The eye's getting used to it, tanh(3 ...), is "
            "missing.": lambda sheets: sheets.prod(0),
            "Only what comes through all sheets reaches the eye: first the product, "
            "then one tanh.": lambda sheets: torch.tanh(3 * sheets).prod(0),
        },
        hint="Half of the light, and then half of that. What is the word for this, "
        "for any number of sheets?",
        praise="Right: shares of light multiply.",
    ),
    "13.4": Exercise(
        reference=_hidden,
        cases=_matrix_cases,
        mistakes={
            "You looked along the rows only. A prompt must also know its view: the "
            "columns count as well, half and half.": (
                lambda p: (p / p.sum(1, keepdim=True)).diag().mean()
            ),
            "You looked along the columns only. Each view must also know its prompt: "
            "the rows count as well, half and half.": (
                lambda p: (p / p.sum(0, keepdim=True)).diag().mean()
            ),
            "That is how well the views fit, not how well they hide. Divide by the "
            "sums first.": lambda p: p.diag().mean(),
            "That is the sum of the diagonal. Take its mean, or more views score "
            "higher.": lambda p: _hidden(p) * len(p),
        },
        hint="Make every row add up to 1, and look at the diagonal. Then every column. "
        "The score is the mean of both.",
        praise="Right: 1 if nothing shines through, 1/V if everything does.",
    ),
}
