"""InstructPix2Pix: the wider UNet, both guidances, equal to diffusers' pipeline."""

import functools

import pytest
import torch

from course_utils import models, toybox
from course_utils.methods import instruct_pix2pix as ip2p
from course_utils.models.pipelines import encode
from course_utils.tiny.pipelines import instruct_pipeline


@functools.cache
def tiny():
    return models.load("text-to-image", "tiny")


@functools.cache
def pipe():
    """An InstructPix2Pix whose picture counts: its new weights are not zero."""
    unet = ip2p.widen(tiny().unet)
    torch.manual_seed(0)
    with torch.no_grad():
        unet.conv_in.weight[:, 4:].normal_(std=0.05)
    parts = tiny().text_encoder, tiny().vae, tiny().tokenizer
    return instruct_pipeline(unet, *parts)


def scenes():
    return [
        toybox.Scene([toybox.Thing("cat", "red")], "sand"),
        toybox.Scene([toybox.Thing("star", "blue", place="top")]),
    ]


ASKED = ["make it blue", "turn it into a fish"]


def inputs():
    generator = torch.Generator().manual_seed(1)
    x, image = torch.randn(2, 2, 4, 16, 16, generator=generator)
    return x, image, torch.tensor([10, 700])


def test_a_widened_unet_answers_as_before_whatever_it_is_shown():
    x, image, t = inputs()
    words = torch.randn(2, 5, 128, generator=torch.Generator().manual_seed(0))
    wide = ip2p.widen(tiny().unet)
    with torch.no_grad():
        ours = wide(torch.cat([x, image], 1), t, words).sample
        theirs = tiny().unet(x, t, words).sample
    torch.testing.assert_close(ours, theirs)
    assert wide.config.in_channels == 8 and tiny().unet.config.in_channels == 4


def test_at_1_and_1_guidance_is_the_prediction_with_both():
    both, image, nothing = torch.randn(3, 2, 4, generator=torch.Generator())
    torch.testing.assert_close(ip2p.two_guidances(both, image, nothing, 1, 1), both)
    torch.testing.assert_close(ip2p.two_guidances(both, image, nothing, 0, 1), image)
    torch.testing.assert_close(ip2p.two_guidances(both, image, nothing, 0, 0), nothing)


def test_guidance_is_linear_as_the_paper_has_it():
    both, image, nothing = torch.tensor([7.0]), torch.tensor([3.0]), torch.tensor([1.0])
    found = ip2p.two_guidances(both, image, nothing, 7.5, 1.5)
    assert found.item() == 1 + 1.5 * (3 - 1) + 7.5 * (7 - 3)


def test_instruct_equals_the_pipeline_of_diffusers():
    images = toybox.render(scenes())
    noise = inputs()[0]
    ours = ip2p.carry_out(
        pipe(), images, ASKED, text_scale=3, image_scale=1.5, num_steps=6, noise=noise
    )
    theirs = pipe()(
        ASKED,
        (images + 1) / 2,
        num_inference_steps=6,
        guidance_scale=3,
        image_guidance_scale=1.5,
        latents=noise * pipe().scheduler.init_noise_sigma,
        output_type="pt",
    ).images
    torch.testing.assert_close(ours, theirs * 2 - 1, atol=1e-4, rtol=1e-4)


def test_no_picture_is_a_latent_of_zeros_and_not_a_black_one():
    latents = encode(tiny().vae, toybox.render(scenes()))
    x, _, t = inputs()
    blind = ip2p.doubly_guided(pipe(), torch.zeros_like(latents), ASKED, 1, 1.5)(x, t)
    seen = ip2p.doubly_guided(pipe(), latents, ASKED, 1, 1.5)(x, t)
    deaf = ip2p.doubly_guided(pipe(), torch.zeros_like(latents), ASKED, 1, 4.0)(x, t)
    torch.testing.assert_close(blind, deaf)  # without a picture its scale is nothing
    assert (seen - blind).abs().max() > 0.01


@pytest.mark.parametrize(
    ("latents", "asked", "scales", "message"),
    [
        (2, ASKED, (3, 0.8), "image_scale=0.8 must be at least 1"),
        (1, ASKED, (3, 1.5), "1 pictures need as many instructions, not 2"),
        (2, "make it blue", (3, 1.5), "instructions must be a list"),
        (2, [], (3, 1.5), "instructions must be a list of at least one"),
    ],
)
def test_what_would_go_wrong_without_a_word_is_refused(latents, asked, scales, message):
    with pytest.raises(ValueError, match=message):
        ip2p.doubly_guided(pipe(), torch.zeros(latents, 4, 16, 16), asked, *scales)


def test_a_scale_that_is_no_number_is_refused():
    x = torch.zeros(1)
    with pytest.raises(ValueError, match="text_scale must be a finite number"):
        ip2p.two_guidances(x, x, x, float("nan"), 1.5)
