"""Imagic's three stages, against the library and against what can be known."""

import copy
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import nn

from course_utils import diffusion, models, oracle, schedules, toybox
from course_utils.diffusion.solvers import invert
from course_utils.measure import psnr
from course_utils.methods import imagic
from course_utils.models import pipelines

LINEAR = schedules.linear(1000)
PLACE = toybox.Scene([toybox.Thing("cat", "red", place="left")], "sand")


@pytest.fixture(scope="module")
def pipe():
    found = models.load("text-to-image", "tiny")
    found.set_progress_bar_config(disable=True)
    return found


@pytest.fixture(scope="module")
def latents(pipe):
    return pipelines.encode(pipe.vae, toybox.render([PLACE]))


class Simple(nn.Module):
    """A network with one weight, which says back the mean of its words."""

    dtype = torch.float32

    def __init__(self, weight=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x_t, t, words):
        answer = self.weight * x_t + words.mean((1, 2)).view(-1, 1, 1, 1)
        return SimpleNamespace(sample=answer)


def asked(batch=4):
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(batch, 4, 16, 16, generator=generator)
    return noise, torch.randint(0, 1000, (batch,), generator=generator)


@pytest.mark.parametrize("predicts", ["v", "noise"])
def test_the_loss_is_the_one_that_the_librarys_scheduler_trains_on(
    pipe, latents, predicts
):
    theirs = DDPMScheduler.from_config(pipe.scheduler.config)
    words, (noise, t) = imagic.embed(pipe, ["a red cat"]), asked()
    x = latents.expand(4, -1, -1, -1)
    x_t = theirs.add_noise(x, noise, t)
    wanted = noise if predicts == "noise" else theirs.get_velocity(x, noise, t)
    with torch.no_grad():
        answer = pipe.unet(x_t, t, words.expand(4, -1, -1)).sample
        ours = imagic.denoising_loss(
            pipe.unet, latents, words, noise, t, LINEAR, predicts
        )
    expected = torch.nn.functional.mse_loss(answer, wanted)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_what_is_said_between_is_what_the_pipeline_draws(pipe, latents):
    words = imagic.embed(pipe, ["a red cat", "a blue house"])
    between = imagic.interpolate(words[:1], words[1:], 0.3)
    nothing, (noise, _) = imagic.embed(pipe, [""]), asked(1)
    library = type(pipe)(**pipe.components | dict(requires_safety_checker=False))
    library.scheduler = DDIMScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="leading", steps_offset=0
    )
    library.set_progress_bar_config(disable=True)
    theirs = library(
        prompt_embeds=between, negative_prompt_embeds=nothing, latents=noise,
        num_inference_steps=4, guidance_scale=3.0, output_type="latent",
    ).images  # fmt: skip
    model = imagic.told(pipe.unet, between, nothing, 3.0)
    walk = dict(num_steps=4, step=diffusion.ddim_step, predicts="v")
    ours = diffusion.sample(model, noise, LINEAR, **walk)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_between_own_and_target_lies_a_line():
    target, own = torch.randn(2, 1, 3, 5)
    assert torch.equal(imagic.interpolate(target, own, 0), own)
    assert torch.equal(imagic.interpolate(target, own, 1), target)
    beyond = imagic.interpolate(target, own, 1.5)
    torch.testing.assert_close(beyond, target + 0.5 * (target - own))


def test_stage_a_finds_the_words_that_are_right():
    loss = imagic.picture_loss(torch.zeros(1, 1, 4, 4), LINEAR, batch=64)
    own = imagic.optimise_embedding(Simple(), torch.ones(1, 2, 3), loss, 200, 0.05)
    assert own.mean().abs() < 0.05  # noise has mean 0: nothing better can be said


def test_stage_b_finds_the_network_that_is_right():
    loss = imagic.picture_loss(torch.zeros(1, 1, 4, 4), LINEAR, batch=64)
    tuned = imagic.fine_tune(Simple(), torch.zeros(1, 2, 3), loss, 300, 0.05)
    sigma = LINEAR.sigma  # of a black picture x_t is sigma noise: the least squares
    best = sigma.mean() / sigma.square().mean()
    torch.testing.assert_close(tuned.weight.data, best, atol=0.05, rtol=0)


def test_each_stage_changes_its_own_part_only():
    unet, target = Simple(0.5), torch.ones(1, 2, 3)
    loss = imagic.picture_loss(torch.zeros(1, 1, 4, 4), LINEAR)
    own = imagic.optimise_embedding(unet, target, loss, 3, 0.1)
    tuned = imagic.fine_tune(unet, own, loss, 3, 0.1)
    assert unet.weight.item() == 0.5 and unet.weight.grad is None
    assert (target == 1).all() and not own.requires_grad and (own != 1).any()
    assert tuned.weight.item() != 0.5 and own.grad is None


def test_half_precision_is_refused():
    half = Simple()
    half.dtype = torch.float16
    with pytest.raises(ValueError, match="dtype=torch.float32"):
        imagic.fine_tune(half, WORDS, None, 1, 1e-4)


def test_the_pipeline_stays_to_the_bit(pipe, latents):
    before = copy.deepcopy(pipe.unet.state_dict())
    short = dict(embedding=(1, 0.1), tuning=(1, 0.1), batch=2, num_steps=2)
    imagic.imagic(pipe, latents, "a blue cat", **short)
    after = pipe.unet.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None and p.requires_grad for p in pipe.unet.parameters())


