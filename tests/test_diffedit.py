import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler

from course_utils import diffusion, models, schedules, toybox
from course_utils.methods import diffedit
from course_utils.models.pipelines import encode, guided

LINEAR = schedules.linear(1000)
BEFORE, AFTER = "a red cat", "a blue cat"
SHORT = dict(num_steps=10, predicts="v")


@pytest.fixture(scope="module")
def pipe():
    return models.load("text-to-image", "tiny")


@pytest.fixture(scope="module")
def latents(pipe):
    scene = toybox.Scene([toybox.Thing("cat", "red")], "sand")
    return encode(pipe.vae, toybox.render([scene]))


@pytest.fixture(scope="module")
def library(pipe):
    """The library's own, deprecated, while it is there."""
    try:
        from diffusers import StableDiffusionDiffEditPipeline as theirs
    except ImportError:
        pytest.skip("this diffusers has no StableDiffusionDiffEditPipeline")
    names = "vae", "text_encoder", "tokenizer", "unet", "safety_checker"
    parts = {name: getattr(pipe, name) for name in (*names, "feature_extractor")}
    parts["requires_safety_checker"] = False

    def scheduler(kind, offset=0):
        spacing = dict(timestep_spacing="leading", steps_offset=offset)
        return kind.from_config(pipe.scheduler.config, **spacing)

    back = scheduler(DDIMInverseScheduler)
    found = theirs(
        **parts, scheduler=scheduler(DDIMScheduler, 1), inverse_scheduler=back
    )
    found.scheduler = scheduler(DDIMScheduler)  # its constructor insists on offset 1
    found.set_progress_bar_config(disable=True)
    return found


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def network(scale):
    """A model(x_t, t) that is no denoiser of anything."""
    return lambda x_t, t: scale * torch.tanh(x_t + t.view(-1, 1, 1, 1) / 1000)


def one_sided():
    """(1, 4, 4, 4), and a mask (1, 1, 4, 4) of its left half."""
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    return torch.randn(1, 4, 4, 4, generator=seeded()), mask


def test_the_mask_is_the_librarys(pipe, latents, library):
    prompts = dict(target_prompt=AFTER, source_prompt=BEFORE, guidance_scale=3.0)
    options = dict(num_inference_steps=10, output_type="np", generator=seeded())
    theirs = library.generate_mask(image=latents, **prompts, **options)
    both = guided(pipe, [AFTER], 3.0), guided(pipe, [BEFORE], 3.0)
    found = diffedit.prompt_contrast(
        *both, latents, LINEAR, num_steps=10, generator=seeded()
    )
    ours = diffedit.contrast_mask(found, ratio=3.0)
    assert 10 < ours.sum() < 200
    assert torch.equal(ours[:, 0].int(), torch.from_numpy(theirs).int())


def test_the_encoding_is_the_librarys(pipe, latents, library):
    options = dict(inpaint_strength=0.7, num_inference_steps=10, guidance_scale=1.0)
    theirs = library.invert(prompt=BEFORE, image=latents, **options).latents
    model = guided(pipe, [BEFORE])
    ours = diffedit.ddim_encode(model, latents, LINEAR, strength=0.7, **SHORT)
    assert torch.equal(ours[0][1], latents)
    ours = torch.stack([x_t for _, x_t in reversed(ours[1:])], 1)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_result_is_the_librarys_which_copies_one_step_late(pipe, latents, library):
    """After its step to s it copies what was encoded at t, one step noisier."""
    model, mask = guided(pipe, [BEFORE]), torch.zeros(1, 1, 16, 16)
    mask[..., 4:12, 4:12] = 1
    encoded = diffedit.ddim_encode(model, latents, LINEAR, strength=0.7, **SHORT)
    given = torch.stack([x_t for _, x_t in reversed(encoded[1:])], 1)
    walk = dict(inpaint_strength=0.7, num_inference_steps=10, guidance_scale=3.0)
    walk |= dict(mask_image=mask, image_latents=given, output_type="latent")
    theirs = library(AFTER, **walk).images
    steps, levels = zip(*encoded, strict=True)
    late = list(zip(steps, [*levels[1:], levels[-1]], strict=True))
    query = guided(pipe, [AFTER], 3.0)
    ours = diffedit.masked_decode(query, late, LINEAR, mask=mask, predicts="v")
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_guidance_only_scales_the_contrast(pipe, latents):
    options = dict(num_maps=2, num_steps=10)
    plain, strong = (
        diffedit.prompt_contrast(
            guided(pipe, [AFTER], scale), guided(pipe, [BEFORE], scale),
            latents, LINEAR, generator=seeded(), **options,
        )
        for scale in (1.0, 3.0)
    )  # fmt: skip
    torch.testing.assert_close(strong, 3 * plain, rtol=1e-3, atol=1e-4)


def test_contrast_of_a_model_of_v_is_that_of_its_noise():
    x0, _ = one_sided()

    def noise_of(model):
        def read(x_t, t):
            v = model(x_t, t)
            return diffusion.x0_and_noise(v, x_t, t, LINEAR, "v")[1]

        return read

    models_ = network(1.0), network(0.5)
    found = diffedit.prompt_contrast(*models_, x0, LINEAR, generator=seeded())
    noise = diffedit.prompt_contrast(
        *map(noise_of, models_), x0, LINEAR, generator=seeded()
    )
    at = diffusion.timesteps(1000, 50)[25]
    torch.testing.assert_close(noise, LINEAR.signal[at].float() * found)


