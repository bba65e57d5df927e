"""The toybox shows nothing that cannot be, and says what to do instead."""

import math

import numpy as np
import pytest
import torch

from course_utils import toybox
from course_utils.toybox import Edit, Scene, Thing

CAT = Thing("cat", "red")


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "look, message",
    [
        (dict(toy=None), "toy=None is not one of: circle"),
        (dict(toy=["cat"]), r"toy=\['cat'\] is not one of"),
        (dict(colour=None), "colour=None is not one of: red"),
        (dict(place=None), "place=None is not one of"),
        (dict(scale=0), "scale=0 must be above 0 and at most 2"),
        (dict(scale=-1.0), "scale=-1.0 must be above 0"),
        (dict(scale=math.nan), "nan: scale, turn, shift, pose and legs must be finite"),
        (dict(scale="big"), "'big': scale, turn"),
        (dict(turn=math.inf), "inf: scale, turn"),
        (dict(shift=(0.6, 0.0)), "out of the picture: a shift is a share"),
        (dict(shift=(0.0, -5)), "at the middle out of the picture"),
        (dict(shift=0.1), "shift=0.1 must be two numbers"),
        (dict(shift=(0.1,)), "must be two numbers"),
        (dict(pose=(100.0, 0.0)), r"must lie in -90\.\.90 degrees"),
        (dict(pose=(0.0, math.nan)), "nan: scale"),
    ],
)
def test_a_thing_that_no_picture_can_show_is_refused(look, message):
    with pytest.raises(ValueError, match=message):
        Thing(**({"toy": "cat", "colour": "red"} | look))


@pytest.mark.parametrize(
    "things, message",
    [
        ([CAT, Thing("car", "blue")], "two toys at one place, 'middle'"),
        ([{"toy": "cat", "colour": "red"}], "must be a list of Thing, such as"),
        (CAT, "must be a list of Thing"),
        (None, "must be a list of Thing"),
        ("cat", "must be a list of Thing"),
        ([], "a scene has 1, 2 or 3, not 0"),
    ],
)
def test_a_scene_is_a_list_of_things_each_at_its_place(things, message):
    with pytest.raises(ValueError, match=message):
        Scene(things)


PICTURES = "render masks edges scribbles segmentation depth keypoints poses".split()


@pytest.mark.parametrize("draw", [getattr(toybox, name) for name in PICTURES])
def test_pictures_are_drawn_of_a_list_of_scenes(draw):
    for wrong in (Scene([CAT]), None, [CAT], [{}], "a red cat"):
        with pytest.raises(ValueError, match="scenes must be a list of Scene"):
            draw(wrong)
    with pytest.raises(ValueError, match="scenes is empty: give at least one"):
        draw([])
    for size in (0, 64.0, None):
        with pytest.raises(ValueError, match="must be a whole number of at least 8"):
            draw([Scene([CAT])], size)


def test_a_relation_can_be_chosen():
    some = [toybox.sample(g, relation="above") for g in [rng()] for _ in range(40)]
    assert {s.attributes["relation"] for s in some} == {"above"}
    assert {len(s.things) for s in some} == {2}


@pytest.mark.parametrize(
    "choices, message",
    [
        (dict(relation="above", things=3), "is of two toys: things must be 2"),
        (dict(relation="below"), "relation='below' is not one of: left of, above"),
        (dict(toy=[]), r"toy=\[\] leaves no choice"),
        (dict(toy=None), "toy=.* leaves no choice"),
        (dict(toy={"cat": 1}), "leaves no choice"),
        (dict(toy="car", mood="sad"), "none of the toys .* has a face"),
        (dict(things=2, count=2), "things and count are the same"),
        (dict(things=2.5), "count=2.5 is not one of"),
        (dict(rng=None), r"rng must be a numpy Generator.*default_rng\(0\), not None"),
        (dict(rng=3), "rng must be a numpy Generator"),
    ],
)
def test_a_sample_honours_every_choice_or_refuses_it(choices, message):
    with pytest.raises(ValueError, match=message):
        toybox.sample(**({"rng": rng()} | choices))