def test_steps_come_from_all_parts_of_the_schedule():
    seen = []

    def unet(x_t, t, words):
        seen.append(t)
        return SimpleNamespace(sample=x_t)

    unet.dtype = torch.float32
    loss = imagic.picture_loss(torch.zeros(1, 1, 4, 4), LINEAR, batch=5)
    for _ in range(200):
        loss(unet, torch.zeros(1, 2, 3))
    t = torch.stack(seen)
    assert (t // 200 == torch.arange(5)).all()
    assert t.min() < 10 and t.max() > 990 and abs(t.float().mean() - 499.5) < 15


def test_the_same_generator_gives_the_same_edit(pipe, latents):
    short = dict(embedding=(1, 0.1), tuning=(1, 1e-4), batch=2, num_steps=2)
    some = [
        imagic.imagic(
            pipe, latents, "a blue cat", etas,
            generator=torch.Generator().manual_seed(seed), **short,
        )
        for etas, seed in (((0.5, 1.0), 3), ((1.0,), 3), ((1.0,), 4))
    ]  # fmt: skip
    torch.testing.assert_close(some[0][1:], some[1], atol=1e-4, rtol=0)
    assert (some[1] - some[2]).abs().max() > 0.1


def test_the_walk_begins_where_it_is_told(pipe, latents):
    short = dict(embedding=(0, 0.1), tuning=(0, 1e-4), num_steps=3)
    noise, _ = asked(1)
    found = imagic.imagic(pipe, latents, "a blue cat", (1,), noise=noise, **short)
    network = pipelines.guided(pipe, ["a blue cat"], 3.0)
    with torch.no_grad():
        walk = dict(num_steps=3, step=diffusion.ddim_step, predicts="v")
        plain = diffusion.sample(network, noise, LINEAR, **walk)
    torch.testing.assert_close(found, plain, atol=1e-4, rtol=1e-4)


def test_it_begins_at_the_noise_that_the_network_finds_told_nothing(pipe, latents):
    short = dict(embedding=(0, 0.1), tuning=(0, 1e-4), num_steps=3)
    empty = pipelines.guided(pipe, [""])
    noise = invert(empty, latents, LINEAR, num_steps=3, predicts="v")
    ours, told = (
        imagic.imagic(pipe, latents, "a blue cat", (1,), noise=x, **short)
        for x in (None, noise)
    )
    torch.testing.assert_close(ours, told, atol=1e-4, rtol=1e-4)


def test_eta_0_is_the_picture_and_eta_1_what_is_wanted(pipe, latents):
    generator = torch.Generator().manual_seed(0)
    caption = "a red cat on the right, on sand"
    found = imagic.imagic(pipe, latents, caption, (0, 1), generator=generator)
    images = pipelines.decode(pipe.vae, found)
    kept, moved = psnr(images, toybox.render([PLACE] * 2))
    assert kept > 22 and kept > moved + 5
    assert [seen["place"] for seen in oracle.read(images)] == [["left"], ["right"]]


TWO, WORDS = torch.zeros(2, 4, 16, 16), torch.zeros(1, 48, 128)
NOISE, T = asked(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: imagic.picture_loss(TWO, LINEAR), "x0 has shape .*one picture"),
        (lambda: imagic.picture_loss([1], LINEAR), "x0 must be a torch.Tensor"),
        (lambda: imagic.picture_loss(TWO[:1], LINEAR, batch=0), "batch=0"),
        (lambda: imagic.picture_loss(TWO[:1], LINEAR, batch=2.5), "batch must be an"),
        (lambda: imagic.interpolate(WORDS, WORDS[:, :5], 1), "own must have the shape"),
        (lambda: imagic.interpolate(WORDS, WORDS, "all"), "eta must be a finite"),
        (lambda: imagic.interpolate(WORDS, WORDS, float("nan")), "eta must be a fin"),
        (
            lambda: imagic.denoising_loss(
                Simple(), TWO[:1], WORDS, NOISE, T, LINEAR, "w"
            ),
            'predicts must be "noise", "x0" or "v"',
        ),
        (
            lambda: imagic.denoising_loss(
                Simple(), TWO[:1], WORDS[0], NOISE, T, LINEAR
            ),
            "words has shape",
        ),
        (
            lambda: imagic.denoising_loss(
                Simple(), TWO[:1], WORDS, NOISE, T + 1000, LINEAR
            ),
            "t must lie in",
        ),
        (
            lambda: imagic.optimise_embedding(Simple(), WORDS, None, 0.5, 1),
            "num_steps must be an integer",
        ),
        (
            lambda: imagic.fine_tune(Simple(), WORDS, None, -1, 1),
            "num_steps=-1 must be 0 or more",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(caption=["a red cat"]), "caption must be one text"),
        (dict(etas=()), "etas must hold at least one"),
        (dict(etas=0.5), "etas must be a list"),
        (dict(x0=TWO), "x0 has shape"),
        (dict(noise=torch.zeros(1, 4, 8, 8)), "noise must have the shape of x0"),
    ],
)
def test_imagic_refuses_before_it_trains(pipe, latents, wrong, message):
    with pytest.raises(ValueError, match=message):
        imagic.imagic(pipe, **dict(x0=latents, caption="a blue cat") | wrong)
