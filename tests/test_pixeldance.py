"""How a clip begins and ends: hints, and a UNet that listens to them."""

import pytest
import torch

from course_utils import models, schedules, toybox
from course_utils.diffusion.solvers import dpm_sample
from course_utils.measure import hints
from course_utils.measure.clips import clips_to_ask
from course_utils.methods import pixeldance
from course_utils.methods.instruct_pix2pix import widen
from course_utils.methods.text_to_video import as_saved, inflate
from course_utils.tiny.pipelines import video_pipeline

SCHEDULE = schedules.linear()


@pytest.fixture(scope="module")
def pipe():
    tiny = models.load("text-to-image", "tiny")
    deep = widen(as_saved(inflate(tiny.unet, 16)))
    return video_pipeline(deep, tiny.text_encoder, tiny.vae, tiny.tokenizer)


def test_hints_are_first_frame_zeros_last_frame():
    first, last = torch.randn(2, 2, 4, 3, 3)
    found = pixeldance.hints_of(first, last, 5)
    assert found.shape == (2, 4, 5, 3, 3)
    assert torch.equal(found[:, :, 0], first) and torch.equal(found[:, :, -1], last)
    assert not found[:, :, 1:-1].any()
    assert not pixeldance.hints_of(first, None, 5)[:, :, 1:].any()


def test_in_training_the_last_hint_is_one_of_the_final_three_rough_or_left_out():
    frames = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(4000, 4, 8, 2, 2)
    generator = torch.Generator().manual_seed(0)
    found = pixeldance.training_hints(frames, SCHEDULE, generator)
    assert torch.equal(found[:, :, 0], frames[:, :, 0])
    assert not found[:, :, 1:-1].any()
    last = found[:, :, -1].mean((1, 2, 3))
    left_out = (found[:, :, -1] == 0).all(-1).all(-1).all(-1)
    assert left_out.float().mean().item() == pytest.approx(0.25, abs=0.03)
    shown = last[~left_out]
    assert 4 < shown.mean() < 7  # of 5, 6 and 7, made a little smaller by the noise
    assert found[~left_out][:, :, -1].flatten(1).std(1).min() > 0  # rough
    never = pixeldance.training_hints(frames[:9], SCHEDULE, generator, dropped=0.0)
    assert never[:, :, -1].flatten(1).any(1).all()


def test_before_it_learns_a_hint_changes_nothing(pipe):
    first, other = torch.randn(2, 1, 4, 16, 16)
    x, t = torch.randn(1, 4, 4, 16, 16), torch.tensor([500])
    options = dict(frames=4, guidance=2.0, tau=0.5)
    models_of = [
        pixeldance.hinted(pipe, ["a red star"], hint, other, **options)
        for hint in (first, other)
    ]
    with torch.no_grad():
        torch.testing.assert_close(models_of[0](x, t), models_of[1](x, t))


def test_the_last_frame_is_looked_at_in_the_first_tau_of_the_sampling_only(pipe):
    seen = []
    keep = pipe.unet.conv_in.register_forward_pre_hook(
        lambda layer, given: seen.append(given[0][:, 4:].abs().amax((1, 2, 3)))
    )
    first = torch.zeros(1, 4, 16, 16)
    last = torch.ones(1, 4, 16, 16)
    options = dict(frames=4, guidance=1.5, tau=0.6)
    model = pixeldance.hinted(pipe, ["a red star"], first, last, **options)
    with torch.no_grad():
        for t in (999, 400, 399, 0):
            model(torch.randn(1, 4, 4, 16, 16), torch.tensor([t]))
    keep.remove()
    assert [bool(x.any()) for x in seen] == [True, True, False, False]


def test_clips_that_go_on_begin_where_the_last_one_ended(pipe, monkeypatch):
    begun = []

    def draw(pipe, prompts, first, *, frames, seed):
        begun.append((first.mean().item(), seed))
        return first[:, None] + torch.arange(frames).view(1, -1, 1, 1, 1)

    monkeypatch.setattr(pixeldance, "draw_between", draw)
    long = pixeldance.draw_long(pipe, [["x"]] * 3, torch.zeros(1, 3, 4, 4), frames=4)
    assert long[0, :, 0, 0, 0].tolist() == list(range(10))
    assert begun == [(0.0, 0), (3.0, 1000), (6.0, 2000)]


def test_what_cannot_be_drawn_is_refused(pipe):
    picture = torch.zeros(1, 3, 64, 64)
    with pytest.raises(ValueError, match="2 prompts: pass one for each"):
        pixeldance.draw_between(pipe, ["a", "b"], picture)
    with pytest.raises(ValueError, match="must be a share of the sampling"):
        pixeldance.draw_between(pipe, ["a"], picture, tau=1.5)
    with pytest.raises(ValueError, match="frames"):
        pixeldance.draw_between(pipe, ["a"], picture, frames=1)
    with pytest.raises(ValueError, match="a list of parts"):
        pixeldance.draw_long(pipe, ["a"], picture)


def test_true_clips_score_best_and_a_blend_is_worse_in_the_middle():
    some = clips_to_ask(12, motion=toybox.MOTIONS[:4])
    true = toybox.film(some)
    best = hints.between_scores(true, some)
    assert best["first"] == float("inf") and best["middle"] == 0 and best["last"] == 1
    blend = hints.between_scores(hints.blend(true[:, 0], true[:, -1]), some)
    assert blend["first"] == float("inf") and blend["middle"] > 0.01
    still = true[:, :1].expand_as(true)
    assert hints.last_right(still, some) == 0  # the toy has not moved on


@pytest.mark.parametrize("predicts", ["noise", "v"])
def test_what_is_held_ends_as_it_was_given_and_the_rest_as_it_would(predicts):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(2, 4, 3, 3, generator=generator)
    x = torch.randn(2, 4, 5, 3, 3, generator=generator)

    def model(x_t, t):
        return 0.3 * x_t

    options = dict(num_steps=6, predicts=predicts)
    free = dpm_sample(model, x, SCHEDULE, **options)
    kept = pixeldance.held(model, first, SCHEDULE, predicts)
    found = dpm_sample(kept, x, SCHEDULE, **options)
    torch.testing.assert_close(found[:, :, 0], first, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[:, :, 1:], free[:, :, 1:])
    assert (free[:, :, 0] - first).abs().max() > 0.1


def test_a_sketch_is_a_disc_where_the_toy_will_be_and_the_truth_follows_it():
    kinds = ["cat", "boat", "star"]
    clips = clips_to_ask(6, motion=toybox.MOTIONS[:4], toy=kinds)
    drawn = hints.sketched(clips)
    assert drawn.shape == (6, 3, 64, 64)
    true = toybox.film(clips)
    assert hints.sketch_scores(true, clips) == {"place": 1.0, "toy": 1.0}
    still = true[:, :1].expand_as(true)
    assert hints.sketch_scores(still, clips) == {"place": 0.0, "toy": 1.0}
    copied = true.clone()
    copied[:, -1] = drawn
    found = hints.sketch_scores(copied, clips)
    assert found["place"] == 1.0 and found["toy"] == 0.0
    with pytest.raises(ValueError, match="videos for"):
        hints.sketch_scores(true[:2], clips)
