"""A field of density and colour: what rays gather in it."""

import math

import pytest
import torch

from course_utils import diffusion
from course_utils.methods.nerf import VoxelField, look_at, ray_weights
from course_utils.methods.perp_neg import perp_neg
from course_utils.toybox import Camera
from course_utils.toybox.solid_render import GROUND


def test_even_fog_dims_as_its_depth_says():
    weights = ray_weights(torch.full((2, 50), 0.7), 0.1)
    torch.testing.assert_close(weights.sum(-1), torch.full((2,), 1 - math.exp(-3.5)))
    assert (weights.diff(dim=-1) < 0).all()  # what stands before hides what is behind


def test_of_two_walls_the_first_is_seen():
    density = torch.zeros(10)
    density[3], density[7] = 100.0, 100.0
    weights = ray_weights(density, 1.0)
    torch.testing.assert_close(weights, torch.eye(10)[3])


def test_transmittance_is_the_product_over_all_samples_before():
    density = torch.rand(8, generator=torch.Generator().manual_seed(0)) * 3
    alpha = 1 - torch.exp(-density * 0.2)
    through = torch.cat([torch.ones(1), (1 - alpha).cumprod(0)[:-1]])
    torch.testing.assert_close(ray_weights(density, 0.2), through * alpha)


def ball_field(radius=0.6):
    field = VoxelField(24)
    axis = torch.linspace(-1.05, 1.05, 24)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    far = (x * x + y * y + z * z).sqrt()
    field.start.copy_((radius - far) * 60)
    with torch.no_grad():
        field.colour.copy_(torch.stack([x, y, z]).sign() * 8)  # 0 or 1 in each octant
    return field


def test_a_ball_looks_like_a_ball_from_everywhere():
    views = [Camera(0.0, 0.0), Camera(130.0, 40.0)]
    with torch.no_grad():
        seen = look_at(ball_field(), views, 32, ambient=1.0)
    areas = (seen.opacity > 0.5).float().mean((1, 2))
    expected = math.pi / 4 * (0.6 / math.sqrt(3.2**2 - 0.6**2) / math.tan(0.349)) ** 2
    torch.testing.assert_close(areas, torch.full((2,), expected), rtol=0.2, atol=0)
    middle = seen.depth[:, 16, 16]
    torch.testing.assert_close(middle, torch.full((2,), 2.6), rtol=0, atol=0.06)
    torch.testing.assert_close(
        seen.images[0, :, 0, 0], torch.tensor(GROUND) * 2 - 1, atol=0.02, rtol=0
    )


def test_its_normals_face_the_camera_and_its_sides_have_their_colours():
    with torch.no_grad():
        seen = look_at(ball_field(), [Camera(0.0, 0.0)], 32, ambient=1.0)
    middle = seen.normal[0, 16, 16] / seen.normal[0, 16, 16].norm()
    assert middle[0] > 0.95  # x points to the front
    left, right = seen.images[0, 1, 14, 10], seen.images[0, 1, 14, 21]
    assert left < -0.8 and right > 0.8  # y, the toy's left, is on the right: green


def test_a_picture_teaches_the_field():
    field = VoxelField(12)
    views, target = [Camera(20.0)], torch.full((1, 3, 16, 16), -0.5)
    optimizer = torch.optim.Adam(field.parameters(), lr=0.2)
    errors = []
    for _ in range(12):
        loss = (look_at(field, views, 16, 16).images - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.6 * errors[0]


def test_too_small_a_grid_is_refused():
    with pytest.raises(ValueError, match="n=2 must be a whole number of at least 4"):
        VoxelField(2)


def of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_perp_neg_without_negatives_is_classifier_free_guidance():
    told, without = of(2, 3, 4), of(2, 3, 4, seed=1)
    found = perp_neg(told, without, [], [], 7.0)
    torch.testing.assert_close(found, diffusion.guidance(told, without, 7.0))


def test_what_is_taken_away_is_at_right_angles_to_what_is_wanted():
    told, without, bad = (of(2, 3, 4, seed=k) for k in range(3))
    away = perp_neg(told, without, [bad], [1.5], 1.0) - told
    inner = (away * (told - without)).flatten(1).sum(1)
    torch.testing.assert_close(inner, torch.zeros(2), atol=1e-4, rtol=0)
    assert (away * (bad - without)).flatten(1).sum(1).max() < 0


def test_a_negative_that_says_the_same_takes_nothing_away():
    told, without = of(2, 3, 4), of(2, 3, 4, seed=1)
    found = perp_neg(told, without, [told], [3.0], 2.0)
    torch.testing.assert_close(found, without + 2 * (told - without))


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one number from 0 on for each of the 1"):
        perp_neg(of(1, 2), of(1, 2), [of(1, 2)], [], 1.0)
