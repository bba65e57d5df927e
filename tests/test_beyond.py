"""Edits beyond the bench, scored against what is known."""

import dataclasses

import pytest
import torch

from course_utils import toybox
from course_utils.measure import beyond, editing, editors


def after(some):
    return toybox.render([change.target for change in some])


@pytest.mark.parametrize("kind", beyond.KINDS)
def test_the_true_result_is_right_and_the_scene_is_not(kind):
    some = beyond.changes(kind, 6)
    best = beyond.change_scores(after(some), some)
    assert all(x.min() == 1 for x in best.values())
    floor = beyond.change_scores(editors.before(some), some)
    assert floor["success"].max() == 0 and floor["all"].max() == 0


def test_an_exchange_moves_both_toys_and_nothing_else():
    for change in beyond.changes("exchange", 5):
        old, new = change.scene.things, change.target.things
        places = [toy.place for toy in old]
        assert [toy.place for toy in new] == places
        back = [
            dataclasses.replace(toy, place=place)
            for toy, place in zip(new[::-1], places, strict=True)
        ]
        assert back == old and change.new == {(0, "place"), (1, "place")}


def test_captions_say_what_changes_and_the_edits_are_fixed():
    assert beyond.changes("size", 3) == beyond.changes("size", 4)[:3]
    for change in beyond.changes("toy and place", 4):
        asked = [toybox.parse(caption) for caption in change.captions]
        assert asked[0]["toy"] != asked[1]["toy"]
        assert asked[0]["place"] != asked[1]["place"]


def test_a_rest_that_changed_is_counted():
    some = beyond.changes("exchange", 3)
    targets = [dataclasses.replace(x.target, ground="snow") for x in some]
    scores = beyond.change_scores(toybox.render(targets), some)
    assert scores["success"].min() == 1
    assert scores["preservation"].min() < 1 and scores["all"].min() == 0


def test_both_ways_are_compared(monkeypatch):
    monkeypatch.setattr(beyond, "WAYS", {"diffedit": beyond.WAYS["diffedit"]})
    (row,) = beyond.rows_beyond(editing.pipe_for("diffedit", "tiny"), 2, ["exchange"])
    assert row["method"] == "diffedit" and row["n"] == 2 and 0 <= row["all"] <= 1


def test_odd_requests_are_refused():
    with pytest.raises(ValueError, match="no 'pose'; there are size"):
        beyond.changes("pose", 2)
    with pytest.raises(ValueError, match="n=0"):
        beyond.changes("size", 0)
    with pytest.raises(ValueError, match="1 images need as many changes"):
        beyond.change_scores(torch.zeros(1, 3, 64, 64), beyond.changes("size", 2))
