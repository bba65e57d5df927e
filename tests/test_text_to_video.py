"""From pictures to clips: the inflated UNet, its temporal layers, and what draws."""

import functools

import pytest
import torch
import torch.nn.functional as F

from course_utils import models
from course_utils.methods import text_to_video as tv
from course_utils.methods.attention import attend
from course_utils.models.pipelines import draw
from course_utils.tiny.pipelines import video_pipeline


@functools.cache
def tiny():
    found = models.load("text-to-image", "tiny")
    found.set_progress_bar_config(disable=True)
    return found


@functools.cache
def deep():
    return tv.inflate(tiny().unet).eval()


def inputs(frames=3, n=2):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, frames, 16, 16, generator=generator)
    words = torch.randn(n, 5, 128, generator=generator)
    return x, torch.tensor([10, 700][:n]), words


@torch.no_grad()
def frame_by_frame(x, t, words):
    frames = [tiny().unet(frame, t, words).sample for frame in x.unbind(2)]
    return torch.stack(frames, 2)


@torch.no_grad()
def test_inflated_it_draws_each_frame_as_the_picture_model():
    torch.testing.assert_close(
        deep()(*inputs()).sample, frame_by_frame(*inputs()), atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_heads_of_another_size_draw_something_else_and_nobody_complains():
    right = frame_by_frame(*inputs())
    wrong = tv.as_saved(tv.inflate(tiny().unet, 4)).eval()
    assert (wrong(*inputs()).sample - right).abs().max() > 0.1
    heads = wrong.down_blocks[1].attentions[0].transformer_blocks[0].attn1.heads
    assert heads == 96 // 4


def test_what_is_new_starts_at_zero_and_all_else_is_copied():
    ends = tv.new_ends(deep())
    assert len(ends) > 15 and not any(p.any() for e in ends for p in e.parameters())
    old, new = tiny().unet.state_dict(), deep().state_dict()
    assert all(torch.equal(x.flatten(), new[k].flatten()) for k, x in old.items())
    assert all(map(tv.is_temporal, set(new) - set(old)))


def trained_conv():
    torch.manual_seed(0)
    layer = deep().down_blocks[0].temp_convs[0].__class__(96, 96, norm_num_groups=32)
    torch.nn.init.normal_(layer.conv4[-1].weight, std=0.1)
    return layer.eval()


@torch.no_grad()
def test_a_temporal_convolution_is_four_kernels_along_the_frames():
    layer, x = trained_conv(), torch.randn(2, 96, 5, 4, 4)
    y = x
    for part in (layer.conv1, layer.conv2, layer.conv3, layer.conv4):
        y = F.pad(F.silu(part[0](y)), (0, 0, 0, 0, 1, 1))
        w = part[-1].weight[..., 0, 0]
        y = sum(torch.einsum("oc,bcfhw->bofhw", w[..., k], y[:, :, k : k + 5])
                for k in range(3)) + part[-1].bias.view(-1, 1, 1, 1)  # fmt: skip
    theirs = layer(x.transpose(1, 2).flatten(0, 1), num_frames=5)
    theirs = theirs.unflatten(0, (2, 5)).transpose(1, 2)
    torch.testing.assert_close(x + y, theirs, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_flat_convolution_computes_the_same_numbers():
    layer, x = trained_conv(), torch.randn(3, 96, 4, 5)
    slow = layer(x, num_frames=3)
    fast = tv.quicker(layer)
    assert isinstance(fast.conv4[-1], tv.FlatConv)
    torch.testing.assert_close(fast(x, num_frames=3), slow, atol=1e-5, rtol=1e-5)


def along_time(x):
    """(B, C, F, h, w) as temporal attention gets it: (B h w, F, C)."""
    return x.permute(0, 3, 4, 2, 1).flatten(0, 2)


@torch.no_grad()
def test_temporal_attention_is_attention_among_the_frames_of_a_place():
    layer = deep().down_blocks[1].temp_attentions[0].transformer_blocks[0].attn1
    x = along_time(torch.randn(2, 96, 5, 3, 3))
    query, key, value = (
        part(x).unflatten(-1, (layer.heads, -1)).transpose(1, 2)
        for part in (layer.to_q, layer.to_k, layer.to_v)
    )
    ours = layer.to_out[0](attend(query, key, value)[0].transpose(1, 2).flatten(2))
    torch.testing.assert_close(ours, layer(x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_attention_has_no_order_and_convolution_has():
    attention = deep().down_blocks[1].temp_attentions[0]
    torch.manual_seed(1)
    torch.nn.init.normal_(attention.proj_out.weight, std=0.1)
    x = torch.randn(6, 96, 4, 4)  # one clip of six frames
    for layer, blind in ((attention, True), (trained_conv(), False)):

        def look(frames, layer=layer):
            found = layer(frames, num_frames=6)
            return getattr(found, "sample", found)

        both = look(x.flip(0)).flip(0), look(x)
        assert torch.allclose(*both, atol=1e-4) is blind
    torch.nn.init.zeros_(attention.proj_out.weight)


def test_the_pipeline_draws_the_pictures_of_tiny_from_the_same_noise():
    pipe = video_pipeline(deep(), tiny().text_encoder, tiny().vae, tiny().tokenizer)
    said = ["a red cat on the sand"]
    [clip] = tv.draw_clips(pipe, said, frames=2, steps=3)
    assert clip.shape == (2, 3, 64, 64)
    noise = torch.randn(4, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    options = dict(num_inference_steps=3, guidance_scale=3.0, output_type="pt")
    drawn = tiny()(said * 2, latents=noise.transpose(0, 1), **options).images
    torch.testing.assert_close(clip, drawn * 2 - 1, atol=2e-4, rtol=0)


def test_a_clip_depends_on_its_own_seed_and_caption_only():
    pipe = video_pipeline(deep(), tiny().text_encoder, tiny().vae, tiny().tokenizer)
    two = tv.draw_clips(pipe, ["a red cat", "a blue star"], frames=2, steps=2)
    one = tv.draw_clips(pipe, ["a blue star"], frames=2, steps=2, seed=1)
    torch.testing.assert_close(two[1:], one, atol=1e-4, rtol=0)
    assert draw(tiny(), ["a red cat"], 2).shape == two[0, :1].shape


REFUSED = {
    "heads of many numbers": (
        lambda: tv.inflate(different(attention_head_dim=(2, 4, 8))), "one number"
    ),
    "one text": (lambda: tv.draw_clips(tiny(), "a cat"), "a list of at least one text"),
    "no text": (lambda: tv.draw_clips(tiny(), []), "a list of at least one text"),
    "no frame": (lambda: tv.draw_clips(tiny(), ["a cat"], frames=0), "frames"),
    "another config": (
        lambda: tv.copy_into(torch.nn.Linear(1, 1), tiny().unet), "3-D UNet has no"
    ),
}  # fmt: skip


def different(**config):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_config(dict(tiny().unet.config) | config)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_the_cure(name):
    call, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        call()
