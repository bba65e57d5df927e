"""DreamFusion: who is asked what, and how a thing in the round is judged."""

import math

import pytest
import torch

from course_utils import models, toybox
from course_utils.measure import solids
from course_utils.methods import dreamfusion
from course_utils.methods.nerf import Pictured, VoxelField
from course_utils.models import pipelines
from course_utils.tiny import dreams
from course_utils.toybox.solid import Camera, Solid
from course_utils.toybox.solid_render import see_solids

ROBOT = Solid("robot", "red")


@pytest.fixture(scope="module")
def pipe():
    return models.load("text-to-image", "tiny-views")


def of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_each_view_is_asked_with_its_word_or_with_none(pipe):
    x_t, t = of(1, 4, 16, 16), torch.tensor([600])
    told = dreamfusion.view_models(pipe, "a red robot", guidance=3.0)
    plain = dreamfusion.view_models(pipe, "a red robot", words=False, guidance=3.0)
    back = pipelines.guided(pipe, ["back view of a red robot"], 3.0)(x_t, t)
    torch.testing.assert_close(told["back"](x_t, t), back)
    torch.testing.assert_close(plain["back"](x_t, t), plain["front"](x_t, t))
    assert not torch.allclose(plain["back"](x_t, t), back)


@torch.no_grad()
def test_perp_neg_leaves_the_front_as_it_is_and_changes_the_others(pipe):
    x_t, t = of(1, 4, 16, 16), torch.tensor([600])
    options = dict(words=False, guidance=3.0)
    plain = dreamfusion.view_models(pipe, "a red robot", **options)
    pushed = dreamfusion.view_models(pipe, "a red robot", away=1.0, **options)
    torch.testing.assert_close(pushed["front"](x_t, t), plain["front"](x_t, t))
    assert not torch.allclose(pushed["side"](x_t, t), plain["side"](x_t, t))
    none = dreamfusion.view_models(pipe, "a red robot", away=1e-9, **options)
    torch.testing.assert_close(none["side"](x_t, t), plain["side"](x_t, t))


def test_latents_are_the_pipelines_own_and_have_gradients(pipe):
    images = (of(2, 3, 64, 64) * 0.3).clamp(-1, 1).requires_grad_()
    latents = dreamfusion.to_latents(pipe, images)
    theirs = pipelines.encode(pipe.vae, images.detach())
    torch.testing.assert_close(latents, theirs)
    latents.sum().backward()
    assert images.grad.any()
    assert dreamfusion.to_latents(pipe, images[:, :, :32, :32]).shape == theirs.shape


def test_a_dream_moves_the_field_and_can_be_repeated(pipe):
    told = dreamfusion.view_models(pipe, "a red robot")
    fields = []
    for _ in range(2):
        *_, last = dreamfusion.dream_field(pipe, told, 2, seed=3, size=16, samples=8)
        fields.append(last.field)
    assert last.step == 2 and fields[0].thickness.any()
    torch.testing.assert_close(fields[0].thickness, fields[1].thickness)


def test_negative_weights_and_no_steps_are_refused(pipe):
    with pytest.raises(ValueError, match="away=-1 must be 0"):
        dreamfusion.view_models(pipe, "a red robot", away=-1)
    with pytest.raises(ValueError, match="steps=0 must be a whole number"):
        next(dreamfusion.dream_field(pipe, {}, 0))


def test_twelve_cameras_stand_off_the_borders_of_words():
    views = solids.around()
    assert [v.azimuth for v in views] == [15 + 30 * k for k in range(12)]
    words = [v.word for v in views]
    assert [words.count(w) for w in ("front", "side", "back")] == [2, 8, 2]
    with pytest.raises(ValueError, match="n=0 must be a whole number"):
        solids.around(0)


def test_true_renders_are_read_right_and_a_poster_has_a_face_everywhere():
    views = solids.around()
    true = toybox.render_solids([ROBOT] * 12, views)
    assert solids.view_accuracy(solids.views_read(true), views) == 1.0
    poster = solids.views_read(true[:1].repeat(12, 1, 1, 1))
    assert solids.janus_score(poster, views) == 1.0
    assert solids.view_accuracy(poster, views) == pytest.approx(2 / 12)


def test_only_fronts_that_are_none_count_for_janus():
    views = [Camera(0.0), Camera(90.0), Camera(180.0), Camera(-90.0)]
    assert solids.janus_score(["front", "front", "side", "back"], views) == 1 / 3
    assert solids.janus_score(["side", "side", "back", "side"], views) == 0
    with pytest.raises(ValueError, match="all are fronts"):
        solids.janus_score(["front"], [Camera(0.0)])
    with pytest.raises(ValueError, match="2 words and views 1 cameras"):
        solids.view_accuracy(["front", "back"], [Camera(0.0)])


def test_silhouettes_are_compared_view_by_view():
    mask = torch.zeros(2, 8, 8, dtype=torch.bool)
    mask[:, :4] = True
    opacity = mask.float()
    assert solids.silhouette_iou(opacity, mask) == 1.0
    opacity[1] = 0.0
    opacity[1, 2:6] = 0.9  # 16 of 48 in both
    assert solids.silhouette_iou(opacity, mask) == pytest.approx((1 + 1 / 3) / 2)
    with pytest.raises(ValueError, match="of the same cameras"):
        solids.silhouette_iou(opacity[:1], mask)


def test_depth_counts_where_both_are():
    mask = torch.tensor([[[True, True, False]]])
    seen = Pictured(
        torch.zeros(1, 3, 1, 3),
        torch.tensor([[[1.0, 0.0, 1.0]]]),
        torch.tensor([[[2.5, 9.0, 9.0]]]),
        torch.zeros(1, 1, 3, 3),
    )
    depth = torch.tensor([[[2.0, 2.0, math.inf]]])
    assert solids.depth_error(seen, depth, mask) == 0.5
    assert solids.depth_error(seen, depth, ~mask & (depth < 0)) == math.inf


def test_the_true_solid_on_a_grid_has_nearly_its_silhouette_and_its_depth():
    views = [Camera(20.0, 10.0), Camera(140.0, 30.0)]
    seen = solids.turntable(solids.field_of(ROBOT), views)
    truth = see_solids([ROBOT] * 2, views)
    assert solids.silhouette_iou(seen.opacity, truth.mask) > 0.88
    assert solids.depth_error(seen, truth.depth, truth.mask) < 0.06
    cat = see_solids([Solid("cat", "red")] * 2, views)
    assert solids.silhouette_iou(seen.opacity, cat.mask) < 0.8


def test_a_page_of_slices_keeps_what_is_seen_of_a_field():
    field = solids.field_of(ROBOT, 16)
    back = dreams.from_page(dreams.to_page(field))
    views = [Camera(30.0)]
    before, after = (solids.turntable(f, views) for f in (field, back))
    torch.testing.assert_close(after.opacity, before.opacity, atol=0.03, rtol=0)
    torch.testing.assert_close(after.images, before.images, atol=0.08, rtol=0)
    with pytest.raises(ValueError, match="10 slices fills no page"):
        dreams.to_page(VoxelField(10))
