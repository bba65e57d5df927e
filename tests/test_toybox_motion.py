"""Clips: the toy is where the motion says, and captions say it both ways."""

import math

import numpy as np
import pytest
import torch

from course_utils import toybox
from course_utils.toybox import MOTIONS, Clip, Scene, Thing
from course_utils.toybox.attributes import CELL
from course_utils.toybox.motion import GROWTH, JUMP, TURN


def clip(motion, ground="sand", **look):
    return Clip(
        Scene([Thing(**(dict(toy="star", colour="red") | look))], ground), motion
    )


def centres(some, frames=8):
    return torch.tensor([s.things[0].centre for s in some.scenes(frames)])


@pytest.mark.parametrize("way", toybox.DIRECTIONS)
def test_a_toy_moves_by_one_place_in_equal_steps(way):
    at = centres(clip(f"moves {way}"))
    step = torch.tensor(toybox.DIRECTIONS[way]) * CELL / 7
    torch.testing.assert_close(at.diff(dim=0), step.expand(7, 2), atol=1e-6, rtol=0)
    there = {"up": "top", "down": "bottom"}.get(way, way)
    assert clip(f"moves {way}").last.things[0].place == there


def test_a_jump_is_a_parabola_that_ends_where_it_began():
    at = centres(clip("jumps"), frames=9)
    s = torch.linspace(0, 1, 9)
    torch.testing.assert_close(at[0, 1] - at[:, 1], JUMP * 4 * s * (1 - s))
    assert at[:, 0].unique().numel() == 1


def test_it_turns_by_a_quarter_and_grows_by_what_makes_small_big():
    turns = [s.things[0].turn for s in clip("turns").scenes(4)]
    assert turns == [0, TURN / 3, 2 * TURN / 3, TURN]
    grown = clip("grows", size="small")
    widths = [s.things[0].scale for s in grown.scenes(3)]
    assert math.isclose(widths[2], GROWTH) and math.isclose(widths[1] ** 2, widths[2])
    assert grown.last.things[0].size == "big"
    big = toybox.render([clip("grows", size="small").last])
    gap = toybox.film([grown])[:, -1] - big
    assert gap.abs().max() < 1e-4


def test_a_colour_fades_in_and_is_there_at_last():
    some = clip("becomes blue")
    video = toybox.film([some], 5)[0]
    ends = toybox.render([some.scene, some.last])
    torch.testing.assert_close(video[2], ends.mean(0))
    torch.testing.assert_close(video[[0, -1]], ends)
    assert some.last.things[0].colour == "blue"


def test_the_first_frame_is_the_scene_and_clips_do_not_mix():
    rng = np.random.default_rng(0)
    some = [toybox.sample_clip(rng) for _ in range(6)]
    video = toybox.film(some, 3)
    assert video.shape == (6, 3, 3, 64, 64)
    torch.testing.assert_close(video[:, 0], toybox.render([c.scene for c in some]))
    torch.testing.assert_close(video[4:5], toybox.film(some[4:5], 3))


@pytest.mark.parametrize("motion", MOTIONS)
def test_what_a_caption_says_is_read_back(motion):
    rng = np.random.default_rng(MOTIONS.index(motion))
    for _ in range(8):
        some = toybox.sample_clip(rng, motion=motion)
        said, found = toybox.parse_clip(some.caption)
        assert found == motion and said == toybox.parse(some.scene.caption)
        words = toybox.describe_clip(some, rng)
        said, found = toybox.parse_clip(words)
        assert found == motion, words
        assert said["toy"] in ([None], some.scene.attributes["toy"])


def test_moves_and_moving_are_the_same():
    told = [toybox.parse_clip(f"a red star {m}") for m in ("moves up", "moving up.")]
    assert told[0] == told[1] == (toybox.parse("a red star"), "moves up")


def test_a_split_counts_the_last_colour_too():
    toy, colour = next(iter(toybox.HELD_OUT.items()))
    rng = np.random.default_rng(0)
    for split in ("train", "test", "unseen"):
        assert toybox.sample_clip(rng, split).split == split
    others = [k for k in toybox.COLOURS if k != colour]
    for ground in toybox.GROUNDS:
        able = [k for k in (colour, *others) if k in toybox.ALLOWED[ground]]
        if able[0] == colour and len(able) > 1:
            some = clip(f"becomes {colour}", ground, toy=toy, colour=able[1])
            assert some.split == "unseen"
            break


def test_half_of_all_clips_move():
    rng = np.random.default_rng(0)
    found = [toybox.sample_clip(rng).motion for _ in range(300)]
    share = np.mean([m.startswith("moves") for m in found])
    assert 0.35 < share < 0.6 and {m.split()[0] for m in found} == {
        m.split()[0] for m in MOTIONS
    }


REFUSED = {
    "flies": (lambda: clip("flies"), "motion='flies' is not one of: moves left"),
    "no room": (lambda: clip("moves left", place="left"), "no room to move left"),
    "no sky": (lambda: clip("jumps", place="top right"), "no room to jump"),
    "a round toy": (lambda: clip("turns", toy="ring"), "nobody sees a ring turn"),
    "big": (lambda: clip("grows", size="big"), "the toy is big already"),
    "small": (lambda: clip("shrinks", size="small"), "the toy is small already"),
    "red": (lambda: clip("becomes red"), "the toy is red already"),
    "into the ground": (
        lambda: clip("becomes yellow"), "yellow vanishes into this ground, sand"
    ),
    "two actors": (
        lambda: Clip(
            Scene([Thing("cat", "red"), Thing("car", "blue", place="top")]), "jumps"
        ),
        "one toy: a clip has one actor",
    ),
    "no scene": (lambda: Clip("a red cat", "jumps"), "must be a Scene with one toy"),
    "one frame": (lambda: clip("jumps").scenes(1), "frames"),
    "no clips": (lambda: toybox.film([]), "clips must be a list of Clip"),
    "a scene": (lambda: toybox.film([Scene([Thing("cat", "red")])]), "not a Scene"),
    "a split": (
        lambda: toybox.sample_clip(np.random.default_rng(0), "all"), "split='all'"
    ),
    "a word": (
        lambda: toybox.sample_clip(np.random.default_rng(0), motion="flies"),
        "motion='flies'",
    ),
    "nothing left": (
        lambda: toybox.sample_clip(
            np.random.default_rng(0), motion="jumps", place="top"
        ),
        "found no clip with .*: widen the choice",
    ),
    "still": (lambda: toybox.parse_clip("a red star"), "does not end in a motion"),
    "sideways": (lambda: toybox.parse_clip("a star moves away"), "in a motion"),
    "no text": (lambda: toybox.parse_clip(7), "caption must be a text"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_with_the_cure(name):
    call, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        call()
