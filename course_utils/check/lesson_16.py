"""Exercises of lesson 16: Imagic."""

import copy

import torch
from torch import nn

from course_utils.check import Exercise

# 16.1: one step from each part of the schedule


def _spread(u, T):
    return ((torch.arange(len(u)) + u) / len(u) * T).long()


def _parts_from(first):
    return lambda u, T: ((torch.arange(len(u)) + first + u) / len(u) * T).long()


def _spread_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(16)
    sizes = ((8, 1000), (5, 400), (3, 50), (1, 1000))
    return [(torch.rand(n, generator=generator), T) for n, T in sizes]


# 16.2: one step of stage B


class Answering(nn.Module):
    """A network of one matrix: answer = weight x + words."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """x (B, D), words (1, D) -> (B, D)."""
        return x @ self.weight.T + words


def _tune(unet, own, loss, rate):
    tuned = copy.deepcopy(unet)
    loss(tuned, own).backward()
    with torch.no_grad():
        for p in tuned.parameters():
            p -= rate * p.grad
    return tuned


def _in_place(unet, own, loss, rate):
    loss(unet, own).backward()
    with torch.no_grad():
        for p in unet.parameters():
            p -= rate * p.grad
    return unet


def _uphill(unet, own, loss, rate):
    return _tune(unet, own, loss, -rate)


def _both(unet, own, loss, rate):
    own.requires_grad_()
    tuned = _tune(unet, own, loss, rate)
    with torch.no_grad():
        own -= rate * own.grad
    return tuned


def _words_only(unet, own, loss, rate):
    own.requires_grad_()
    loss(unet, own).backward()
    with torch.no_grad():
        own -= rate * own.grad
    return copy.deepcopy(unet)


def _untrained(unet, own, loss, rate):
    return copy.deepcopy(unet)


def _without_rate(unet, own, loss, rate):
    return _tune(unet, own, loss, 1.0)


def _gradient_of_the_other(unet, own, loss, rate):
    """The loss asks the old network, so the copy has no gradients."""
    tuned = copy.deepcopy(unet)
    gradients = torch.autograd.grad(loss(unet, own), list(unet.parameters()))
    with torch.no_grad():
        for p, g in zip(unet.parameters(), gradients, strict=True):
            p -= rate * g
    return tuned


def _tune_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(17)
    cases = []
    for size, rate in ((2, 0.1), (3, 0.02)):
        x, wanted = torch.randn(2, 5, size, generator=generator)
        weight = torch.randn(size, size, generator=generator)
        own = torch.randn(1, size, generator=generator)

        def loss(unet, words, x=x, wanted=wanted):
            return (unet(x, words) - wanted).square().mean()

        cases.append((Answering(weight), own, loss, rate))
    return cases


def _all_three(answer, unet, own, loss, rate):
    """What became of the new network, of the old one, and of the embedding."""
    old, words = copy.deepcopy(unet), own.clone()
    new = answer(old, words, loss, rate)
    return torch.cat([new.weight, old.weight, words]).detach()


# 16.3: something in between


def _between(target, own, eta):
    return eta * target + (1 - eta) * own


def _between_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(18)
    etas = (0.0, 0.7, 1.0, 1.5)
    return [(*torch.randn(2, 1, 6, 4, generator=generator), eta) for eta in etas]


EXERCISES = {
    "16.1": Exercise(
        reference=_spread,
        cases=_spread_cases,
        mistakes={
            "These steps are uniform, but any of them may fall anywhere. Row i belongs "
            "into part i: add torch.arange(len(u)) before you divide.": (
                lambda u, T: (u * T).long()
            ),
            "That is where each part begins: the same steps at each call. Add u, the "
            "place inside the part.": (
                lambda u, T: (torch.arange(len(u)) / len(u) * T).long()
            ),
            "That is the middle of each part, the same steps at each call. Use u.": (
                lambda u, T: ((torch.arange(len(u)) + 0.5) / len(u) * T).long()
            ),
            "You count the parts from 1, so the first part is never asked and the last "
            "steps do not exist. Count from 0.": _parts_from(1),
            "u is a place inside a part, a share of T / len(u), not of T.": (
                lambda u, T: (torch.arange(len(u)) / len(u) * T + u).long()
            ),
            "u is a place inside a part: divide i + u by len(u), not i alone.": (
                lambda u, T: ((torch.arange(len(u)) / len(u) + u) * T).long()
            ),
            "You round to the nearest step. Round down, as .long() does: T itself is "
            "no step.": lambda u, T: (
                ((torch.arange(len(u)) + u) / len(u) * T).round().long()
            ),
            "Shares of the schedule, not steps: multiply by T.": (
                lambda u, T: (torch.arange(len(u)) + u) / len(u)
            ),
        },
        hint="Part i of B goes from i/B to (i+1)/B of the schedule. (i + u_i) / B is a "
        "random place in it; times T, rounded down, that is a step.",
        praise="Uniform over all steps, and never all of them in the noise.",
    ),
    "16.2": Exercise(
        reference=_tune,
        cases=_tune_cases,
        outcome=_all_three,
        mistakes={
            "The network that you were given has changed. Everyone who shares the "
            "pipeline would now draw this picture: train a copy.deepcopy of it.": (
                _in_place
            ),
            "Uphill: the loss grows along the gradient. Subtract.": _uphill,
            "The embedding has moved too. In stage B it is frozen: the network learns "
            "the picture under these very words.": _both,
            "That is stage A: the embedding has moved, and the network has not.": (
                _words_only
            ),
            "The copy is still the old network: no step was made.": _untrained,
            "You forget the rate: subtract rate times the gradient.": _without_rate,
            "You ask and change the old network; the copy that you return has learnt "
            "nothing. Give the copy to the loss.": _gradient_of_the_other,
        },
        hint="First tuned = copy.deepcopy(unet). Then loss(tuned, own).backward() "
        "and, under torch.no_grad(), p -= rate * p.grad for p in tuned.parameters().",
        praise="The copy has learnt; the old network and the words are as before.",
    ),
    "16.3": Exercise(
        reference=_between,
        cases=_between_cases,
        mistakes={
            "Turned round: at eta = 1 we want the target's words, at 0 the picture's "
            "own.": lambda target, own, eta: eta * own + (1 - eta) * target,
            "You add the target on top of the picture's own words. Take as much away: "
            "(1 - eta) own.": lambda target, own, eta: own + eta * target,
            "You go from the target away from the picture. Start at own.": (
                lambda target, own, eta: target + eta * (target - own)
            ),
            "You clip eta at 1. Beyond it lies something: the edit, exaggerated.": (
                lambda target, own, eta: min(eta, 1) * target + (1 - min(eta, 1)) * own
            ),
            "Square roots are for mixing noise, whose variances add up. On a straight "
            "line the weights are eta and 1 - eta.": lambda target, own, eta: (
                abs(eta) ** 0.5 * target + abs(1 - eta) ** 0.5 * own
            ),
            "You bring the sum back to a length. The line between two embeddings is "
            "straight.": lambda target, own, eta: (
                _between(target, own, eta)
                / _between(target, own, eta).norm()
                * own.norm()
            ),
        },
        hint="A straight line: at eta = 0 it is at own, at eta = 1 at target.",
        praise="Two words' vectors, and everything on the line through them.",
    ),
}
