"""Exercises of lesson 21: ControlNet."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.check import Exercise

# 21.1: a convolution that says nothing yet


def _zero_conv(channels):
    conv = nn.Conv2d(channels, channels, 1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def _weight_only(channels):
    conv = nn.Conv2d(channels, channels, 1)
    nn.init.zeros_(conv.weight)
    nn.init.ones_(conv.bias)
    return conv


def _bias_only(channels):
    conv = _zero_conv(channels)
    nn.init.eye_(conv.weight.data[:, :, 0, 0])
    return conv


def _frozen(channels):
    return _zero_conv(channels).requires_grad_(False)


def _three_wide(channels):
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    for p in conv.parameters():
        nn.init.zeros_(p)
    return conv


def _no_bias(channels):
    conv = nn.Conv2d(channels, channels, 1, bias=False)
    nn.init.zeros_(conv.weight)
    return conv


def _what_it_says_and_learns(answer, channels) -> Tensor:
    """What the convolution answers, and the gradients that a first step would use."""
    conv = answer(channels)
    x = torch.randn(2, channels, 3, 3, generator=torch.Generator().manual_seed(21))
    said = conv(x)
    if said.requires_grad:
        (said - 1).square().sum().backward()
    learnt = [torch.zeros(1) if p.grad is None else p.grad for p in conv.parameters()]
    return torch.cat([part.detach().flatten() for part in (said, *learnt)])


# 21.3: do two drawings show the same lines?


def _scores(found, truth, within):
    """Precision and recall of lines, each (B,)."""

    def near(lines, others):
        thick = F.max_pool2d(others.float()[:, None], 2 * within + 1, 1, within)[:, 0]
        return (thick * lines).sum((1, 2)) / lines.sum((1, 2))

    return near(found, truth), near(truth, found)


def _f1(found, truth, within):
    precision, recall = _scores(found, truth, within)
    return 2 * precision * recall / (precision + recall)


def _of_scores(function):
    def wrong(found, truth, within):
        return function(*_scores(found, truth, within))

    return wrong


def _overlap(found, truth, within):
    return (found & truth).sum((1, 2)) / (found | truth).sum((1, 2))


def _line_cases() -> list[tuple]:
    truth = torch.zeros(2, 12, 12, dtype=torch.bool)
    truth[0, 3, 2:10] = truth[1, 2:9, 5] = True
    found = truth.roll(1, 1)
    found[0, 9, 1:6] = True  # too much
    found[1, 6:] = False  # too little
    return [(found, truth, 1), (truth.roll(2, 2), truth, 2), (found, truth, 0)]


EXERCISES = {
    "21.1": Exercise(
        reference=_zero_conv,
        cases=lambda: [(3,), (8,)],
        outcome=_what_it_says_and_learns,
        mistakes={
            "The bias speaks: the weight is zero, but the bias is not. Both must be.": (
                _weight_only
            ),
            "The weight still passes its input on. Make it zero, too.": _bias_only,
            "It says nothing, and never will: its weights are frozen. Let it learn.": (
                _frozen
            ),
            "A kernel of three pixels; the paper's is 1x1. (Zero is zero, but it "
            "learns nine times as many numbers.)": _three_wide,
            "There is no bias; the paper's convolution has one, zero as well.": (
                _no_bias
            ),
        },
        hint="nn.Conv2d(channels, channels, 1), then nn.init.zeros_ for its weight and "
        "for its bias.",
        praise="Silent, and ready to learn.",
    ),
    "21.2": Exercise(
        reference=0,
        mistakes={
            "All of them may learn. But what reaches them in the first step comes "
            "through the zero convolutions: a gradient times a weight of zero.": (
                2_283_104
            ),
            "That is all that may learn, and the zero convolutions are not the copy's. "
            "Through them nothing passes backwards yet.": 2_499_600,
            "That is a share of all. Follow the gradient backwards from the loss: by "
            "what is it multiplied in a zero convolution?": 1,
        },
        hint="The copy's gradient comes backwards through y = W x + b: dy/dx = W. What "
        "is W in the first step?",
        praise="None: first the zero convolutions move, and then the copy can.",
    ),
    "21.3": Exercise(
        reference=_f1,
        cases=_line_cases,
        mistakes={
            "That is precision: of what was found, how much is right. A single dot on "
            "the line would be perfect.": _of_scores(lambda p, r: p),
            "That is recall: of what was asked for, how much was found. An all-white "
            "picture would be perfect.": _of_scores(lambda p, r: r),
            "You take the plain mean. F1 is the harmonic one, 2 p r / (p + r): one bad "
            "half makes it bad.": _of_scores(lambda p, r: (p + r) / 2),
            "You multiply the two. F1 is 2 p r / (p + r).": _of_scores(
                lambda p, r: p * r
            ),
            "That is intersection over union: a line that is one pixel aside counts as "
            "missing.": _overlap,
            "You forget `within`: a line near enough is right.": (
                lambda found, truth, within: _f1(found, truth, 0)
            ),
            "You mix the pictures of the batch: one number for each of them.": (
                lambda found, truth, within: _f1(found, truth, within).mean()
            ),
        },
        hint="thick = F.max_pool2d(lines.float()[:, None], 2 * within + 1, 1, within) "
        "makes lines thick. Precision is the share of found in thick truth, recall the "
        "share of truth in thick found; sums over the dimensions (1, 2).",
        praise="Both directions count, and a pixel aside is no fault.",
    ),
}
