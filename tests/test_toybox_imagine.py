"""Imagined scenes are as their captions say."""

import numpy as np
import pytest

from course_utils import toybox


def test_a_full_caption_gives_its_scene_back():
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = toybox.sample(rng)
        assert toybox.imagine(scene.caption, rng).attributes == scene.attributes


def test_what_a_description_says_is_true_of_the_imagined_scene():
    rng = np.random.default_rng(1)
    for _ in range(500):
        text = toybox.describe(toybox.sample(rng), rng)
        said, scene = toybox.parse(text), toybox.imagine(text, rng)
        for name, value in said.items():
            actual = scene.attributes[name]
            if isinstance(value, list):
                actual = [
                    a if v is not None else None
                    for v, a in zip(value, actual, strict=True)
                ]
            assert actual == value, text


def test_what_is_not_said_varies_and_shows():
    rng = np.random.default_rng(2)
    some = [toybox.imagine("two cats", rng) for _ in range(40)]
    assert len({s.ground for s in some}) > 8
    for scene in some:
        first, second = scene.things
        assert first.colour == second.colour in toybox.ALLOWED[scene.ground]


@pytest.mark.parametrize(
    "caption, message",
    [
        ("a sad car", "a car has no face"),
        ("a cat at the left and a car at the left", "two toys at one place, 'left'"),
        ("a cat at the left and a car above a duck", "for two toys, not 3"),
        ("a purpel cat", "did you mean purple"),
    ],
)
def test_the_impossible_is_refused(caption, message):
    with pytest.raises(ValueError, match=message):
        toybox.imagine(caption, np.random.default_rng(0))
