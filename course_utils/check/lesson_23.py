"""Exercises of lesson 23: from pictures to clips."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.check import Exercise

# 23.1: a convolution that looks along time only


def _temporal_conv(x, weight, bias):
    return F.conv3d(x, weight[..., None, None], bias, padding=(1, 0, 0))


def _unpadded(x, weight, bias):
    return F.conv3d(x, weight[..., None, None], bias)


def _along_a_row(x, weight, bias):
    return F.conv3d(x, weight[:, :, None, None], bias, padding=(0, 0, 1))


def _down_a_column(x, weight, bias):
    return F.conv3d(x, weight[:, :, None, :, None], bias, padding=(0, 1, 0))


def _round(x, weight, bias):
    return _unpadded(torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2), weight, bias)


def _with_the_ends_again(x, weight, bias):
    return _unpadded(torch.cat([x[:, :, :1], x, x[:, :, -1:]], 2), weight, bias)


def _from_the_past(x, weight, bias):
    return _unpadded(F.pad(x, (0, 0, 0, 0, 2, 0)), weight, bias)


def _conv_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(23)
    shapes = [(2, 3, 5, 4, 6, 2), (1, 4, 8, 3, 2, 4), (1, 2, 1, 3, 3, 3)]
    found = []
    for batch, channels, frames, high, wide, out in shapes:
        x = torch.randn(batch, channels, frames, high, wide, generator=generator)
        weight = torch.randn(out, channels, 3, generator=generator)
        found.append((x, weight, torch.randn(out, generator=generator)))
    return found


# 23.2: each place of the picture becomes a sequence of frames


def _along_time(x):
    return x.permute(0, 3, 4, 2, 1).flatten(0, 2)


def _reshaped(x):
    batch, channels, frames, high, wide = x.shape
    return x.reshape(batch * high * wide, frames, channels)


def _within_frames(x):
    return x.permute(0, 2, 3, 4, 1).flatten(0, 1).flatten(1, 2)


def _columns_first(x):
    return x.permute(0, 4, 3, 2, 1).flatten(0, 2)


def _all_in_one(x):
    return x.permute(0, 3, 4, 2, 1).flatten(1, 3)


def _frames_first(x):
    return x.permute(2, 0, 3, 4, 1).flatten(1, 3)


def _channels_in_the_middle(x):
    return x.permute(0, 3, 4, 1, 2).flatten(0, 2)


def _shapes() -> list[tuple[Tensor]]:
    shapes = [(2, 3, 5, 4, 6), (1, 6, 2, 3, 5), (3, 4, 4, 4, 4)]
    return [(torch.arange(float(torch.Size(s).numel())).view(s),) for s in shapes]


EXERCISES = {
    "23.1": Exercise(
        reference=_temporal_conv,
        cases=_conv_cases,
        mistakes={
            "There are two frames less than before. Let a frame of zeros stand before "
            "the first and one after the last: padding=(1, 0, 0).": _unpadded,
            "You look along the rows of a frame. Time is the third dimension.": (
                _along_a_row
            ),
            "You look along the columns of a frame. Time is the third dimension.": (
                _down_a_column
            ),
            "The first frame sees the last one: the clip is no ring. Beyond its ends "
            "there are zeros.": _round,
            "Beyond the ends you repeat the first and the last frame; the library has "
            "zeros there.": _with_the_ends_again,
            "Each frame sees itself and two before it. It should see one before and "
            "one after.": _from_the_past,
            "The kernel runs backwards in time: weight[..., 0] belongs to the frame "
            "before.": lambda x, weight, bias: _temporal_conv(x, weight.flip(-1), bias),
            "The bias is missing.": lambda x, weight, bias: _temporal_conv(
                x, weight, None
            ),
        },
        hint="F.conv3d wants a weight (O, C, 3, 1, 1): weight[..., None, None]. With "
        "padding=(1, 0, 0) the number of frames stays.",
        praise="Each frame sees the one before and the one after.",
    ),
    "23.2": Exercise(
        reference=_along_time,
        cases=_shapes,
        mistakes={
            "The shape is right, and the numbers are mixed up: reshape only cuts "
            "anew. Put the dimensions in order first, with permute.": _reshaped,
            "Those are the places of a frame, one sequence for each frame: the "
            "attention that a picture model has already.": _within_frames,
            "You go through the columns first. Rows before columns, (B h w), or the "
            "way back mixes the places.": _columns_first,
            "One long sequence for each clip: every place would see every other at "
            "all times.": _all_in_one,
            "Frames come first here, as in some libraries. Attention wants the "
            "sequences first: (B h w, F, C).": _frames_first,
            "Channels and frames have changed places: each row of a sequence must be "
            "a frame.": _channels_in_the_middle,
        },
        hint="permute(0, 3, 4, 2, 1) brings x to (B, h, w, F, C); flatten(0, 2) makes "
        "one of the first three.",
        praise="One sequence a place, one row a frame.",
    ),
    "23.3": Exercise(
        reference="backwards",
        mistakes={
            "Forwards would need to know which frame was first, and nothing told it: "
            "a softmax over a set has no order.": "forwards",
            "It would be noise if numbers met that had never met before. But each "
            "frame still sees the same others.": "noise",
            "All the same would mean that each frame gets the mean of all. But each "
            "asks a question of its own.": "still",
        },
        hint="Each frame asks, all frames answer, and the answers are summed. Does a "
        "sum care about order?",
        praise="The clip comes out backwards: attention alone does not know the order.",
    ),
}
