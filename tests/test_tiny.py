"""The shipped miniature Stable Diffusion: what it promises."""

import diffusers
import numpy as np
import pytest
import torch

from course_utils import measure, models, toybox
from course_utils.measure import bench
from course_utils.models.pipelines import draw, round_trip, to_64
from course_utils.tiny import pipelines

PROMPT = "a big red star in the middle on the grass"


@pytest.fixture(scope="module")
def pipe():
    found = models.load("text-to-image", "tiny")
    found.set_progress_bar_config(disable=True)
    return found


def test_plain_diffusers_draws_the_same_picture(pipe, tmp_path, in_a_fresh_process):
    in_a_fresh_process(
        "import sys, numpy, torch; from diffusers import StableDiffusionPipeline\n"
        "pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1])\n"
        "g = torch.Generator().manual_seed(3)\n"
        f"image = pipe({PROMPT!r}, num_inference_steps=5, generator=g,"
        " guidance_scale=3, output_type='np').images\n"
        "numpy.save(sys.argv[2], image)",
        models.path("tiny"),
        tmp_path / "image.npy",
    )
    theirs = torch.from_numpy(np.load(tmp_path / "image.npy")).permute(0, 3, 1, 2)
    ours = draw(pipe, [PROMPT], steps=5, seed=3)
    torch.testing.assert_close(theirs * 2 - 1, ours, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "kind, more",
    [
        ("StableDiffusionImg2ImgPipeline", "strength=0.5"),
        (
            "StableDiffusionInpaintPipeline",
            "mask_image=image.convert('L'), width=64, height=64",
        ),
    ],
)
def test_its_sisters_load_it_as_it_is(kind, more, in_a_fresh_process):
    in_a_fresh_process(
        f"import sys; from PIL import Image; from diffusers import {kind} as Kind\n"
        "image = Image.new('RGB', (64, 64), 'white')\n"
        "pipe = Kind.from_pretrained(sys.argv[1])\n"
        f"drawn = pipe({PROMPT!r}, image=image, num_inference_steps=4, {more})\n"
        "assert drawn.images[0].size == (64, 64)",
        models.path("tiny"),
    )


def test_it_draws_what_the_caption_says(pipe):
    scenes = bench.scenes_for("one_toy", 32, seed=5)
    images = draw(pipe, [scene.caption for scene in scenes], steps=10)
    found = measure.grades(images, scenes)
    assert found["all"] > 0.8, found  # 500 captions are `course bench tiny`'s matter
    assert measure.grades(images.roll(1, 0), scenes)["all"] < 0.1  # and so not by luck


def test_it_draws_what_people_type_first(pipe):
    said = [f"a {c} {t}" for c in ("red", "blue") for t in ("cat", "star", "house")]
    asked = [toybox.parse(caption) for caption in said]
    images = draw(pipe, said, steps=10, seed=2)
    assert measure.attribute_accuracy(images, asked)["all"] > 0.8
    assert measure.attribute_accuracy(images.roll(1, 0), asked)["all"] < 0.4


SCHEDULERS = """DDIM DDPM DPMSolverMultistep EulerDiscrete EulerAncestralDiscrete
UniPCMultistep HeunDiscrete LMSDiscrete DEISMultistep LCM TCD PNDM""".split()
SHIPPED = {"tiny": 0.7, "tiny-pixel": 0.5}  # every text-to-image folder, and its bar


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request):
    """A shipped pipeline with its name, and the captions that all schedulers get."""
    found = models.load("text-to-image", request.param)
    found.set_progress_bar_config(disable=True)
    return request.param, found, bench.scenes_for("one_toy", 8, seed=7)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_of_diffusers_draws_from_its_config(shipped, name):
    model, found, scenes = shipped
    config, kind = found.scheduler.config, getattr(diffusers, f"{name}Scheduler")
    own, found.scheduler = found.scheduler, kind.from_config(config)
    steps = 30 if name == "PNDM" else 8  # of all of them, it needs the most
    images = draw(found, [scene.caption for scene in scenes], steps)
    found.scheduler = own
    images = to_64(images) if images.shape[-1] == 32 else images
    assert measure.grades(images, scenes)["all"] >= SHIPPED[model]


def test_its_scheduler_says_the_same_after_a_round_trip(pipe, tmp_path, capfd):
    for plan in (pipe.scheduler, pipelines.scheduler()):  # as shipped, as recipes do
        plan.save_pretrained(tmp_path)
        again = type(plan).from_pretrained(tmp_path)
        ddim = diffusers.DDIMScheduler.from_config(again.config)
        assert again.config["clip_sample"] is ddim.config.clip_sample is False
        assert capfd.readouterr().err == ""
    ours, theirs = pipelines.scheduler().config, pipe.scheduler.config
    assert all(theirs[k] == x for k, x in ours.items() if not k.startswith("_"))


def test_a_controlnet_starts_from_its_unet_when_its_eye_is_as_coarse(pipe):
    net = diffusers.ControlNetModel.from_unet(
        pipe.unet, conditioning_embedding_out_channels=(16, 32, 96)
    )
    words = pipe.encode_prompt([PROMPT], "cpu", 1, False)[0]
    x, t, edges = torch.randn(1, 4, 16, 16), torch.tensor(500), torch.rand(1, 3, 64, 64)
    down, middle = net(x, t, words, edges, return_dict=False)
    assert all((part == 0).all() for part in (*down, middle))  # it starts silent
    with pytest.raises(ValueError, match="needs controlnet"):
        models.load("control", "tiny")
    control = models.load("control", "tiny", controlnet=net)
    options = dict(num_inference_steps=2, output_type="pt")
    assert control(PROMPT, edges, **options).images.shape == (1, 3, 64, 64)


def test_its_vae_keeps_pictures(pipe):
    rng = np.random.default_rng(5)
    images = toybox.render([toybox.sample(rng, "test") for _ in range(50)])
    again = round_trip(pipe.vae, images)
    assert measure.psnr(again, images).mean() >= 34


def test_its_latents_have_variance_one(pipe):
    rng = np.random.default_rng(6)
    images = toybox.render([toybox.sample(rng, "train") for _ in range(100)])
    with torch.no_grad():
        latents = pipe.vae.encode(images).latent_dist.mode()
    assert pipe.vae.config.scaling_factor == 1
    assert 0.9 < latents.std() < 1.1


def test_it_weighs_less_than_20_megabytes():
    nets = [f"{name}/*.safetensors" for name in ("vae", "text_encoder", "unet")]
    files = [file for name in nets for file in models.path("tiny").glob(name)]
    assert len(files) == 3 and sum(f.stat().st_size for f in files) <= 20e6
