"""Exercises of lesson 12: language models."""

import torch
import torch.nn.functional as F

from course_utils.check import Exercise

# 12.1: the loss of a causal language model


def _next(logits, tokens):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def _same_place(logits, tokens):
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())


def _backwards(logits, tokens):
    return F.cross_entropy(logits[:, 1:].flatten(0, 1), tokens[:, :-1].flatten())


def _summed(logits, tokens):
    return _next(logits, tokens) * tokens[:, 1:].numel()


def _softmax_twice(logits, tokens):
    return _next(logits.softmax(-1), tokens)


def _one_row(logits, tokens):
    return _next(logits[:1], tokens[:1])


def _loss_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(12)
    cases = []
    for b, length, v in ((1, 5, 7), (3, 9, 11)):
        logits = 2 * torch.randn(b, length, v, generator=generator)
        cases.append((logits, torch.randint(v, (b, length), generator=generator)))
    return cases


# 12.2: temperature


def _softened(logits, temperature):
    return (logits / temperature).softmax(-1)


def _probability_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(21)
    sizes = ((1, 5), (4, 5), (3, 20))
    logits = [2 * torch.randn(*size, generator=generator) for size in sizes]
    return [(x, t) for x in logits for t in (0.3, 1.0, 2.5)]


EXERCISES = {
    "12.1": Exercise(
        reference=_next,
        cases=_loss_cases,
        mistakes={
            "You compare what the model says at a place with the token at that place, "
            "which it has just been shown. Shift by one: it must say the next.": (
                _same_place
            ),
            "You shifted the other way: this asks a place for the token before it.": (
                _backwards
            ),
            "That is the sum over all tokens. Take the mean of them.": (_summed),
            "cross_entropy does the softmax itself. Give it the logits as they are.": (
                _softmax_twice
            ),
            "Only the first text of the batch counts. Keep all rows.": _one_row,
        },
        hint="The logits of place k are about token k + 1. So the last logits and the "
        "first token have no partner.",
        praise="Right: this is what every causal language model minimises.",
    ),
    "12.2": Exercise(
        reference=_softened,
        cases=_probability_cases,
        mistakes={
            "You multiply by the temperature. Dividing makes a low one sharp.": (
                lambda logits, temperature: (logits * temperature).softmax(-1)
            ),
            "You divide the probabilities; they no longer add up to 1. Divide the "
            "logits, before the softmax.": (
                lambda logits, temperature: logits.softmax(-1) / temperature
            ),
            "The temperature does nothing yet.": (
                lambda logits, temperature: logits.softmax(-1)
            ),
            "The softmax runs over the batch. Each row is one distribution: dim -1.": (
                lambda logits, temperature: (logits / temperature).softmax(0)
            ),
            "Those are logits, not probabilities: the softmax is missing.": (
                lambda logits, temperature: logits / temperature
            ),
        },
        hint="Two steps: divide, then softmax over the vocabulary. Which of them comes "
        "first?",
        praise="Right: low temperatures sharpen, high ones flatten.",
    ),
    "12.3": Exercise(
        reference="new turns, at once",
        mistakes={
            "There it may write the feeling down first, and only then turn it round.": (
                "new turns, with meaning"
            ),
            "Nothing has to be turned round here: each word alone was seen often.": (
                "new phrases, at once"
            ),
            "That is the easiest of the four: known words, and time to think.": (
                "new phrases, with meaning"
            ),
        },
        hint="How many steps of thought does each need? And which of those steps was "
        "trained for just this phrase?",
        praise="Right: two steps at once, for a phrase that never took the second.",
    ),
}
