"""Does a picture show the subject, and is the class still what it was?

To compare a picture with a subject one must know where it stands. Its sticker is tried
at every place, in several sizes and turns; where it fits best, the picture is judged.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import toybox
from course_utils.images import check_images
from course_utils.toybox import Scene, Subject, Thing

SCALES = (0.9, 1.0, 1.1, 1.2, 1.3)  # of a big toy
TURNS = (-14.0, -7.0, 0.0, 7.0, 14.0)
WINDOW = 44  # pixels: what the largest sticker needs


def fit(images: Tensor, subject: Subject) -> list[Scene]:
    """Where the subject fits best into each picture (B, 3, 64, 64): B scenes.

    `toybox.portray_layers(subject, scenes)` then has its masks; the ground is not
    looked for.
    """
    check_images(images, 3, 64)
    weights, sizes, looks = _stickers(subject, 64)
    rough, *_ = _stickers(subject, 32)
    small = F.avg_pool2d(images, 2)
    scenes = []
    for image, thumb in zip(images, small, strict=True):
        cost = _costs(thumb[None], rough, WINDOW // 4)  # (looks, 33, 33)
        row, column = divmod(cost.amin(0).argmin().item(), cost.shape[-1])
        edge = WINDOW // 2 + 2
        padded = F.pad(image[None], [edge] * 4, mode="replicate")
        near = padded[..., 2 * row : 2 * row + 2 * edge, 2 * column :][..., : 2 * edge]
        cost = _costs(near, weights, 0)  # (looks, 5, 5), two pixels to each side
        best = cost.flatten().argmin().item()
        look, place = divmod(best, 25)
        down, right = divmod(place, 5)
        centre = (2 * column + right - 2) / 64, (2 * row + down - 2) / 64
        shift = tuple(min(max(x, 0.0), 1.0) - 0.5 for x in centre)
        scale, turn = looks[look]
        thing = Thing(subject.toy, subject.colour, shift=shift, scale=scale, turn=turn)
        scenes.append(Scene([thing]))
    return scenes


def _stickers(subject: Subject, size: int):
    looks = [(scale, turn) for scale in SCALES for turn in TURNS]
    things = [Thing(subject.toy, subject.colour, scale=s, turn=t) for s, t in looks]
    scenes = [Scene([thing]) for thing in things]
    pictures, _, masks = toybox.portray_layers(subject, scenes, size)
    solid = (masks[:, :1] > 0.8).float()
    solid = solid / solid.sum((2, 3), keepdim=True)
    edge = (size - WINDOW * size // 64) // 2
    inner = slice(edge, size - edge)
    weights = torch.cat([solid, -2 * solid * pictures], 1)[..., inner, inner]
    constant = (solid * pictures.square().sum(1, keepdim=True)).sum((1, 2, 3))
    return (weights, constant), None, looks


def _costs(image: Tensor, stickers: tuple, padding: int) -> Tensor:
    weights, constant = stickers
    both = torch.cat([image.square().sum(1, keepdim=True), image], 1)
    if padding:
        both = F.pad(both, [padding] * 4, mode="replicate")
    return F.conv2d(both, weights)[0] + constant[:, None, None]
