"""Pictures into a pipeline and out of it, against the same done by hand."""

import pytest
import torch

from course_utils import models
from course_utils.models.pipelines import (
    decode,
    draw,
    encode,
    guided,
    plan_of,
    round_trip,
    to_64,
)

SAID = ["a red star", "a blue cat", "a green house"]


@pytest.fixture(scope="module")
def pipe():
    found = models.load("text-to-image", "tiny")
    found.set_progress_bar_config(disable=True)
    return found


def pictures(n):
    generator = torch.Generator().manual_seed(n)
    return torch.rand(n, 3, 64, 64, generator=generator) * 2 - 1


def test_a_round_trip_is_the_vae_by_hand(pipe):
    images = pictures(18)  # more than are decoded at once
    with torch.no_grad():
        latents = pipe.vae.encode(images).latent_dist.mode()
        by_hand = pipe.vae.decode(latents).sample.clamp(-1, 1)
    torch.testing.assert_close(encode(pipe.vae, images), latents, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        round_trip(pipe.vae, images), by_hand, atol=1e-4, rtol=1e-4
    )


def test_latents_are_scaled_as_the_vae_says(pipe):
    images, plain = pictures(1), encode(pipe.vae, pictures(1))
    factor = pipe.vae.config.scaling_factor
    pipe.vae.register_to_config(scaling_factor=0.5)
    try:
        halved = encode(pipe.vae, images)
        again = round_trip(pipe.vae, images)
    finally:
        pipe.vae.register_to_config(scaling_factor=factor)
    torch.testing.assert_close(halved, plain / 2)
    torch.testing.assert_close(again, round_trip(pipe.vae, images))


def test_the_seed_of_a_picture_is_its_own(pipe):
    all_three = draw(pipe, SAID, steps=2, seed=4)
    alone = draw(pipe, SAID[2:], steps=2, seed=6)
    torch.testing.assert_close(all_three[2:], alone, atol=1e-4, rtol=0)
    other = draw(pipe, SAID[2:], steps=2, seed=4)
    assert (other - alone).abs().max() > 0.1
    assert all_three.shape == (3, 3, 64, 64) and all_three.abs().max() <= 1


def test_what_is_drawn_is_what_diffusers_draws(pipe):
    options = dict(num_inference_steps=2, guidance_scale=3.0, output_type="pt")
    theirs = pipe(SAID[:1], generator=torch.Generator().manual_seed(5), **options)
    ours = draw(pipe, SAID[:1], steps=2, guidance=3.0, seed=5)
    torch.testing.assert_close(ours, theirs.images * 2 - 1, atol=1e-4, rtol=0)


def test_a_tuple_of_prompts_is_as_good_as_a_list(pipe):
    x_t, t = torch.randn(3, 4, 16, 16), torch.tensor([500] * 3)
    ours, theirs = (guided(pipe, some)(x_t, t) for some in (tuple(SAID), SAID))
    assert torch.equal(ours, theirs)


def test_guidance_moves_from_nothing_through_the_prompt(pipe):
    x_t, t = torch.randn(1, 4, 16, 16), torch.tensor([500])
    at = {s: guided(pipe, SAID[:1], s)(x_t, t) for s in (0.0, 1.0, 3.0)}
    expected = at[0.0] + 3 * (at[1.0] - at[0.0])
    torch.testing.assert_close(at[3.0], expected, atol=1e-4, rtol=1e-4)
    nothing = guided(pipe, [""])(x_t, t)
    torch.testing.assert_close(at[0.0], nothing, atol=1e-4, rtol=1e-4)


def test_another_nothing_for_each_step_is_taken(pipe):
    x_t, words = torch.randn(1, 4, 16, 16), ["", "a blue cat"]
    empty, cat = pipe.encode_prompt(words, pipe.device, 1, False)[0].split(1)
    own = guided(pipe, SAID[:1], 3.0, {500: empty, 400: cat})
    plain, against = guided(pipe, SAID[:1], 3.0), guided(pipe, ["a blue cat"])
    for t, expected in (
        (500, plain),
        (400, lambda x, t: 3 * guided(pipe, SAID[:1])(x, t) - 2 * against(x, t)),
    ):
        at = torch.tensor([t])
        found = own(x_t, at)
        torch.testing.assert_close(found, expected(x_t, at), atol=1e-4, rtol=1e-4)


def test_the_plan_is_the_schedulers(pipe):
    plan, predicts = plan_of(pipe)
    expected = pipe.scheduler.alphas_cumprod
    torch.testing.assert_close(plan.alpha_bar.float(), expected, atol=1e-6, rtol=1e-4)
    assert predicts == "v"


@pytest.mark.parametrize("texts", ["a red star", [], [1, 2], [["a red star"]]])
def test_what_is_no_list_of_texts_is_refused(pipe, texts):
    with pytest.raises(ValueError, match="captions must be a list of at least one"):
        draw(pipe, texts)
    with pytest.raises(ValueError, match="prompts must be a list of at least one"):
        guided(pipe, texts)


@pytest.mark.parametrize(
    "images",
    [
        torch.full((1, 3, 8, 8), 255.0),
        torch.full((1, 3, 8, 8), torch.nan),
        torch.zeros(3, 8, 8),
        torch.zeros(1, 1, 8, 8),
    ],
)
def test_what_is_no_picture_is_refused(pipe, images):
    for function in (encode, round_trip):
        with pytest.raises(ValueError, match=r"images has shape .*in \[-1, 1\]"):
            function(pipe.vae, images)


def test_what_is_no_tensor_and_what_are_no_latents_is_refused(pipe):
    with pytest.raises(ValueError, match="images must be a torch.Tensor, not a list"):
        encode(pipe.vae, [torch.zeros(3, 8, 8)])
    with pytest.raises(ValueError, match="latents must be a torch.Tensor, not None"):
        decode(pipe.vae, None)
    with pytest.raises(ValueError, match=r"latents has shape \(1, 3, .*\(B, 4, h, w\)"):
        decode(pipe.vae, torch.zeros(1, 3, 16, 16))


def test_small_pictures_are_enlarged_within_their_range():
    assert to_64(torch.ones(2, 3, 32, 32)).shape == (2, 3, 64, 64)
    assert to_64(pictures(1)[:, :, ::2, ::2]).abs().max() <= 1
