"""Close-ups: one toy fills the picture, most of how it looks is free, up is up."""

import numpy as np
import pytest
import torch

from course_utils import toybox
from course_utils.toybox.closeups import CloseUps


def some(n=18, toy=None, seed=0):
    return toybox.sample_closeups(n, torch.Generator().manual_seed(seed), toy)


def test_they_are_pictures_and_repeatable():
    images = toybox.render_closeups(some())
    assert images.shape == (18, 3, 48, 48) and images.abs().max() <= 1
    torch.testing.assert_close(images, toybox.render_closeups(some()))


def test_a_picture_does_not_depend_on_its_company():
    album = some()
    whole = toybox.render_closeups(album)
    alone = toybox.render_closeups(album.of(slice(3, 4)))
    torch.testing.assert_close(whole[3:4], alone)


def test_another_size_is_the_same_picture_sampled_finer():
    fine = toybox.render_closeups(some(), 96)
    coarse = torch.nn.functional.avg_pool2d(fine, 2)
    assert (coarse - toybox.render_closeups(some(), 48)).abs().mean() < 0.02


def test_captions_say_the_truth():
    album = some(60)
    captions = toybox.closeup_captions(album, np.random.default_rng(0), keep=1.0)
    for k, caption in enumerate(captions):
        said = toybox.parse(caption)
        assert said["toy"] == [toybox.DRAWN[album.toy[k]]]
        assert said["colour"] == [list(toybox.COLOURS)[album.colour[k]]]
        if said["toy"][0] in toybox.FACES:
            assert said["mood"] == ["sad" if album.sad[k] else "happy"]


def test_the_toy_alone_is_a_caption():
    captions = toybox.closeup_captions(some(9, "cat"), np.random.default_rng(0), 0.0)
    assert captions == ["a cat"] * 9


def test_the_toy_has_the_colour_that_is_said():
    album = some(40, "tree")
    plain = album._replace(
        free=torch.full_like(album.free, 0.5), blots=torch.full_like(album.blots, 0.9)
    )
    seen = toybox.render_closeups(plain)[:, :, 12:18, 22:26].mean((2, 3))
    named = torch.tensor(list(toybox.COLOURS.values())) * 2 - 1
    assert torch.equal(torch.cdist(seen, named).argmin(1), album.colour)


def test_free_numbers_change_the_picture_and_not_the_caption():
    album = some(4, "cat")
    other = album._replace(free=1 - album.free)
    first, second = (
        toybox.closeup_captions(x, np.random.default_rng(0)) for x in (album, other)
    )
    assert first == second
    change = toybox.render_closeups(album) - toybox.render_closeups(other)
    assert change.abs().mean() > 0.1


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="star.*no close-up.*cat"):
        some(1, "star")
    with pytest.raises(ValueError, match="size"):
        toybox.render_closeups(some(1), 8)
    with pytest.raises(ValueError, match="numpy Generator"):
        toybox.closeup_captions(some(1), None)
    assert isinstance(some(1), CloseUps)
