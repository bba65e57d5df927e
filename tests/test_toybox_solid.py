"""Toys in the round: where rays meet them, what views are called, what is refused."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils import toybox
from course_utils.toybox import SOLIDS, VIEWS, Camera, Solid
from course_utils.toybox.solid import EVENLY, MOSTLY_FRONT
from course_utils.toybox.solid_render import GROUND, camera_rays, default_lights
from course_utils.toybox.solid_shapes import FAR, ball, block, rod, taper

PARTS = {
    "ball": ball("body", (0.1, 0.2, -0.1), (0.5, 0.3, 0.4), 20),
    "cylinder": rod("body", (0.1, 0.2, -0.4), (0.3, -0.1, 0.5), 0.3),
    "cone": rod("body", (0.0, 0.0, -0.5), (0.1, 0.0, 0.5), 0.4, 0.2),
    "block": block("body", (0.1, 0.0, 0.0), (0.5, 0.3, 0.2), 0.3),
    "taper": taper("body", (0.0, 0.0, -0.4), (0.1, 0.0, 0.3), (0.5, 0.4), (0.2, 0.1)),
}


def rays(n, seed=0):
    """n rays from a sphere of radius 3 towards the middle."""
    g = torch.Generator().manual_seed(seed)
    start = 3 * F.normalize(torch.randn(n, 3, generator=g), dim=1)
    return start, F.normalize(0.6 * torch.randn(n, 3, generator=g) - start, dim=1)


def test_a_ball_is_met_where_its_equation_says():
    start, way = torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([[-1.0, 0.0, 0.0]])
    t, n = ball("body", (0.0, 0.0, 0.0), 0.5).enter(start, way)
    torch.testing.assert_close(t, torch.tensor([2.5]))
    torch.testing.assert_close(n, torch.tensor([[1.0, 0.0, 0.0]]))


@pytest.mark.parametrize("name", PARTS)
def test_rays_enter_where_points_begin_to_lie_inside(name):
    part, (start, way) = PARTS[name], rays(400)
    t, _ = part.enter(start, way)
    steps = torch.linspace(0, 6, 1201)
    inside = part.holds(start[:, None] + steps[:, None] * way[:, None])
    first = inside.float().argmax(1) * 0.005
    hit = inside.any(1)
    assert hit.sum() > 50 and (t[hit] < FAR).all()
    assert ((first - t)[hit] > -1e-4).all() and ((first - t)[hit] < 0.0051).all()
    assert (t[~hit] < FAR).float().mean() < 0.03  # rays that graze it


@pytest.mark.parametrize("name", PARTS)
def test_normals_point_outwards_and_no_part_goes_beyond_its_reach(name):
    part, (start, way) = PARTS[name], rays(400, 1)
    t, n = part.enter(start, way)
    hit = t < FAR
    at, n = (start + t[:, None] * way)[hit], n[hit]
    torch.testing.assert_close(n.norm(dim=1), torch.ones(len(n)))
    assert ((n * way[hit]).sum(1) < 1e-4).all()
    assert not part.holds(at + 1e-3 * n).any()
    assert part.holds(at - 1e-3 * n).float().mean() > 0.97  # but for sharp edges
    assert (at - part.centre).norm(dim=1).max() <= part.reach + 1e-5


@pytest.mark.parametrize("toy", SOLIDS)
def test_masks_agree_with_what_is_inside(toy):
    solid, view = Solid(toy, "red"), Camera(40.0, 25.0)
    seen = toybox.see_solids([solid], [view], 32)
    start, ways = camera_rays([view], 32)
    steps = torch.linspace(2, 4.4, 241)[:, None]
    points = start[:, None, None, None] + steps * ways[..., None, :]
    inside = toybox.solid_holds(solid, points)
    assert (inside.any(-1) == seen.mask).float().mean() > 0.99
    both = inside.any(-1) & seen.mask
    first = 2 + 0.01 * inside.float().argmax(-1)
    assert (first - seen.depth)[both].abs().median() < 0.011


@pytest.mark.parametrize("toy", SOLIDS)
def test_front_and_back_differ_and_the_toy_fills_the_picture(toy):
    views = [Camera(az, 10.0) for az in (0.0, 180.0)]
    front, back = toybox.render_solids([Solid(toy, "blue")] * 2, views)
    mask = toybox.see_solids([Solid(toy, "blue")] * 2, views, 64).mask
    assert (front - back).abs().mean(0)[mask.any(0)].mean() > 0.1
    assert 0.08 < mask.float().mean() < 0.6
    assert not (mask[:, 0].any() or mask[:, -1].any() or mask[:, :, 0].any())


def test_shading_is_the_equation_and_ambient_1_shows_the_albedo():
    albedo, n = torch.full((1, 3), 0.8), torch.tensor([[0.0, 0.0, 1.0]])
    slanting = torch.tensor([[0.0, math.sin(1.0), math.cos(1.0)]])
    lit = toybox.lambertian(albedo, n, slanting, 0.4)
    torch.testing.assert_close(lit, albedo * (0.4 + 0.6 * math.cos(1.0)))
    torch.testing.assert_close(
        toybox.lambertian(albedo, n, -slanting, 0.4), albedo * 0.4
    )
    toys, views = [Solid("car", "red")], [Camera()]
    flat = toybox.render_solids(toys, views, 32, ambient=1)
    seen = toybox.see_solids(toys, views, 64)
    expected = F.avg_pool2d(seen.albedo.permute(0, 3, 1, 2), 2) * 2 - 1
    torch.testing.assert_close(flat, expected)
    torch.testing.assert_close(flat[0, :, 0, 0], torch.tensor(GROUND) * 2 - 1)


def test_a_batch_draws_what_single_calls_draw():
    toys = [Solid("car", "red"), Solid("duck", "blue"), Solid("car", "green")]
    views = [Camera(10.0), Camera(200.0, 70.0), Camera(90.0, 0.0, 4.0)]
    alone = [
        toybox.render_solids([t], [v], 16) for t, v in zip(toys, views, strict=True)
    ]
    torch.testing.assert_close(toybox.render_solids(toys, views, 16), torch.cat(alone))


def test_what_is_on_the_left_of_the_toy_is_on_the_right_of_its_front_view():
    toys = [Solid("house", "blue")]  # its chimney stands to its left
    mask = toybox.see_solids(toys, [Camera(0.0, 10.0)], 64).mask[0]
    top = mask[: mask.any(1).nonzero()[0, 0] + 3].any(0).nonzero()
    assert top.float().mean() > 32


def test_views_have_the_words_of_their_sectors():
    words = [
        toybox.view_word(a) for a in (0, 29, -29, 31, 90, 270, 149, 151, 180, -179)
    ]
    assert words == ["front"] * 3 + ["side"] * 4 + ["back"] * 3
    assert toybox.view_word(0, 61) == "overhead" and Camera(725.0).word == "front"
    assert toybox.view_word(44, sector=90) == "front"
    said = toybox.view_caption(Solid("car", "orange"), Camera(180.0))
    assert said == "back view of an orange car"


def test_random_views_come_as_often_as_they_should():
    rng = np.random.default_rng(0)
    for shares in (MOSTLY_FRONT, EVENLY):
        words = [toybox.sample_view(rng, shares).word for _ in range(2000)]
        found = [words.count(word) / 2000 for word in VIEWS]
        assert np.abs(np.array(found) - shares).max() < 0.04


def test_lights_stand_over_the_left_shoulder():
    light = default_lights([Camera(0.0, 15.0)])[0]
    assert light[2] > 0.7 and light[0] > 0.3 and light[1] < 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Solid("cow", "red"), "toy='cow' is not one of: car, duck"),
        (lambda: Solid("car", "beige"), "colour='beige' is not one of"),
        (lambda: Camera(math.nan), "must be finite"),
        (lambda: Camera(0, 91), "elevation=91 must lie"),
        (lambda: Camera(0, 0, 1.0), "the camera would be in the toy"),
        (lambda: toybox.view_word(0, sector=200), "sector=200"),
        (lambda: toybox.view_caption(Solid("car", "red"), "top"), "view='top' is not"),
        (lambda: toybox.sample_view(7), "numpy Generator"),
        (
            lambda: toybox.sample_view(np.random.default_rng(0), (1, 1, 0, 0)),
            "add to 1",
        ),
        (
            lambda: toybox.render_solids(Solid("car", "red"), [Camera()]),
            "list of Solid",
        ),
        (lambda: toybox.render_solids([Solid("car", "red")], [0.0]), "Camera only"),
        (
            lambda: toybox.render_solids([Solid("car", "red")], [Camera()] * 2),
            "one view",
        ),
        (lambda: toybox.render_solids([Solid("car", "red")], [Camera()], 4), "size=4"),
        (
            lambda: toybox.render_solids([Solid("car", "red")], [Camera()], ambient=2),
            "ambient must be",
        ),
        (
            lambda: toybox.render_solids(
                [Solid("car", "red")], [Camera()], light=torch.ones(3)
            ),
            "light has shape",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
