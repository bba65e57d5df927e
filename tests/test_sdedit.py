import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline

from course_utils import diffusion, models, schedules, toybox
from course_utils.diffusion.mixtures import Mixture
from course_utils.methods.sdedit import sdedit, visits
from course_utils.models.pipelines import guided

LINEAR = schedules.linear(1000)
BELL = Mixture(torch.tensor([[2.0, -1.0]]), 0.3)
GUIDE = torch.tensor([[0.0, 0.0]]).expand(4000, -1)


def test_it_is_the_librarys_from_the_same_noise():
    pipe = models.load("text-to-image", "tiny")
    options = dict(timestep_spacing="leading", steps_offset=0)
    library = StableDiffusionImg2ImgPipeline(
        **pipe.components | dict(requires_safety_checker=False)
    )
    library.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, **options)
    library.set_progress_bar_config(disable=True)
    image = toybox.render([toybox.Scene([toybox.Thing("cat", "red")], "sand")])
    walk = dict(strength=0.6, num_inference_steps=10, guidance_scale=3.0)
    seeded = dict(generator=torch.Generator().manual_seed(3), output_type="latent")
    theirs = library("a blue cat", image / 2 + 0.5, **walk, **seeded).images
    generator = torch.Generator().manual_seed(3)
    latents = pipe.vae.encode(image).latent_dist.sample(generator)
    latents = latents * pipe.vae.config.scaling_factor
    noise = torch.randn(latents.shape, generator=generator)
    model = guided(pipe, ["a blue cat"], 3.0)
    walk = dict(strength=0.6, num_steps=10, noise=noise, predicts="v")
    ours = sdedit(model, latents, LINEAR, **walk)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_the_stronger_the_nearer_to_the_data():
    away = []
    for strength in (0.0, 0.2, 0.5, 1.0):
        generator = torch.Generator().manual_seed(0)
        found = sdedit(
            BELL.noise_model(LINEAR), GUIDE, LINEAR, strength=strength,
            generator=generator,
        )  # fmt: skip
        away.append((found.mean(0) - torch.tensor([2.0, -1.0])).norm().item())
    assert away == sorted(away, reverse=True) and away[-1] < 0.1


def test_nothing_is_noised_at_strength_0_and_everything_at_1():
    assert torch.equal(sdedit(None, GUIDE, LINEAR, strength=0), GUIDE)
    assert visits([900, 600, 300, 0], 1) == [900, 600, 300, 0]
    assert visits([900, 600, 300, 0], 0.5) == [300, 0]
    assert visits([900, 600, 300, 0], 0.2) == []


def test_outside_the_mask_the_guide_stays_to_the_bit():
    x = torch.randn(2, 1, 4, 4)
    mask = torch.zeros(2, 1, 4, 4)
    mask[..., :2] = 1

    def model(x_t, t):
        return torch.zeros_like(x_t)

    found = sdedit(model, x, LINEAR, strength=0.7, num_steps=10, mask=mask)
    assert torch.equal(found[..., 2:], x[..., 2:])
    assert not torch.isclose(found[..., :2], x[..., :2]).any()


def test_the_mask_is_as_noisy_as_the_walk_on_the_way():
    x, noise = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    seen = []

    def model(x_t, t):
        seen.append((int(t[0]), x_t))
        return torch.zeros_like(x_t)

    nothing = torch.zeros(2, 1, 4, 4)
    sdedit(model, x, LINEAR, strength=0.5, num_steps=10, mask=nothing, noise=noise)
    for t, x_t in seen:
        there = diffusion.add_noise(x, noise, torch.full((2,), t), LINEAR)
        torch.testing.assert_close(x_t, there)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(strength=1.2), "strength=1.2 must be in"),
        (dict(strength=-0.1), "must be in"),
        (dict(strength=float("nan")), "strength must be a number"),
        (dict(strength="half"), "strength must be a number"),
        (dict(strength=0.5, mask=torch.ones(2, 1, 8, 8)), "mask has shape"),
        (dict(strength=0.5, mask=torch.ones(2, 1, 4, 4) * 255), "mask must be in 0..1"),
        (dict(strength=0.5, mask=[1]), "mask must be a torch.Tensor"),
        (dict(strength=0.5, noise=torch.ones(1, 1, 4, 4)), "noise"),
        (dict(strength=0.5, num_steps=0), "num_steps"),
        (dict(strength=0.5, eta=2), "eta"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message):
    def model(x_t, t):
        return torch.zeros_like(x_t)

    with pytest.raises(ValueError, match=message):
        sdedit(model, torch.randn(2, 1, 4, 4), LINEAR, **wrong)


def test_a_guide_that_is_no_tensor_is_refused():
    with pytest.raises(ValueError, match="guide"):
        sdedit(None, None, LINEAR, strength=0.5)
