"""Edits change what they name and nothing else; words and edits are one to one."""

import numpy as np
import pytest

from course_utils import toybox
from course_utils.toybox import Edit, Scene, Thing

CAT = Thing("cat", "red", "small", place="left", shift=(0.01, -0.02))
CAR = Thing("car", "blue", place="right")
SCENE = Scene([CAT, CAR], "plain mint")


def test_instructions_and_edits_are_one_to_one():
    rng = np.random.default_rng(0)
    for _ in range(1500):
        scene = toybox.sample(rng)
        edit = toybox.random_edit(scene, rng)
        text = toybox.instruct(edit, rng)
        assert toybox.parse_edit(text) == edit
        assert toybox.apply(scene, text) == toybox.apply(scene, edit)


def test_a_random_edit_changes_the_scene_and_stays_in_the_world():
    rng = np.random.default_rng(1)
    for _ in range(500):
        scene = toybox.sample(rng)
        after = toybox.apply(scene, toybox.random_edit(scene, rng))
        assert after.attributes != scene.attributes and after.split != "unseen"
        assert toybox.parse(after.caption) == after.attributes
        assert all(t.colour in toybox.ALLOWED[after.ground] for t in after.things)


@pytest.mark.parametrize(
    "text, attribute, expected",
    [
        ("make the cat blue", "colour", ["blue", "blue"]),
        ("make the cat spotted", "pattern", ["dotted", "plain"]),
        ("Make the car small.", "size", ["small", "small"]),
        ("make the cat sad", "mood", ["sad", None]),
        ("turn the cat into a fish", "toy", ["fish", "car"]),
        ("move the cat to the top left", "place", ["top left", "right"]),
        ("put the red cat in the middle", "place", ["middle", "right"]),
        ("remove the car", "toy", ["cat"]),
        ("add a small yellow star at the bottom", "toy", ["cat", "car", "star"]),
        ("change the ground to snow", "ground", "snow"),
        ("make the background striped mint", "ground", "striped mint"),
    ],
)
def test_an_instruction_does_what_it_says(text, attribute, expected):
    assert toybox.apply(SCENE, text).attributes[attribute] == expected


def test_pixels_outside_the_edit_stay():
    after = toybox.apply(SCENE, "make the cat green")
    before, edited = toybox.render([SCENE]), toybox.render([after])
    changed = (before != edited).any(1)[0]
    cat = toybox.masks([SCENE])[0, 0]
    # a one pixel soft edge around the mask may change, too
    near = grown(cat)
    assert changed.any() and not (changed & ~near).any()


def grown(mask):
    import torch.nn.functional as F

    return F.max_pool2d(mask.float()[None, None], 3, 1, 1)[0, 0] > 0


def test_it_means_the_only_toy():
    assert toybox.apply(Scene([CAT]), "make it blue").things[0].colour == "blue"
    assert toybox.instruct(Edit("colour", "blue")) == "make it blue"


def test_equal_toys_are_told_apart_by_place():
    stars = Scene([Thing("star", "red", place=p) for p in ("left", "right")])
    after = toybox.apply(stars, "make the star at the left blue")
    assert after.attributes["colour"] == ["blue", "red"]


def test_the_words_of_instructions_are_in_the_vocabulary():
    rng = np.random.default_rng(2)
    for _ in range(300):
        text = toybox.instruct(toybox.random_edit(toybox.sample(rng), rng), rng)
        assert set(text.split()) <= set(toybox.VOCABULARY)


@pytest.mark.parametrize(
    "text, message",
    [
        ("dance", "cannot follow 'dance'; say for instance"),
        ("make the cat", "say what to change, and to what"),
        ("make the duck red", "'the duck' fits 0 toys"),
        ("make it red", "'it' fits 2 toys"),
        ("make the cat rde", "did you mean red"),
        ("make the car happy", "a car has no face"),
        ("move the cat to the right", "two toys in one place"),
        ("make the cat and the car red", "one instruction changes one toy"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_cure(text, message):
    with pytest.raises(ValueError, match=message):
        toybox.apply(SCENE, text)


def test_an_edit_of_something_else_is_refused():
    with pytest.raises(ValueError, match="'flavour' cannot be edited"):
        Edit("flavour", "sweet")
