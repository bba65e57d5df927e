"""Dolls with legs, and what they do with them."""

import dataclasses

import numpy as np
import pytest
import torch

from course_utils import toybox
from course_utils.toybox import Scene, Thing
from course_utils.toybox.dance import KEY


def test_a_dance_reaches_each_key_pose_and_repeats():
    keys = toybox.DANCES["kick"]
    moves = toybox.dance("kick", 4 * KEY * 2)
    np.testing.assert_allclose(moves[::KEY], [*keys, *keys])
    halfway = (np.array(keys[0]) + keys[1]) / 2
    np.testing.assert_allclose(moves[KEY // 2], halfway)


def test_a_standing_leg_and_a_raised_one_are_where_the_angle_says():
    doll = Thing("doll", "red", "big", scale=1.0, legs=(0.0, 90.0))
    points = toybox.keypoints([Scene([doll])])[0, 0]
    half = doll.width / 2 * 64
    at = [32 + half * x for x in (-0.2, 0.36 + 0.46)]
    torch.testing.assert_close(points[4], torch.tensor(at))
    at = [32 + half * x for x in (0.2 + 0.46, 0.36)]
    torch.testing.assert_close(points[5], torch.tensor(at))


def test_the_leg_is_painted_where_its_point_is():
    rng = np.random.default_rng(0)
    doll = toybox.sample_dancer(rng, pattern="plain", ground="plain cream")
    for legs in ((0, 0, 0, 85), (0, 0, 85, 0)):
        scene = toybox.perform(doll, [legs])[0]
        x, y = toybox.keypoints([scene])[0, 0, 5 if legs[3] else 4].round().int()
        still = toybox.perform(doll, [(0, 0, 0, 0)])[0]
        moved, stands = toybox.render([scene, still])
        assert (moved - stands)[:, y, x].abs().max() > 0.2


def test_a_doll_without_legs_is_drawn_as_before_beside_one_with_them():
    without = Scene([Thing("doll", "red", "big", "dotted", pose=(30.0, -30.0))])
    thing = dataclasses.replace(without.things[0], legs=(0.0, 40.0), colour="blue")
    together = toybox.render([without, Scene([thing])])
    torch.testing.assert_close(together[:1], toybox.render([without]))


def test_a_performance_changes_the_limbs_and_nothing_else():
    scene = toybox.sample_dancer(np.random.default_rng(1), "test")
    assert scene.split == "test"
    for frame in toybox.perform(scene, toybox.dance("march", 5)):
        assert frame.caption == scene.caption
    random = toybox.random_dance(np.random.default_rng(0), 30)
    assert random.shape == (30, 4) and random[:, 2:].min() >= 0


def test_impossible_dances_are_refused():
    with pytest.raises(ValueError, match="jumping jack, wave"):
        toybox.dance("tango")
    with pytest.raises(ValueError, match="left arm, right arm"):
        toybox.dance([(0, 0)])
    with pytest.raises(ValueError, match=r"legs in 0\.\.90"):
        toybox.dance([(0, 0, -5, 0)])
    with pytest.raises(ValueError, match="must show one doll"):
        toybox.perform(Scene([Thing("cat", "red")]), [(0, 0, 0, 0)])
    with pytest.raises(ValueError, match="are for dolls"):
        Thing("cat", "red", legs=(0.0, 0.0))
    with pytest.raises(ValueError, match="are for dolls, and lie in"):
        Thing("doll", "red", legs=(0.0, 91.0))
