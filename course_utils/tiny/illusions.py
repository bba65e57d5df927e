"""The illusions that are drawn beforehand, and how lesson 13 reads their sheets."""

import json
from pathlib import Path

from torch import Tensor

from course_utils import models
from course_utils.images import read_sheet
from course_utils.methods.illusions import ARRANGEMENTS
from course_utils.oracle.closeups import SIDE

ANAGRAMS = ("half turn", "quarter turn", "flip", "pieces", "negative")
SINGLE = "single"  # one prompt a picture
PRIMES = {kind: arrangement.primes for kind, arrangement in ARRANGEMENTS.items()}


def sheet_file(kind: str) -> str:
    """The file of a kind: "hidden overlay" is in hidden-overlay.png."""
    return kind.replace(" ", "-") + ".png"


def read_illusions(
    kind: str, folder: Path | None = None
) -> tuple[list[list[str]], Tensor]:
    """The sets of prompts of a kind, and what was made of each.

    kind    "flip", "rotation overlay", "hidden overlay", "anagram half turn" and so on
            for each of ANAGRAMS, or "single", one prompt a picture
    folder  if not the shipped one
    Returns N sets and their sheets (N, sheets, 3, 48, 48) in [0, 1]: the
    primes of an arrangement, else one picture.
    """
    folder = folder or models.path("illusion-sheets")
    known = json.loads((folder / "config.json").read_text(encoding="utf-8"))["sets"]
    if kind not in known:
        raise ValueError(f"kind={kind!r} is not one of: {', '.join(known)}")
    sets, each = known[kind], PRIMES.get(kind, 1)
    images = read_sheet(folder / sheet_file(kind), len(sets) * each, SIDE)
    return sets, ((images + 1) / 2).unflatten(0, (-1, each))