def test_the_same_caption_twice_gives_no_contrast_and_no_mask():
    x0, _ = one_sided()
    found = diffedit.prompt_contrast(network(1), network(1), x0, LINEAR, num_maps=2)
    assert found.shape == (1, 1, 4, 4) and not found.any()
    assert not diffedit.contrast_mask(found).any()
    assert not diffedit.contrast_mask(found, ratio=3).any()


def test_its_noise_may_be_given():
    x0, _ = one_sided()
    noise = torch.randn(3, *x0.shape, generator=seeded())
    both = network(1.0), network(0.5)
    drawn = diffedit.prompt_contrast(*both, x0, LINEAR, num_maps=3, generator=seeded())
    given = diffedit.prompt_contrast(*both, x0, LINEAR, noise=noise)
    assert torch.equal(drawn, given)


def test_one_outlier_does_not_decide():
    found = torch.full((1, 1, 8, 8), 0.1)
    found[..., :4] = 1.0
    found[..., 0, 0] = 100.0
    mask = diffedit.contrast_mask(found)
    assert mask[..., :4].all() and not mask[..., 4:].any()
    assert diffedit.contrast_mask(found, outliers=0).sum() == 1


def test_a_change_that_fills_the_picture_leaves_the_librarys_rule_no_mask():
    found = torch.full((1, 1, 8, 8), 1.0)
    found[..., :2, :2] = 0.1
    assert not diffedit.contrast_mask(found, ratio=3).any()
    assert diffedit.contrast_mask(found).sum() == 60


def test_each_picture_of_a_batch_has_its_own_scale():
    found = torch.rand(2, 1, 8, 8, generator=seeded())
    both = torch.cat([found, 50 * found])
    for options in ({}, {"ratio": 2.0}):
        mask = diffedit.contrast_mask(both, **options)
        assert torch.equal(mask[:2], mask[2:])


def test_outside_the_mask_the_picture_stays_to_the_bit():
    x0, mask = one_sided()
    found = diffedit.diffedit(network(1), network(0.5), x0, LINEAR, mask=mask)
    assert torch.equal(found[..., 2:], x0[..., 2:])
    assert not torch.isclose(found[..., :2], x0[..., :2]).any()


def test_without_another_caption_it_comes_back():
    x0, mask = one_sided()
    model = network(0.3)
    whole = torch.ones_like(mask)
    walk = dict(mask=whole, num_steps=500)
    found = diffedit.diffedit(model, model, x0, LINEAR, **walk)
    torch.testing.assert_close(found, x0, rtol=0, atol=0.05)


def test_what_is_copied_is_as_noisy_as_the_walk_on_the_way():
    x0, mask = one_sided()
    encoded = diffedit.ddim_encode(network(1), x0, LINEAR, num_steps=10)
    known, seen = dict(encoded), []

    def query(x_t, t):
        seen.append((int(t[0]), x_t))
        return torch.zeros_like(x_t)

    diffedit.masked_decode(query, encoded, LINEAR, mask=mask)
    assert [t for t, _ in seen] == [700, 600, 500, 400, 300, 200, 100, 0]
    for t, x_t in seen:
        assert torch.equal(x_t[..., 2:], known[t][..., 2:])


X0, MASK = torch.zeros(2, 4, 4, 4), torch.zeros(2, 1, 4, 4)
CALLS = [
    (diffedit.prompt_contrast, dict(x0=[1]), "x0 must be a torch.Tensor"),
    (diffedit.prompt_contrast, dict(x0=torch.zeros(4, 4)), "x0 has shape"),
    (diffedit.prompt_contrast, dict(num_maps=0), "num_maps=0"),
    (
        diffedit.prompt_contrast,
        dict(strength=0),
        "strength=0 of 50 steps is less than one",
    ),
    (diffedit.prompt_contrast, dict(strength=1.5), "must be in"),
    (diffedit.diffedit, dict(mask=torch.zeros(2, 1, 8, 8)), "mask has shape"),
    (diffedit.diffedit, dict(mask=MASK + 255), "mask must be in 0..1"),
    (diffedit.diffedit, dict(mask=MASK, strength=0.01), "less than one"),
    (diffedit.diffedit, dict(mask=MASK, strength=-1), "must be in"),
    (diffedit.diffedit, dict(mask=MASK, predicts="w"), "predicts must be"),
]


@pytest.mark.parametrize(("call", "wrong", "message"), CALLS)
def test_what_cannot_be_is_refused(call, wrong, message):
    given = dict(x0=X0, schedule=LINEAR) | wrong
    given["reference" if call is diffedit.prompt_contrast else "encoder"] = network(1)
    with pytest.raises(ValueError, match=message):
        call(query=network(1), **given)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(found=X0), "found has shape"),
        (dict(found=None), "found must be a torch.Tensor"),
        (dict(threshold=1), "threshold must be"),
        (dict(outliers=-0.1), "outliers must be"),
        (dict(ratio=0), "ratio must be"),
        (dict(ratio="3"), "ratio must be"),
    ],
)
def test_no_mask_is_made_of_nonsense(wrong, message):
    with pytest.raises(ValueError, match=message):
        diffedit.contrast_mask(**dict(found=MASK) | wrong)


def test_a_walk_down_needs_a_walk_up():
    with pytest.raises(ValueError, match="encoded must hold"):
        diffedit.masked_decode(network(1), [(-1, X0)], LINEAR, mask=MASK)