@pytest.mark.parametrize(
    "caption, message",
    [
        ("a happy car", "mood='happy': a car has no face; these have one: cat, bunny"),
        ("a cat and two sad boats", "a boat has no face"),
        ("a cat at the top and a car at the top", "two toys at one place, 'top'"),
        (None, "a caption is a text, one str, not None"),
        (["a cat"], "a caption is a text"),
    ],
)
def test_what_parse_reads_a_scene_can_be(caption, message):
    with pytest.raises(ValueError, match=message):
        toybox.parse(caption)


ONE = {"toy": ["cat"], "count": 1}


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: toybox.say(None), "said must be like Scene.attributes"),
        (lambda: toybox.say({"colour": ["red"], "count": 1}), "with toys"),
        (lambda: toybox.say({"toy": "cat", "count": 1}), "toy must be a list"),
        (lambda: toybox.say({"toy": ["dragon"], "count": 1}), "toy='dragon' is not"),
        (lambda: toybox.leave_out(ONE, None), "rng must be a numpy Generator"),
        (lambda: toybox.leave_out(ONE, rng(), 1.5), "keep=1.5 must be a share"),
        (lambda: toybox.describe(Scene([CAT]), rng(), math.nan), "keep=nan must be"),
        (lambda: toybox.describe(None, rng()), "scene must be one Scene.*not None"),
        (lambda: toybox.imagine("a cat", 0), "rng must be a numpy Generator"),
        (lambda: toybox.graded("a cat", ONE), "asked must be a dict with a count"),
        (lambda: toybox.graded(ONE, None), "seen must be a dict with a count"),
        (lambda: toybox.relation_of([3, 99]), "numbers of places"),
        (lambda: toybox.scribbles([Scene([CAT])], seed=-1), "seed=-1 must be"),
    ],
)
def test_words_are_of_attributes_that_there_are(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: toybox.apply(None, "make it red"), "scene must be one Scene"),
        (lambda: toybox.apply(Scene([CAT]), None), "edit must be an Edit or an instr"),
        (lambda: toybox.parse_edit(None), "instruction must be a text"),
        (lambda: toybox.instruct("make it red"), "edit must be an Edit"),
        (lambda: toybox.random_edit(Scene([CAT]), None), "rng must be a numpy"),
        (lambda: toybox.random_edit(Scene([CAT]), rng(), "taste"), "cannot be edited"),
        (lambda: Edit(["toy"], "cat"), "cannot be edited"),
        (lambda: Edit("colour", None), "colour=None is not one of"),
        (lambda: Edit("colour", "red", "cat"), "target must be a dict"),
        (lambda: Edit("colour", "red", {"place": "left"}), "must say which toy"),
        (lambda: Edit("add", {"colour": "red"}), "must say which toy to add"),
        (lambda: Edit("add", {"toy": "cat", "taste": 1}), "a toy has no 'taste'"),
        (lambda: Edit("remove", "cat"), "to remove a toy, name it in target"),
    ],
)
def test_an_edit_says_what_it_changes(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_poses_are_drawn_of_dolls_only():
    doll = Thing("doll", "red", pose=(90.0, -90.0))
    drawn = toybox.poses([Scene([doll]), Scene([CAT])])
    assert drawn.shape == (2, 3, 64, 64) and drawn.min() >= 0 and drawn.max() <= 1
    assert not drawn[1].any()
    joints = toybox.keypoints([Scene([doll])])[0, 0].long()
    lit = torch.nn.functional.max_pool2d(drawn[:1], 3, 1, 1)[0].amax(0)
    assert all(lit[y, x] > 0.5 for x, y in joints.tolist())
    left, right = joints[2], joints[3]
    assert left[1] < right[1]  # the left arm is up, the right one down
