"""Does a picture follow what it was shown? The condition is read from it again.

    some = control_scenes("edges", 32)
    followed("edges", images, some)             # a number for each picture

The captions say neither where the toys are nor how big: only the condition does.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_tensor, check_whole
from course_utils.measure.attributes import attribute_accuracy
from course_utils.measure.pairs import iou
from course_utils.oracle.points import keypoints
from course_utils.oracle.segmenter import silhouettes, toy_masks
from course_utils.toybox import Scene
from course_utils.toybox.scene import check_scene

MISSED = 32.0  # pixels, half a picture: what a doll that is not there counts
SAID = ("toy", "colour", "pattern", "mood", "ground", "count")


def caption_of(scene: Scene) -> str:
    """What the toys are like, and the ground; not where they are, nor how big."""
    check_scene(scene)
    return toybox.say({k: v for k, v in scene.attributes.items() if k in SAID})


def said_right(images: Tensor, scenes: Sequence[Scene]) -> dict[str, float]:
    """`attribute_accuracy` of what caption_of says: share right, and "all"."""
    toybox.check_scenes(scenes)
    asked = [{k: v for k, v in s.attributes.items() if k in SAID} for s in scenes]
    return attribute_accuracy(images, asked)


def control_scenes(kind: str, n: int, seed: int = 0) -> list[Scene]:
    """n scenes of the split "test" with one or two toys; for "pose", with one doll."""
    check_whole(n, "n")
    check_whole(seed, "seed", 0)
    rng = np.random.default_rng([n, seed, 31])
    if kind == "pose":
        return [toybox.sample(rng, "test", things=1, toy="doll") for _ in range(n)]
    return [toybox.sample(rng, "test", things=1 + k % 2) for k in range(n)]


def followed(kind: str, images: Tensor, scenes: Sequence[Scene]) -> Tensor:
    """How well pictures (B, 3, 64, 64) follow the conditions of the scenes, (B,).

    edges, scribble  F1 of the lines: outlines of what the segmenter sees, against those
                     of the scene, within a pixel (a scribble's: within two)
    segmentation     IoU with the scene's segments, the mean over the kinds of toy that
                     either has
    pose             mean distance of a doll's head, hands and feet in pixels, less is
                     better; MISSED where no doll is seen
    """
    toybox.check_scenes(scenes)
    if kind in ("edges", "scribble"):
        truth = toybox.edges(scenes)[:, 0] > 0.5
        within = 1 if kind == "edges" else 2
        return line_f1(outlines(silhouettes(images)), truth, within)
    if kind == "segmentation":
        return segment_iou(segments(images), toybox.segmentation(scenes))
    if kind == "pose":
        gaps = keypoints(images) - toybox.keypoints(scenes)[:, 0]
        return gaps[:, 1:].norm(dim=-1).mean(1).nan_to_num(MISSED)
    raise ValueError(f"kind={kind!r} is not edges, scribble, segmentation or pose")


def outlines(masks: Tensor) -> Tensor:
    """The lines around masks (B, H, W) bool, two pixels wide: (B, H, W) bool."""
    check_tensor(masks, "masks")
    if masks.ndim != 3 or masks.dtype != torch.bool or not masks.numel():
        raise ValueError(
            f"masks is {masks.dtype} of shape {tuple(masks.shape)}: pass (B, H, W) of "
            "torch.bool"
        )
    x = F.pad(masks[:, None].float(), (1, 1, 1, 1), mode="replicate")
    largest, smallest = F.max_pool2d(x, 3, 1), -F.max_pool2d(-x, 3, 1)
    return (largest != smallest)[:, 0]


def line_f1(found: Tensor, truth: Tensor, within: int = 1) -> Tensor:
    """F1 of lines (B, H, W) bool: a pixel is right `within` so many of the other's.

    The harmonic mean of precision and recall, (B,); 1 where neither has a line.
    """
    _check_alike(found, truth, "lines", torch.bool)
    precision, recall = (
        _near(a, b, within) for a, b in ((found, truth), (truth, found))
    )
    both = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    nothing = ~(found | truth).flatten(1).any(1)
    return torch.where(nothing, 1.0, both)


def _near(lines: Tensor, others: Tensor, within: int) -> Tensor:
    """The share of the pixels of lines that have one of others near, (B,)."""
    size = 2 * within + 1
    near = F.max_pool2d(others[:, None].float(), size, 1, within)[:, 0]
    hits = (near * lines).flatten(1).sum(1)
    return hits / lines.flatten(1).sum(1).clamp(min=1)


def segments(images: Tensor) -> Tensor:
    """What each pixel of pictures shows, as the oracle sees it: (B, 64, 64) long."""
    readings = oracle.read(images)
    masks = toy_masks(images, readings)  # (B, toys, 64, 64)
    kinds = torch.zeros(masks.shape[:2], dtype=torch.long)
    for b, seen in enumerate(readings):
        for k, toy in enumerate(seen["toy"]):
            kinds[b, k] = 1 + toybox.ATTRIBUTES["toy"].index(toy)
    if not masks.shape[1]:
        return torch.zeros(len(images), 64, 64, dtype=torch.long)
    return (masks * kinds[:, :, None, None]).amax(1)


def segment_iou(found: Tensor, truth: Tensor) -> Tensor:
    """IoU of classes (B, H, W) long, the mean over those but 0 that either has, (B,).

    1 where both are all 0.
    """
    _check_alike(found, truth, "classes", torch.long)
    kinds = [k for k in torch.cat([found, truth]).unique() if k]
    total, count = torch.zeros(len(found)), torch.zeros(len(found))
    for k in kinds:
        there = ((found == k) | (truth == k)).flatten(1).any(1)
        total += iou(found == k, truth == k) * there
        count += there
    return torch.where(count > 0, total / count.clamp(min=1), 1.0)


def _check_alike(found: Tensor, truth: Tensor, what: str, dtype: torch.dtype) -> None:
    """Refuse what are not two batches (B, H, W) of one shape and this type."""
    for name, x in (("found", found), ("truth", truth)):
        check_tensor(x, name)
        if x.dtype != dtype or x.ndim != 3 or x.shape != found.shape:
            raise ValueError(
                f"{name} is {x.dtype} of shape {tuple(x.shape)}: pass {what} "
                f"(B, H, W) of {dtype}, both of the same shape"
            )
