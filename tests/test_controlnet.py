"""ControlNet: zero at first, equal to diffusers' pipeline, clear about bad input."""

import functools

import pytest
import torch

from course_utils import diffusion, models, schedules, toybox
from course_utils.methods import controlnet
from course_utils.models.pipelines import draw

SCHEDULE = schedules.linear()


@functools.cache
def tiny():
    return models.load("text-to-image", "tiny")


def control(seed=None):
    """A fresh ControlNet; with a seed its zero convolutions are not zero."""
    net = controlnet.attach(tiny().unet)
    if seed is not None:
        torch.manual_seed(seed)
        for name, p in net.named_parameters():
            if name.startswith("controlnet_"):
                torch.nn.init.normal_(p, std=0.05)
    return net.eval()


def scene():
    return toybox.Scene([toybox.Thing("cat", "red", place="top")], "sand")


def inputs(n=2):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, 16, 16, generator=generator)
    words = torch.randn(n, 5, 128, generator=generator)
    return x, torch.tensor([10, 700]), words, toybox.condition("edges", [scene()] * n)


@torch.no_grad()
def test_at_first_nothing_changes_to_the_bit():
    x, t, words, shown = inputs()
    fresh = control()
    down, middle = fresh(x, t, words, shown, return_dict=False)
    assert all(not residual.any() for residual in (*down, middle))
    with_it = controlnet.controlled(tiny().unet, fresh, x, t, words, shown)
    assert torch.equal(with_it, tiny().unet(x, t, words).sample)


@torch.no_grad()
def test_scale_0_is_silence_and_scale_2_says_twice_as_much():
    x, t, words, shown = inputs()
    net = control(0)
    alone = tiny().unet(x, t, words).sample
    at = functools.partial(controlnet.controlled, tiny().unet, net, x, t, words, shown)
    torch.testing.assert_close(at(scale=0.0), alone)
    assert (at(scale=1.0) - alone).abs().max() > 0.01
    once, twice = (net(x, t, words, shown, s, return_dict=False)[1] for s in (1.0, 2.0))
    torch.testing.assert_close(2 * once, twice)


def test_the_loss_is_that_of_the_frozen_network_at_first():
    x, t, words, shown = inputs()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    asked = x, noise, t, words
    with torch.no_grad():
        x_t = diffusion.add_noise(x, noise, t, SCHEDULE)
        v = tiny().unet(x_t, t, words).sample
        truth = diffusion.velocity(x, noise, t, SCHEDULE)
    found = controlnet.control_loss(control(), tiny().unet, *asked, shown, SCHEDULE)
    torch.testing.assert_close(found.detach(), (v - truth).square().mean())


def test_every_weight_learns_once_and_what_is_new_with_adam():
    net = control()
    groups = controlnet.optimizer_of(net, 1e-3).param_groups
    seen = [p for group in groups for p in group["params"]]
    assert len(seen) == len({id(p) for p in seen}) == len(list(net.parameters()))
    new = {id(p) for n, p in net.named_parameters() if n.startswith("controlnet_")}
    assert not any(g["muon"] for g in groups for p in g["params"] if id(p) in new)


