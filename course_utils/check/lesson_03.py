"""Exercises of lesson 03: SRGAN and pix2pix."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.check import Exercise

SHAPES = [(1, 4, 2, 2), (2, 8, 3, 2), (3, 12, 4, 5)]
LAYERS = [[(3, 4, 6, 6), (3, 8, 3, 3)], [(2, 5, 4, 4)]]
STACKS = [([3], [1]), ([4, 4, 4, 4], [2, 2, 1, 1]), ([3, 3, 3], [2, 1, 2])]


def _random(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(
        shape, generator=torch.Generator().manual_seed(sum(shape) + seed)
    )


def _pixel_shuffle(x):
    return F.pixel_shuffle(x, 2)


def _shuffled(x: Tensor, sizes: tuple, order: tuple) -> Tensor:
    return x.unflatten(1, sizes).permute(order).flatten(2, 3).flatten(3, 4)


def _content_distance(a, b):
    return sum(
        (_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in _both(a, b)
    )


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=1)


def _both(a: list, b: list) -> zip:
    return zip(a, b, strict=True)


def _map_pairs() -> list[tuple]:
    return [
        tuple([_random(shape, seed) for shape in layers] for seed in (0, 1))
        for layers in LAYERS
    ]


def _blend(a, b, alpha):
    return {name: (1 - alpha) * a[name] + alpha * b[name] for name in a}


def _weights() -> list[tuple]:
    ends = [{"w": _random((3, 2), k), "b": _random((3,), k)} for k in (0, 1)]
    return [(*ends, alpha) for alpha in (0.0, 0.3, 1.0)]


def _as_list(answer, a, b, alpha) -> list:
    mixed = answer(a, b, alpha)
    if not isinstance(mixed, dict):
        raise TypeError("return a dict of tensors, as the state dicts are")
    return [mixed[name] for name in a]


def _receptive_field(kernels, strides):
    field, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * step
        step *= stride
    return field


def _stride_first(kernels, strides):
    field, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        step *= stride
        field += (kernel - 1) * step
    return field


def _front_to_back(kernels, strides):
    field = 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field = (field - 1) * stride + kernel
    return field


EXERCISES = {
    "03.1": Exercise(
        reference=_pixel_shuffle,
        cases=lambda: [(_random(shape),) for shape in SHAPES],
        mistakes={
            "Each square lies on its side: the second channel of four belongs to the "
            "right of the first, not below it.": (
                lambda x: _shuffled(x, (-1, 2, 2), (0, 1, 4, 3, 5, 2))
            ),
            "You take every C-th channel together. The first four channels make the "
            "first channel of the answer: unflatten to (C, 2, 2).": (
                lambda x: _shuffled(x, (2, 2, -1), (0, 3, 4, 1, 5, 2))
            ),
            "The shape is right, but a reshape alone moves no channel to its "
            "neighbours' place: permute first.": (
                lambda x: x.reshape(len(x), -1, 2 * x.shape[2], 2 * x.shape[3])
            ),
            "Those are four pictures side by side: the 2 must stand behind H and W, so "
            "that neighbours come from the same pixel.": (
                lambda x: _shuffled(x, (-1, 2, 2), (0, 1, 2, 4, 3, 5))
            ),
        },
        hint="Unflatten the channels to (C, 2, 2), permute so that one 2 stands behind "
        "H and the other behind W, then flatten.",
        praise="Right: a convolution makes the channels, and this lays them out.",
    ),
    "03.2": Exercise(
        reference=_content_distance,
        cases=_map_pairs,
        mistakes={
            "The maps must have length 1 at each place first: F.normalize(x, dim=1).": (
                lambda a, b: sum(
                    (x - y).square().sum(1).mean((1, 2)) for x, y in _both(a, b)
                )
            ),
            "You take the mean over the channels too. Sum over them: a squared "
            "length.": lambda a, b: sum(
                (_unit(x) - _unit(y)).square().mean((1, 2, 3)) for x, y in _both(a, b)
            ),
            "You take the mean over the layers. Add them.": lambda a, b: (
                _content_distance(a, b) / len(a)
            ),
            "You sum over the places: then the largest layer decides all. Take their "
            "mean.": lambda a, b: sum(
                (_unit(x) - _unit(y)).square().sum((1, 2, 3)) for x, y in _both(a, b)
            ),
            "That is one number for the whole batch. Keep dim 0: one for each "
            "picture.": lambda a, b: _content_distance(a, b).mean(),
            "You normalise the difference. Scale each picture's maps to length 1, then "
            "subtract.": lambda a, b: sum(
                _unit(x - y).square().sum(1).mean((1, 2)) for x, y in _both(a, b)
            ),
            "Without the root: the formula has squared lengths.": lambda a, b: sum(
                (_unit(x) - _unit(y)).norm(dim=1).mean((1, 2)) for x, y in _both(a, b)
            ),
        },
        hint="For each layer: normalise both along dim 1, square the difference, sum "
        "over channels, mean over places. Then add the layers.",
        tolerance=1e-4,
    ),
    "03.3": Exercise(
        reference=_blend,
        cases=_weights,
        outcome=_as_list,
        mistakes={
            "The other way round: at alpha 0 it should be a.": (
                lambda a, b, alpha: _blend(b, a, alpha)
            ),
            "You add alpha b to all of a. At alpha 1 nothing of a should be left: "
            "multiply it by 1 - alpha.": (
                lambda a, b, alpha: {k: a[k] + alpha * b[k] for k in a}
            ),
            "That is half of each, whatever alpha is.": (
                lambda a, b, alpha: _blend(a, b, 0.5)
            ),
        },
        hint="One line: a dict over the names of a, with (1 - alpha) of the one and "
        "alpha of the other.",
        praise="Right. It works because both networks started as the same one.",
    ),
    "03.4": Exercise(
        reference=_receptive_field,
        cases=lambda: list(STACKS),
        mistakes={
            "You multiply the step before you use it: a layer's own stride counts for "
            "the layers after it only.": _stride_first,
            "You forget the strides: after a stride of 2, the next kernel's pixels are "
            "two apart.": lambda kernels, strides: 1 + sum(k - 1 for k in kernels),
            "You step by each layer's own stride alone. The step is the product of all "
            "strides before it.": lambda kernels, strides: (
                1 + sum((k - 1) * s for k, s in zip(kernels, strides, strict=True))
            ),
            "That recursion runs from the last layer to the first: turn the lists "
            "round.": _front_to_back,
            "One layer adds kernel - 1 steps, not kernel: its first pixel is there "
            "already.": lambda kernels, strides: _receptive_field(
                [k + 1 for k in kernels], strides
            ),
            "That is the product of the kernels. Fields grow by adding.": (
                lambda kernels, strides: int(torch.tensor(kernels).prod())
            ),
        },
        hint="Start with 1 pixel and steps of 1. Each layer adds (kernel - 1) steps to "
        "the field, and then multiplies the step by its stride.",
        praise="Right: 34 pixels for our critic.",
    ),
}
