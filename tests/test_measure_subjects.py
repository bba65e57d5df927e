"""What judges subjects: it finds them, knows them from their class, and sees marks."""

import pytest
import torch

from course_utils import models, toybox
from course_utils.measure import personalization, subjects
from course_utils.models import pipelines

MINE = personalization.SUBJECT
SEEN, OTHERS = toybox.photo_scenes(MINE, 5, seed=2)
TRUE = toybox.portray(MINE, SEEN + OTHERS)


@pytest.fixture(scope="module")
def carried():
    """The true pictures, once through the VAE."""
    pipe = models.load("text-to-image", "tiny")
    return pipelines.round_trip(pipe.vae, TRUE)


def bare():
    return toybox.portray_layers(MINE, SEEN + OTHERS)[1]


def test_the_subject_is_found_to_the_pixel(carried):
    for images in (TRUE, carried):
        for found, scene in zip(subjects.fit(images, MINE), SEEN + OTHERS, strict=True):
            thing, asked = found.things[0], scene.things[0]
            gaps = [a - b for a, b in zip(thing.centre, asked.centre, strict=True)]
            assert max(map(abs, gaps)) < 1 / 64
            assert abs(thing.scale - asked.scale) < 0.15
            assert abs(thing.turn - asked.turn) < 8


def test_likeness_knows_the_subject_from_its_class(carried):
    scenes = [toybox.Scene([toybox.Thing("star", "yellow", place=p)], "snow")
              for p in ("left", "top", "bottom right")]  # fmt: skip
    stars = subjects.likeness(toybox.render(scenes), MINE)
    assert subjects.likeness(TRUE, MINE).min() > 0.85
    assert subjects.likeness(carried, MINE).min() > 0.8
    assert stars.max() < 0.6 and subjects.likeness(bare(), MINE).max() < 0.6


def test_marks_are_seen_where_they_are_and_nowhere_else(carried):
    assert subjects.marks_present(TRUE, MINE).all()
    assert subjects.marks_present(carried, MINE).float().mean() > 0.9
    assert subjects.marks_present(bare(), MINE).float().mean() < 0.1


def test_a_mark_of_another_colour_is_not_there():
    other = toybox.Subject("star", "yellow", marks=MINE.marks | {"hat": "blue"})
    found = subjects.marks_present(toybox.portray(other, OTHERS), MINE)
    hats = list(MINE.marks).index("hat")
    assert not found[:, hats].any() and found[:, hats + 1 :].all()


def test_prompts_ask_for_grounds_that_no_photo_has():
    scenes = subjects.prompt_scenes(MINE, SEEN)
    assert len(scenes) == 18 and {s.things[0].place for s in scenes} == {*toybox.PLACES}
    assert not {s.ground for s in scenes} & {s.ground for s in SEEN}
    assert len({s.ground for s in scenes}) == len(MINE.contrasts) - len(SEEN)
    plain, named = subjects.prompts(scenes), subjects.prompts(scenes, "sks")
    assert plain[0].startswith("a star") and named[0].startswith("a sks star")
    read = toybox.parse(plain[0])
    assert read["ground"] == scenes[0].ground and read["place"] == ["top left"]


def test_true_pictures_are_as_the_prompts_say_and_shuffled_ones_are_not():
    scenes = subjects.prompt_scenes(MINE, SEEN)
    images = toybox.portray(MINE, scenes)
    assert subjects.prompt_scores(images, scenes)["all"] > 0.95
    assert subjects.prompt_scores(images.roll(4, 0), scenes)["place"] < 0.3


def test_a_class_that_is_one_picture_has_drifted_and_a_varied_one_has_not():
    colours = ["red", "blue", "green", "yellow"]
    varied = toybox.render(
        [toybox.Scene([toybox.Thing("star", c)], "sand") for c in colours]
    )
    same, none = varied[:1].expand(4, -1, -1, -1), torch.zeros_like(varied)
    kept = subjects.class_kept(varied, "star")
    assert kept["right"] == 1 and kept["variety"] == pytest.approx(4)
    assert subjects.drift(varied, varied, "star") == 0
    assert subjects.drift(same, varied, "star") == pytest.approx(0.75)
    assert subjects.drift(none, varied, "star") == 1
    assert subjects.drift(varied, none, "star") == 0, "there was nothing to lose"
    assert subjects.class_kept(varied, "cat")["kept"] == 0


def test_a_card_has_the_means_of_the_last_step():
    rows = [
        dict(way="a", seed=s, steps=n, likeness=s + n) for s in (0, 1) for n in (1, 2)
    ]
    assert personalization.last_rows(rows)[1] == ["a", "2.50", "", "", "", ""]
