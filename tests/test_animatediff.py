"""Motion modules: silent at first, frozen beside, plugged in, saved and loaded."""

import functools

import pytest
import torch
from diffusers import MotionAdapter

from course_utils import models
from course_utils.methods import animatediff
from course_utils.methods.text_to_video import draw_clips
from course_utils.models.pipelines import draw


@functools.cache
def tiny():
    found = models.load("text-to-image", "tiny")
    found.set_progress_bar_config(disable=True)
    return found


def adapter(moved=False):
    """A new one; `moved` as if it had been trained."""
    found = animatediff.new_adapter(tiny().unet, longest=8)
    if moved:
        torch.manual_seed(3)
        for layer in animatediff.adapter_ends(found):
            torch.nn.init.normal_(layer.weight, std=0.05)
    return found.eval()


def inputs(frames=3):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, frames, 16, 16, generator=generator)
    words = torch.randn(2, 5, 128, generator=generator)
    return x, torch.tensor([10, 700]), words


@torch.no_grad()
def test_untrained_it_draws_each_frame_as_the_picture_model():
    x, t, words = inputs()
    whole = animatediff.moving(tiny().unet, adapter()).eval()
    ours = whole(x, t, words.repeat_interleave(3, 0)).sample
    frames = [tiny().unet(frame, t, words).sample for frame in x.unbind(2)]
    torch.testing.assert_close(ours, torch.stack(frames, 2), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_motion_module_knows_the_order_of_frames():
    x, t, words = inputs()
    whole = animatediff.moving(tiny().unet, adapter(moved=True)).eval()
    words = words.repeat_interleave(3, 0)
    back = whole(x.flip(2), t, words).sample.flip(2)
    assert (back - whole(x, t, words).sample).abs().max() > 0.01


def test_motion_alone_learns_and_the_rest_is_frozen_to_the_bit():
    learner = animatediff.Mover(tiny().unet, tiny().text_encoder, adapter())
    groups = animatediff.groups_of_motion(learner.unet, 1e-2)
    seen = [p for group in groups for p in group["params"]]
    names = [n for n, p in learner.named_parameters() if p.requires_grad]
    assert len(seen) == len({id(p) for p in seen}) == len(names)
    assert all("motion_modules" in name for name in names)
    before = {n: p.clone() for n, p in learner.named_parameters()}
    x, t, _ = inputs()
    guess = learner(x, t, torch.zeros(2, 5, dtype=torch.long))
    assert guess.shape == x.shape
    guess.square().mean().backward()
    torch.optim.SGD(seen, 0.1).step()
    moved = {n for n, p in learner.named_parameters() if not torch.equal(p, before[n])}
    assert moved and moved <= set(names)
    assert all(name.split(".proj_out")[0] != name for name in moved), "zero ends first"


def test_it_copies_what_it_is_given():
    given = adapter()
    whole = animatediff.moving(tiny().unet, given)
    ends = [p for layer in animatediff.adapter_ends(whole) for p in layer.parameters()]
    with torch.no_grad():
        for p in ends:
            p.add_(1.0)
    layers = animatediff.adapter_ends(given)
    assert not any(p.any() for layer in layers for p in layer.parameters())


def test_saved_and_loaded_it_is_the_same(tmp_path):
    whole = animatediff.moving(tiny().unet, adapter(moved=True))
    animatediff.save_adapter(whole, tmp_path)
    again = MotionAdapter.from_pretrained(tmp_path, use_safetensors=True)
    pairs = zip(again.state_dict().values(), adapter(moved=True).state_dict().values(),
                strict=True)  # fmt: skip
    assert all(torch.equal(a, b) for a, b in pairs)
    assert again.config.motion_max_seq_length == 8
    loaded = models.load("motion", tmp_path)
    assert isinstance(loaded, MotionAdapter)


def test_in_a_pipeline_it_is_plugged_in_and_silent_draws_tinys_pictures():
    said = ["a red cat on the sand"]
    pipe = animatediff.animated(tiny(), adapter())
    [clip] = draw_clips(pipe, said, frames=2, steps=3)
    noise = torch.randn(4, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    options = dict(num_inference_steps=3, guidance_scale=3.0, output_type="pt")
    drawn = tiny()(said * 2, latents=noise.transpose(0, 1), **options).images
    torch.testing.assert_close(clip, drawn * 2 - 1, atol=2e-4, rtol=0)
    loud = animatediff.animated(tiny(), adapter(moved=True))
    assert (draw_clips(loud, said, frames=2, steps=3)[0] - clip).abs().max() > 0.1
    assert draw(tiny(), said, 2).shape == (1, 3, 64, 64)  # what it came from still is


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="longest"):
        animatediff.new_adapter(tiny().unet, longest=1)
    with pytest.raises(ValueError, match="cannot do task='motion'"):
        models.load("motion", "tiny")
