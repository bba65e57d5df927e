"""Does each view of an illusion show what it should, and hide the others?

Burgert et al. 2023 and Geng et al. 2024 ask CLIP how well each view fits each prompt.
Here closeup-reader answers, so a score is a probability, and there is a plain count:
the share of views that are read as their prompt's toy.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils import toybox
from course_utils.images import (
    check_floats,
    check_images,
    check_list,
    check_whole,
)
from course_utils.oracle.closeups import ANSWERS, closeup_confidence


def toy_of(prompt: str) -> str:
    """The toy that a prompt of a close-up asks for: "cat" of "a sad red cat"."""
    [toy] = toybox.parse(prompt)["toy"]
    if toy not in toybox.DRAWN:
        raise ValueError(
            f"prompt={prompt!r}: a {toy} has no close-up; these have: "
            f"{', '.join(toybox.DRAWN)}"
        )
    return toy


def prompt_sets(n: int, views: int, seed: int = 0) -> list[list[str]]:
    """n random sets of prompts of different toys, one for each of so many views."""
    check_whole(n, "n")
    rng = random.Random(seed)
    sets = [rng.sample(toybox.DRAWN, views) for _ in range(n)]
    return [[f"a {toy}" for toy in some] for some in sets]


def view_matrix(
    views: Tensor, prompts: Sequence[str], net: nn.Module | None = None
) -> Tensor:
    """How likely view i shows prompt j's toy: (V, V), of V views (V, 3, 48, 48)."""
    _check_prompts(views, prompts)
    columns = [ANSWERS.index(toy_of(prompt)) for prompt in prompts]
    return closeup_confidence(views, net)[:, columns]


def views_right(
    views: Tensor, prompts: Sequence[str], net: nn.Module | None = None
) -> list[bool]:
    """Is each view (V, 3, 48, 48) in [-1, 1] read as the toy of its prompt?"""
    _check_prompts(views, prompts)
    said = closeup_confidence(views, net).argmax(1).tolist()
    pairs = zip(said, prompts, strict=True)
    return [ANSWERS[k] == toy_of(prompt) for k, prompt in pairs]


def alignment(matrix: Tensor) -> float:
    """The worst view's probability of its own prompt: min of the diagonal of (V, V).

    Geng et al. 2024, section 4, with probabilities where they have CLIP's cosines.
    """
    _check_matrix(matrix)
    return matrix.diagonal().min().item()


def concealment(matrix: Tensor) -> float:
    """How well each view hides the others' prompts: 1 wholly, 1 / V not at all.

    The mean diagonal of the matrix (V, V) with rows, and with columns, that add up to
    1: Geng et al. 2024, section 4, where a softmax of log-probabilities is just that.
    """
    _check_matrix(matrix)
    safe = matrix.clamp(min=1e-6)
    both = safe / safe.sum(0, keepdim=True), safe / safe.sum(1, keepdim=True)
    return torch.stack([x.diagonal().mean() for x in both]).mean().item()


def _check_matrix(matrix: Tensor) -> None:
    check_floats(matrix, "matrix", 2)
    if matrix.shape[0] != matrix.shape[1] or not matrix.isfinite().all():
        raise ValueError(
            f"matrix must be finite, a prompt a view, (V, V), not {tuple(matrix.shape)}"
        )


def _check_prompts(views: Tensor, prompts: Sequence[str]) -> None:
    check_images(views, 3, 48, "views")
    check_list(prompts, "prompts", str, '"a red cat"')
    if len(views) != len(prompts):
        raise ValueError(
            f"prompts: {len(prompts)} for {len(views)} views; each view has its own"
        )
