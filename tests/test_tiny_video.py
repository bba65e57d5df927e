"""What a text-to-video miniature learns from, and what of it learns."""

import functools

import numpy as np
import torch

from course_utils import diffusion, models, toybox
from course_utils.methods import text_to_video as tv
from course_utils.tiny import video
from course_utils.tiny.unet import MEAN_WEIGHT, SCHEDULE


@functools.cache
def tiny():
    return models.load("text-to-image", "tiny")


@functools.cache
def trunk():
    return video.VideoTrunk(tv.as_saved(tv.inflate(tiny().unet, 16)), encoder())


@functools.cache
def encoder():
    return tiny().text_encoder.requires_grad_(True)


def test_what_only_draws_is_frozen_and_each_weight_learns_once():
    groups = video.groups_of(trunk(), 1e-3)
    seen = [p for group in groups for p in group["params"]]
    free = [p for p in trunk().parameters() if p.requires_grad]
    assert len(seen) == len({id(p) for p in seen}) == len(free)
    frozen = [n for n, p in trunk().unet.named_parameters() if not p.requires_grad]
    assert any("resnets" in name for name in frozen)
    assert not any(tv.is_temporal(n) or ".attentions." in n for n in frozen)


def test_what_is_new_learns_faster_and_what_is_zero_without_muon():
    groups = video.groups_of(trunk(), 1e-3)
    rates = {id(p): (g["lr"], g["muon"]) for g in groups for p in g["params"]}
    ends = {id(p) for layer in tv.new_ends(trunk().unet) for p in layer.parameters()}
    for name, p in trunk().unet.named_parameters():
        if p.requires_grad:
            new = 1e-3 if tv.is_temporal(name) else 3e-4
            rate, with_muon = rates[id(p)]
            assert rate == (2e-3 if id(p) in ends else new)
            assert with_muon == (p.ndim > 1 and id(p) not in ends)


def test_captions_say_the_motion_always_and_all_of_the_rest_in_half():
    rng = np.random.default_rng(0)
    some = [toybox.sample_clip(rng) for _ in range(200)]
    said = video.video_captions(some, np.random.default_rng(1))
    found = [toybox.parse_clip(text)[1] for text in said]
    assert found == [clip.motion for clip in some]
    whole = np.mean([a == clip.caption for a, clip in zip(said, some, strict=True)])
    assert 0.4 < whole < 0.6


def in_colours(images):
    """A stand-in for the VAE: means of patches, and their brightness."""
    small = torch.nn.functional.avg_pool2d(images, 4)
    return torch.cat([small, small.mean(1, keepdim=True)], 1)


def test_latents_of_clips_have_channels_first_and_then_frames():
    rng = np.random.default_rng(0)
    some = [toybox.sample_clip(rng) for _ in range(3)]
    found = video.in_clip_latents(in_colours, some)
    assert found.shape == (3, 4, 8, 16, 16)
    frame = in_colours(toybox.film(some[1:2])[0, 5:6])
    torch.testing.assert_close(found[1, :, 5].float(), frame[0], atol=1e-3, rtol=0)


def test_a_batch_is_the_same_for_the_same_generator_and_drops_some_captions():
    def listen(texts):
        return torch.tensor([len(text) for text in texts])

    batch = video.video_batch(in_colours, listen, 40, 12)
    x0, noise, t, words = batch(torch.Generator().manual_seed(0), 0)
    assert x0.shape == noise.shape == (40, 4, 8, 16, 16) and t.shape == (40,)
    again = batch(torch.Generator().manual_seed(0), 0)
    assert torch.equal(again[0], x0) and torch.equal(again[3], words)
    assert 0 < (words == 0).sum() < 16
    assert (noise[:, :, 0] != noise[:, :, 1]).any(), "each frame has noise of its own"


def test_the_loss_is_0_for_who_knows_v_and_all_frames_are_at_one_step():
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 2, 4, 8, 4, 4, generator=generator)
    t = torch.tensor([10, 800])
    v = diffusion.velocity(x0, noise, t, SCHEDULE)
    found = video.video_loss(lambda *_: v, x0, noise, t, None)
    torch.testing.assert_close(found, torch.tensor(0.0), atol=1e-9, rtol=0)
    off = video.video_loss(lambda *_: v + 1, x0, noise, t, None)
    torch.testing.assert_close(off, torch.tensor(float(MEAN_WEIGHT)))
