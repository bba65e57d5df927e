"""What a ControlNet is shown: equal to what is known of a scene, and read back."""

import numpy as np
import pytest
import torch

from course_utils import toybox


def scenes(n, **options):
    rng = np.random.default_rng(0)
    return [toybox.sample(rng, **options) for _ in range(n)]


@pytest.mark.parametrize("kind", toybox.CONDITIONS)
def test_conditions_are_pictures_in_0_to_1(kind):
    found = toybox.condition(kind, scenes(3, toy=["doll", "cat"]), size=32)
    assert found.shape == (3, 3, 32, 32) and found.min() == 0 and 0.5 < found.max() <= 1


def test_edges_and_scribbles_are_the_same_in_every_colour():
    some = scenes(2)
    edges, scribbled = (toybox.condition(k, some) for k in ("edges", "scribble"))
    assert torch.equal(edges[:, :1], toybox.edges(some))
    assert torch.equal(edges[:, 0], edges[:, 2])
    assert torch.equal(scribbled[:, 1:2], toybox.scribbles(some))


def test_a_scribble_differs_by_its_hand():
    some = scenes(2)
    first, second, again = (
        toybox.condition("scribble", some, seed=seed) for seed in (1, 2, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, second)


def test_segments_come_back_from_their_colours():
    classes = torch.arange(18).view(1, 3, 6)
    shown = toybox.coloured(classes)
    assert torch.equal(toybox.uncoloured(shown), classes)
    generator = torch.Generator().manual_seed(0)
    noisy = shown + 0.03 * torch.randn(shown.shape, generator=generator)
    assert torch.equal(toybox.uncoloured(noisy), classes)


def test_only_a_doll_has_a_pose():
    cat, doll = (toybox.Scene([toybox.Thing(toy, "red")]) for toy in ("cat", "doll"))
    assert not toybox.condition("pose", [cat]).any()
    assert toybox.condition("pose", [doll]).any()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="kind='canny' is not one of: edges"):
        toybox.condition("canny", scenes(1))
    with pytest.raises(ValueError, match="whole numbers 0..17"):
        toybox.coloured(torch.full((1, 2, 2), 18))
    with pytest.raises(ValueError, match="whole numbers 0..17"):
        toybox.coloured(torch.zeros(1, 2, 2))
