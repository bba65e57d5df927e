"""Reference attention, overlapping windows, and the parts that dance together."""

import copy

import numpy as np
import pytest
import torch

from course_utils import models, toybox
from course_utils.measure import dances
from course_utils.methods import magic_animate, reference_attention
from course_utils.methods.animatediff import new_adapter


@pytest.fixture(scope="module")
def pipe():
    found = models.load("text-to-image", "tiny")
    found.set_progress_bar_config(disable=True)
    return found


@pytest.fixture(scope="module")
def dancer(pipe):
    control = models.load("controlnet", "tiny-controlnet-pose")
    parts = new_adapter(pipe.unet), control, copy.deepcopy(pipe.unet)
    return magic_animate.Dancer(pipe, magic_animate.Animator(pipe.unet, *parts).eval())


def test_a_bank_holds_what_each_self_attention_in_the_middle_and_up_is_given(pipe):
    latents, words = torch.randn(2, 4, 16, 16), torch.randn(2, 5, 128)
    with torch.no_grad():
        bank = reference_attention.written(pipe.unet, latents, words)
    names = [name for name in bank if not name.startswith(("mid_block", "up_blocks"))]
    assert bank.keys() == reference_attention.self_attentions(pipe.unet).keys()
    assert not names and len(bank) == 5
    assert bank["mid_block.attentions.0.transformer_blocks.0.attn1"].shape == (
        2,
        16,
        128,
    )


def test_a_read_attention_is_softmax_over_both(pipe):
    layer = copy.deepcopy(pipe.unet.mid_block.attentions[0].transformer_blocks[0].attn1)
    own, seen = torch.randn(2, 16, 128), torch.randn(2, 16, 128)
    reader = reference_attention._Reader("a", {"a": seen}, layer.processor)
    with torch.no_grad():
        found = reader(layer, own)
        q, both = layer.to_q(own), torch.cat([own, seen], 1)
        k, v = layer.to_k(both), layer.to_v(both)
        q, k, v = (x.unflatten(2, (layer.heads, -1)).transpose(1, 2) for x in (q, k, v))
        weights = (q @ k.mT * layer.scale).softmax(-1)
        wanted = layer.to_out[0]((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_who_reads_its_own_bank_of_equal_rows_is_unchanged(pipe):
    x, t, words = torch.randn(1, 4, 16, 16), torch.tensor([0]), torch.randn(1, 5, 128)
    with torch.no_grad():
        plain = pipe.unet(x, t, words).sample
        bank = reference_attention.written(pipe.unet, x, words)
        with reference_attention.reading(pipe.unet, bank):
            twice = pipe.unet(x, t, words).sample
            other = dict.fromkeys(bank)
            for name, seen in bank.items():
                other[name] = torch.randn_like(seen)
        with reference_attention.reading(pipe.unet, other):
            different = pipe.unet(x, t, words).sample
        again = pipe.unet(x, t, words).sample
    torch.testing.assert_close(twice, plain, atol=1e-4, rtol=1e-3)
    assert (different - plain).abs().max() > 0.01
    assert torch.equal(again, plain)  # the processors are back


@pytest.mark.parametrize("frames, overlap", [(8, 4), (16, 4), (13, 4), (17, 0), (5, 4)])
def test_windows_cover_every_frame_and_overlap(frames, overlap):
    windows = magic_animate.windows_of(frames, 8, overlap)
    assert sorted(set(sum(windows, []))) == list(range(frames))
    for one, two in zip(windows, windows[1:], strict=False):
        assert len(set(one) & set(two)) >= overlap
    assert all(len(w) == min(8, frames) for w in windows)


def test_where_windows_overlap_the_mean_counts():
    def model(x, window):
        return torch.full_like(x, float(window[0]))

    x = torch.zeros(1, 1, 6, 1, 1)
    found = magic_animate.averaged(model, x, [[0, 1, 2, 3], [2, 3, 4, 5]])
    assert found.flatten().tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="leave out frames"):
        magic_animate.averaged(model, x, [[0, 1]])


def test_in_windows_of_one_frame_each_frame_is_drawn_alone(dancer):
    rng = np.random.default_rng(0)
    doll = toybox.sample_dancer(rng)
    row = toybox.perform(doll, toybox.dance("wave", 3))
    pictures, poses = toybox.render([doll]), toybox.poses(row)[None]
    options = dict(steps=2, window=1, overlap=0)
    together = magic_animate.animate(dancer, pictures, poses, **options)
    assert together.shape == (1, 3, 3, 64, 64)
    # its modules add nothing yet, so frames know nothing of each other
    whole = magic_animate.animate(dancer, pictures, poses, steps=2)
    torch.testing.assert_close(together, whole, atol=2e-3, rtol=1e-3)


def test_poses_that_are_pictures_are_refused(dancer):
    picture = torch.zeros(1, 3, 64, 64)
    with pytest.raises(ValueError, match=r"skeletons are in 0\.\.1"):
        magic_animate.animate(dancer, picture, -torch.ones(1, 4, 3, 64, 64))
    with pytest.raises(ValueError, match="skeleton for each frame"):
        magic_animate.animate(dancer, picture, torch.ones(2, 4, 3, 64, 64))
    with pytest.raises(ValueError, match="below length"):
        magic_animate.windows_of(8, 4, 4)


def test_true_dances_are_the_same_doll_and_others_are_not():
    rng = np.random.default_rng(2)
    rows = [
        toybox.perform(toybox.sample_dancer(rng, "test"), toybox.dance("sway", 4))
        for _ in range(4)
    ]
    true = torch.stack([toybox.render(row) for row in rows])
    assert dances.same_doll(true, rows).mean() > 0.9
    assert dances.same_doll(true.roll(1, 0), rows).mean() < 0.3
    assert not dances.seam_error(true, rows, [2]).any()
    jump = true.clone()
    jump[:, 2:] = jump[:, 2:].roll(3, -1)
    assert dances.seam_error(jump, rows, [2]).min() > 0.005
    with pytest.raises(ValueError, match="must name frames"):
        dances.seam_error(true, rows, [0])
    with pytest.raises(ValueError, match="lists of 4 scenes"):
        dances.same_doll(true, rows[:2])
