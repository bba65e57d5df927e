"""Pictures and their answers: masks, edges, depth and the rest agree with pixels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils import toybox
from course_utils.toybox import Scene, Thing
from course_utils.toybox.grounds import backdrops
from course_utils.toybox.palette import COLOURS


def scenes(n, seed=0, **choices):
    rng = np.random.default_rng(seed)
    return [toybox.sample(rng, **choices) for _ in range(n)]


def erode(mask, by=1):
    return -F.max_pool2d(-mask.float(), 2 * by + 1, 1, by) > 0.5


def dilate(mask, by=1):
    return F.max_pool2d(mask.float(), 2 * by + 1, 1, by) > 0.5


@pytest.mark.parametrize("size", [16, 33, 64, 128])
def test_pictures_have_the_asked_size_and_range(size):
    pictures = toybox.render(scenes(8), size)
    assert pictures.shape == (8, 3, size, size) and pictures.dtype == torch.float32
    assert pictures.min() >= -1 and pictures.max() <= 1


def test_drawing_is_reproducible_and_does_not_depend_on_the_batch():
    some = scenes(12)
    together = toybox.render(some)
    alone = torch.cat([toybox.render([scene]) for scene in some])
    assert torch.equal(together, toybox.render(some))
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=0)


def test_masks_are_what_is_drawn():
    some = scenes(64)
    masks = toybox.masks(some)
    bare = backdrops(64)[[list(toybox.GROUNDS).index(s.ground) for s in some]]
    differs = (toybox.render(some) - bare).abs().amax(1) > 0
    shown = masks.any(1)
    assert masks.dtype == torch.bool
    assert not (differs & ~dilate(shown[:, None])[:, 0]).any()  # nothing outside
    inside = erode(shown[:, None])[:, 0]
    assert (differs | ~inside).float().mean() > 0.99  # all of the inside


def test_the_inside_of_a_plain_shape_has_its_colour():
    for toy in toybox.SHAPES:
        for colour, rgb in COLOURS.items():
            scene = Scene([Thing(toy, colour)], "plain lilac")
            inside = erode(toybox.masks([scene]))[0, 0]
            pixels = toybox.render([scene])[0][:, inside]
            expected = torch.tensor(rgb)[:, None] * 2 - 1
            torch.testing.assert_close(pixels, expected.expand_as(pixels))


def test_the_same_scene_is_the_same_picture_at_every_size():
    some = scenes(16)
    fine, coarse = toybox.render(some, 256), toybox.render(some, 64)
    assert (F.avg_pool2d(fine, 4) - coarse).abs().mean() < 0.02
    small = F.avg_pool2d(toybox.masks(some, 256).float(), 4)
    clear = (small < 0.2) | (small > 0.8)
    assert ((small > 0.5) == toybox.masks(some, 64))[clear].float().mean() > 0.999


@pytest.mark.parametrize("toy", toybox.ATTRIBUTES["toy"])
def test_every_toy_is_at_least_16_pixels_and_stays_in_the_picture(toy):
    for size in ("small", "big"):
        for place in toybox.PLACES:
            mask = toybox.masks([Scene([Thing(toy, "red", size, place=place)])], 64)
            rows, columns = mask[0, 0].any(1).nonzero(), mask[0, 0].any(0).nonzero()
            extent = max(len(rows), len(columns))
            assert extent >= 16 and min(len(rows), len(columns)) >= 12
            assert rows.min() > 0 and rows.max() < 63
            assert columns.min() > 0 and columns.max() < 63


def test_toys_do_not_touch():
    masks = toybox.masks(scenes(200, things=2) + scenes(100, things=3))
    assert masks.sum(1).max() <= 1
    grown = dilate(masks)
    assert (grown.sum(1) > 1).float().mean() < 1e-3


def test_silhouettes_differ_at_16_pixels():
    shapes = [
        toybox.masks([Scene([Thing(toy, "red", scale=2.0)])], 16)[0, 0]
        for toy in toybox.ATTRIBUTES["toy"]
    ]
    for k, a in enumerate(shapes):
        for b in shapes[:k]:
            assert (a & b).sum() / (a | b).sum() < 0.9


def test_every_attribute_of_a_thing_shows():
    base = {"toy": "cat", "colour": "red", "size": "big", "pattern": "plain"}
    base |= {"place": "middle", "mood": "happy"}
    one = toybox.render([Scene([Thing(**base)])])
    for name in base:
        for value in toybox.ATTRIBUTES[name]:
            if value == base[name] or name == "toy":
                continue
            other = toybox.render([Scene([Thing(**(base | {name: value}))])])
            assert ((one - other).abs().amax(1) > 0.2).sum() > 12, (name, value)


def test_near_things_hide_far_ones():
    far = Thing("square", "red")
    near = Thing("circle", "blue", "small", place="right", shift=(-0.2475, 0.0))
    scene = Scene([far, near])
    masks = toybox.masks([scene])[0]
    alone = toybox.masks([Scene([far])])[0, 0]
    assert not (masks[0] & masks[1]).any()
    assert torch.equal(masks.any(0), alone)
    depth = toybox.depth([scene])[0, 0]
    assert depth[32, 32] == 1 and depth[masks[0]].unique() == 0.5 and depth[0, 0] == 0


def test_segmentation_names_the_toys():
    some = scenes(20)
    segments, masks = toybox.segmentation(some), toybox.masks(some)
    for b, scene in enumerate(some):
        for k, thing in enumerate(scene.things):
            number = 1 + toybox.ATTRIBUTES["toy"].index(thing.toy)
            assert (segments[b][masks[b, k]] == number).all()
    assert ((segments > 0) == masks.any(1)).all()


@pytest.mark.parametrize("lines, width", [(toybox.edges, 2), (toybox.scribbles, 5)])
def test_lines_follow_the_outlines_of_the_masks(lines, width):
    some = scenes(30)
    drawn = lines(some)
    assert drawn.shape == (30, 1, 64, 64) and drawn.min() >= 0 and drawn.max() <= 1
    masks = toybox.masks(some)
    rim = (dilate(masks, width) & ~erode(masks, width)).any(1, keepdim=True)
    line = drawn > 0.5
    assert (line & ~rim).sum() < 0.01 * line.sum()
    outline = (dilate(masks) & ~masks).any(1, keepdim=True)
    assert (dilate(drawn > 0.4, width) & outline).sum() > 0.95 * outline.sum()


def test_scribbles_shake_anew_with_every_seed():
    some = scenes(4)
    assert torch.equal(toybox.scribbles(some, seed=1), toybox.scribbles(some, seed=1))
    assert not torch.equal(
        toybox.scribbles(some, seed=1), toybox.scribbles(some, seed=2)
    )


def test_keypoints_lie_on_their_toys():
    some = [
        Scene([Thing(t, "red", s)])
        for t in toybox.ATTRIBUTES["toy"]
        for s in ("small", "big")
    ]
    some += scenes(30, toy="doll", things=1)
    points, masks = toybox.keypoints(some, 128), dilate(toybox.masks(some, 128), 2)
    assert points.shape == (len(some), 1, 6, 2)
    for b, scene in enumerate(some):
        for x, y in points[b, 0].long().tolist():
            assert masks[b, 0, y, x], (scene.things[0].toy, x, y)


def test_missing_things_have_no_mask_and_no_keypoints():
    some = [Scene([Thing("cat", "red")]), scenes(1, things=3)[0]]
    assert toybox.masks(some).shape[1] == 3
    assert not toybox.masks(some)[0, 1:].any()
    assert toybox.keypoints(some)[0, 1:].isnan().all()


def test_a_half_turn_turns_the_picture():
    thing = Thing("duck", "red", pattern="plain")
    turned = Thing("duck", "red", turn=180.0)
    one, other = (toybox.render([Scene([t])]) for t in (thing, turned))
    torch.testing.assert_close(one, other.flip(2, 3), atol=1e-3, rtol=0)


def test_half_a_thing_may_leave_the_picture():
    half_out = Scene([Thing("circle", "red", place="left", shift=(-0.25, 0.0))])
    assert toybox.masks([half_out])[0, 0, :, 0].any()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: toybox.render([]), "scenes is empty"),
        (
            lambda: toybox.render(scenes(1), 4),
            "size=4 must be a whole number",
        ),
    ],
)
def test_bad_requests_are_refused_with_the_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_picture():
    some = scenes(32)
    drawn = toybox.render(some, device="cuda")
    torch.testing.assert_close(drawn.cpu(), toybox.render(some), atol=1e-4, rtol=0)
