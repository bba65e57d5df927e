"""Captions say what a scene is, and parsing is their exact inverse."""

import numpy as np
import pytest

from course_utils import toybox
from course_utils.toybox import Scene, Thing
from course_utils.toybox.words import leave_out


def scenes(n, split="train", seed=0, **choices):
    rng = np.random.default_rng(seed)
    return [toybox.sample(rng, split, **choices) for _ in range(n)]


@pytest.mark.parametrize("split", ["train", "test", "unseen"])
def test_a_caption_gives_every_attribute_back(split):
    for scene in scenes(700, split):
        assert toybox.parse(scene.caption) == scene.attributes


def test_describing_leaves_out_at_random_and_says_nothing_else():
    rng = np.random.default_rng(1)
    for scene in scenes(3000, seed=2):
        said = leave_out(scene.attributes, rng)
        assert toybox.parse(toybox.say(said, rng)) == said
        for name, value in said.items():
            whole = scene.attributes[name]
            if isinstance(value, list):
                value, whole = (
                    value,
                    [
                        w if v is not None else None
                        for v, w in zip(value, whole, strict=True)
                    ],
                )
            assert value == whole


@pytest.mark.parametrize("keep", [0.75, 0.2, 0.0])
def test_what_a_description_says_is_true_of_the_scene(keep):
    rng = np.random.default_rng(5)
    for scene in scenes(500, seed=6):
        for name, value in toybox.parse(toybox.describe(scene, rng, keep)).items():
            truth = scene.attributes[name]
            if not isinstance(value, list):
                assert value == truth
            else:
                pairs = zip(value, truth, strict=True)
                assert all(said in (None, true) for said, true in pairs)


def test_the_less_is_kept_the_shorter_the_description():
    rng = np.random.default_rng(0)
    some = scenes(200, seed=7, things=1)
    lengths = [
        sum(len(toybox.describe(scene, rng, keep).split()) for scene in some)
        for keep in (1.0, 0.75, 0.2, 0.0)
    ]
    assert lengths == sorted(lengths, reverse=True)
    said = [toybox.parse(toybox.describe(scene, rng, 0.0)) for scene in some]
    assert sum(set(x) == {"toy", "count"} for x in said) > 150  # few keep a ground


def test_descriptions_of_one_scene_vary():
    scene, rng = scenes(1, things=2)[0], np.random.default_rng(0)
    assert len({toybox.describe(scene, rng) for _ in range(50)}) > 30


def test_a_caption_reads_like_english():
    cat = Thing("cat", "orange", "big", "outlined", "top left", "sad")
    car = Thing("car", "red", "small", place="bottom right")
    assert Scene([cat, car], "snow").caption == (
        "a big sad outlined orange cat at the top left and "
        "a small plain red car at the bottom right in the snow"
    )
    fish = [Thing("fish", "blue", place=p) for p in ("left", "right")]
    assert Scene(fish, "fading mint").caption == (
        "two big plain blue fish, one at the left and one at the right, "
        "on a fading mint ground"
    )


def test_captions_are_short():
    for scene in scenes(500):
        longest = {1: 16, 2: 28, 3: 40}[len(scene.things)]
        assert len(scene.caption.split()) <= longest


def test_every_word_is_in_the_vocabulary():
    rng = np.random.default_rng(0)
    for scene in scenes(300):
        for text in (scene.caption, toybox.describe(scene, rng)):
            assert set(text.replace(",", "").split()) <= set(toybox.VOCABULARY)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a red cat", {"toy": ["cat"], "colour": ["red"], "count": 1}),
        ("Two little stars.", {"toy": ["star"] * 2, "size": ["small"] * 2, "count": 2}),
        ("a rabbit on the beach", {"toy": ["bunny"], "ground": "sand", "count": 1}),
        (
            "a car to the right of a cat with stripes",
            {
                "toy": ["cat", "car"],
                "pattern": ["striped", None],
                "count": 2,
                "relation": "left of",
            },
        ),
        (
            "a striped star on a mint background",
            {
                "toy": ["star"],
                "pattern": ["striped"],
                "ground": "plain mint",
                "count": 1,
            },
        ),
    ],
)
def test_free_wording_is_understood(text, expected):
    assert toybox.parse(text) == expected


def test_toys_in_known_places_come_in_reading_order():
    said = toybox.parse("a cat at the bottom and a fish at the top")
    assert said["toy"] == ["fish", "cat"] and said["relation"] == "above"


@pytest.mark.parametrize(
    "text, message",
    [
        ("a rde cat", "unknown word 'rde'.*did you mean red"),
        ("a xylophone", "unknown word 'xylophone'.*toybox.VOCABULARY"),
        ("", "has 0 toys"),
        ("red", "says 'red' of nothing"),
        ("a cat a car a duck a fish", "has 4 toys"),
        ("a red blue cat", "two values for one colour: red and blue"),
        ("a mint cat", "'mint' is for grounds, not for a cat"),
        ("a cat in the sea in the snow", "two values for one ground"),
        ("a cat at the top at the left", "two places for one cat"),
        ("a cat on a red ground", "no such ground"),
        ("a cat left of a car above a duck", "two values for one relation"),
        ("a cat above a car in the sky left", None),
        ("a cat at the left right of a car at the right", "contradict"),
    ],
)
def test_nonsense_is_refused_in_plain_words(text, message):
    if message is None:
        assert toybox.parse(text)["place"] == [None, "left"]
        return
    with pytest.raises(ValueError, match=message):
        toybox.parse(text)