@torch.no_grad()
def test_the_pipeline_does_what_our_loop_does():
    pipe = models.load("control", "tiny", controlnet=control(3))
    shown = toybox.condition("edges", [scene()])
    theirs = controlnet.draw_controlled(pipe, ["a red cat"], shown, steps=4)
    words, empty = (
        pipe.encode_prompt([text], "cpu", 1, False)[0] for text in ("a red cat", "")
    )

    def model(x, t):
        both = torch.cat([empty, words])
        answers = controlnet.controlled(
            pipe.unet, pipe.controlnet, x.repeat(2, 1, 1, 1), t.repeat(2), both,
            shown.repeat(2, 1, 1, 1),
        )  # fmt: skip
        return diffusion.guidance(answers[1:], answers[:1], 3.0)

    pipe.scheduler.set_timesteps(4)
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    for t in pipe.scheduler.timesteps:
        x = pipe.scheduler.step(model(x, t.view(1)), t, x).prev_sample
    ours = pipe.vae.decode(x / pipe.vae.config.scaling_factor).sample.clamp(-1, 1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_a_fresh_control_draws_what_tiny_draws():
    pipe = models.load("control", "tiny", controlnet=control())
    shown = toybox.condition("edges", [scene()])
    ours = controlnet.draw_controlled(pipe, ["a red cat"], shown, steps=3)
    torch.testing.assert_close(ours, draw(tiny(), ["a red cat"], 3))


def test_two_may_speak_at_once_and_a_shut_window_is_silence():
    pipe = models.load("control", "tiny", controlnet=[control(1), control(2)])
    both = [toybox.condition(kind, [scene()]) for kind in ("edges", "segmentation")]
    options = dict(steps=3, scale=[0.0, 0.0])
    silent = controlnet.draw_controlled(pipe, ["a red cat"], both, **options)
    torch.testing.assert_close(silent, draw(tiny(), ["a red cat"], 3))
    loud = controlnet.draw_controlled(pipe, ["a red cat"], both, 3, scale=[1.0, 1.0])
    assert not torch.allclose(loud, silent, atol=0.1)


def refused(**wrong):
    said = dict(captions=["a cat"], condition=torch.zeros(1, 3, 64, 64)) | wrong
    pipe = models.load("control", "tiny", controlnet=control())
    return lambda: controlnet.draw_controlled(pipe, **said)


CALLS = {
    "a picture in -1..1": (
        refused(condition=torch.full((1, 3, 64, 64), -0.5)),
        "a condition is in 0..1",
    ),
    "one condition for two": (
        refused(captions=["a cat", "a star"]),
        r"pass \(2, 3, H, W\), one picture for each caption",
    ),
    "no colours": (
        refused(condition=torch.zeros(1, 1, 64, 64)),
        r"pass \(1, 3, H, W\)",
    ),
    "another size": (
        refused(condition=torch.zeros(1, 3, 32, 32)),
        "be 64x64, not 32x32",
    ),
    "one text": (refused(captions="a cat"), "captions must be a list"),
    "one of two": (
        refused(condition=[torch.zeros(1, 3, 64, 64)] * 2),
        "2 conditions for 1 ControlNet",
    ),
    "a window backwards": (refused(window=(0.8, 0.2)), r"window=\(0.8, 0.2\)"),
    "a factor": (lambda: controlnet.attach(tiny().unet, 3), "factor=3 must be 2, 4"),
}


@pytest.mark.parametrize("name", CALLS)
def test_bad_input_is_refused_with_the_cure(name):
    call, said = CALLS[name]
    with pytest.raises(ValueError, match=said):
        call()


def test_a_fresh_process_loads_what_is_saved_and_we_what_a_script_writes(
    tmp_path, in_a_fresh_process
):
    control(4).save_pretrained(tmp_path)  # as diffusers' own train_controlnet.py
    code = (
        "import sys\n"
        "from diffusers import ControlNetModel, StableDiffusionControlNetPipeline\n"
        "net = ControlNetModel.from_pretrained(sys.argv[1], use_safetensors=True)\n"
        "load = StableDiffusionControlNetPipeline.from_pretrained\n"
        "pipe = load(sys.argv[2], controlnet=net, use_safetensors=True)\n"
        "from PIL import Image\n"
        "shown = Image.new('RGB', (64, 64))\n"
        "[picture] = pipe('a red cat', image=shown, num_inference_steps=2).images\n"
        "assert picture.size == (64, 64)\n"
    )
    in_a_fresh_process(code, tmp_path, models.path("tiny"))
    again = models.load("controlnet", tmp_path)
    pairs = zip(again.parameters(), control(4).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
