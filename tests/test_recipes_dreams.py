"""The dreams that lesson 22 reads can be made again, a step at a time."""

import pytest
import torch

from course_utils.recipes.toy_dreams import dreams_to_keep, toy_dreams
from course_utils.tiny.dreams import KINDS, read_dreams


def test_three_seeds_of_the_robot_but_for_what_the_lesson_dreams_itself():
    kept = dreams_to_keep()
    seeds = {kind: [n for s, k, n in kept if (s.toy, k) == ("robot", kind)]
             for kind in KINDS}  # fmt: skip
    assert seeds == {"words": [1, 2], "no words": [1, 2], "perp-neg": [0, 1, 2]}
    assert len(set(kept)) == len(kept)


def test_dreams_are_made_once_and_read_back(tmp_path):
    recipe = toy_dreams(steps=1, most=1)
    made = recipe.make(tmp_path / "work")
    facts = recipe.save(made, tmp_path / "made")
    assert "| a red robot | words | 1 | " in facts["rows"]
    [one] = read_dreams("words", "robot", tmp_path / "made")
    assert (one.solid.colour, one.seed) == ("red", 1)
    field = made[0][3]
    seen = field.start > -4  # where next to nothing is, a page is coarse
    before, after = ((f.thickness[seen], f.colour.sigmoid()[:, seen]) for f in
                     (field, one.field))  # fmt: skip
    torch.testing.assert_close(after[0], before[0], atol=0.15, rtol=0)
    torch.testing.assert_close(after[1], before[1], atol=0.05, rtol=0)
    again = recipe.make(tmp_path / "work")
    torch.testing.assert_close(again[0][3].colour, field.colour)
    with pytest.raises(ValueError, match="kind='dream' is not one of: words"):
        read_dreams("dream", folder=tmp_path / "made")
