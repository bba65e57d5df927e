"""Judges of clips: true ones pass, and each planted fault is seen by its judge."""

import functools

import pytest
import torch

from course_utils import toybox
from course_utils.measure import clips as judge
from course_utils.toybox import MOTIONS, Clip, Scene, Thing
from course_utils.toybox.attributes import CELL

KINDS = [*MOTIONS[:8], [m for m in MOTIONS if m.startswith("becomes")]]


@functools.cache
def some():
    """Two clips of each kind, and their frames."""
    found = [
        clip
        for k, kind in enumerate(KINDS)
        for clip in judge.clips_to_ask(2, seed=k, motion=kind)
    ]
    return found, toybox.film(found)


def clip(motion, **look):
    scene = Scene([Thing(**(dict(toy="star", colour="red") | look))], "sand")
    return Clip(scene, motion)


def test_clips_to_ask_are_of_the_split_test_and_the_same_each_time():
    found = judge.clips_to_ask(5, seed=1)
    assert found == judge.clips_to_ask(5, seed=1) != judge.clips_to_ask(5, seed=2)
    assert {clip.split for clip in found} == {"test"}


def test_true_clips_pass_every_judge():
    asked, video = some()
    assert judge.did(video, asked).float().mean() >= 17 / 18
    assert judge.identity(video, asked).float().mean() >= 16 / 18
    assert judge.first_frame_scores(video, asked)["all"] >= 17 / 18
    assert judge.track_error(video, asked).max() < 0.01
    assert judge.flicker(video).mean() < 0.03


def test_a_clip_that_stands_still_did_nothing():
    asked, video = some()
    still = video[:, :1].expand_as(video)
    assert not judge.did(still, asked).any()
    assert judge.identity(still, asked).float().mean() >= 17 / 18
    assert judge.flicker(still).max() == 0


def test_backwards_is_another_motion_except_for_a_jump():
    asked, video = some()
    back = judge.did(video.flip(1), asked)
    jumps = torch.tensor([clip.motion == "jumps" for clip in asked])
    assert back[jumps].all() and not back[~jumps].any()


@pytest.mark.parametrize("way", toybox.DIRECTIONS)
def test_the_direction_is_read(way):
    asked = [clip(f"moves {way}")]
    centres, areas = judge.tracks(toybox.film(asked))
    assert judge.direction_of(centres[0]) == way
    assert judge.direction_of(centres[0, :3]) is None  # less than half a way
    truth = 64 * torch.tensor([s.things[0].centre for s in asked[0].scenes()])
    torch.testing.assert_close(centres[0] - centres[0, :1], truth - truth[:1],
                               atol=1.0, rtol=0)  # fmt: skip
    assert areas.shape == (1, 8)


def test_where_nothing_is_there_is_no_centre_and_half_a_picture_is_lost():
    asked = [clip("moves up")]
    grounds = toybox.grounds.backdrops(64)
    dark = next(ground for ground in grounds if ground.amin() < 0)
    empty = dark.expand(1, 8, -1, -1, -1)
    assert judge.tracks(empty)[0].isnan().all()
    assert judge.track_error(empty, asked).item() == judge.LOST
    assert not judge.did(empty, asked).any()


def test_the_track_error_is_in_pixels_and_forgets_the_start():
    asked = [clip("moves left"), clip("moves right")]
    right, video = toybox.film(asked[1:]), toybox.film(asked)
    off = judge.track_error(torch.cat([right, right]), asked)
    apart = 2 * 64 * CELL * torch.linspace(0, 1, 8)[1:].mean()  # both ways, mean
    torch.testing.assert_close(off, torch.tensor([apart, 0.0]), atol=1.0, rtol=0)
    lower = [clip("moves left", place="bottom"), clip("moves right", place="bottom")]
    assert judge.track_error(video, lower).max() < 1.5


def test_another_toy_in_a_late_frame_is_seen():
    asked = [clip("moves left"), clip("moves left", toy="heart"), clip("jumps")]
    video = toybox.film(asked)
    assert judge.identity(video, asked).all()
    video[0, 5:] = video[1, 5:]
    assert judge.identity(video, asked).tolist() == [False, True, True]
    other = toybox.film([clip("jumps", colour="blue")])
    video[2, 3] = other[0, 3]
    assert judge.identity(video, asked).tolist() == [False, True, False]


def test_a_colour_may_change_where_it_was_said_and_only_there():
    asked = [clip("becomes blue"), clip("jumps")]
    video = toybox.film(asked[:1]).expand(2, -1, -1, -1, -1)
    assert judge.identity(video, asked).tolist() == [True, False]


def test_the_first_frame_is_judged_by_its_words():
    asked = [clip("jumps"), clip("jumps", colour="blue")]
    video = toybox.film(asked)
    assert judge.first_frame_scores(video, asked)["all"] == 1
    assert judge.first_frame_scores(video.flip(0), asked)["colour"] == 0


def test_flicker_is_what_changes_unasked():
    asked = [clip("moves left"), clip("moves right")]
    video = toybox.film(asked)
    noise = 0.1 * torch.randn(video.shape, generator=torch.Generator().manual_seed(0))
    shaky = judge.flicker((video + noise).clamp(-1, 1))
    assert (shaky > 5 * judge.flicker(video)).all()
    apart = torch.stack([video[0], toybox.film([clip("moves left", toy="cat")])[0]])
    mixed = apart[:, ::2].transpose(0, 1).reshape(1, -1, 3, 64, 64)  # cat, star, cat
    assert judge.flicker(mixed) > 3 * judge.flicker(video).mean()


def test_the_toy_is_put_into_the_middle():
    video = toybox.film([clip("moves left")])
    centred = judge.in_the_middle(video, judge.tracks(video)[0])
    at = judge.tracks(centred)[0]
    assert (at - 32).abs().max() < 1


REFUSED = {
    "pictures": (lambda: judge.tracks(torch.zeros(2, 3, 64, 64)), "two frames or more"),
    "one frame": (lambda: judge.flicker(torch.zeros(2, 1, 3, 64, 64)), "two frames"),
    "channels first": (
        lambda: judge.tracks(torch.zeros(2, 3, 8, 64, 64)), r"\(B, F, 3, 64, 64\)"
    ),
    "pairs": (
        lambda: judge.did(torch.zeros(2, 8, 3, 64, 64), [clip("jumps")]),
        "2 videos for 1 clips",
    ),
    "captions": (
        lambda: judge.did(torch.zeros(1, 8, 3, 64, 64), ["a star jumps"]),
        "must hold Clip only, not a str",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_clip_is_refused(name):
    call, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        call()
