import numpy as np
import pytest
from diffusers import (
    AutoencoderTiny,
    EulerDiscreteScheduler,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file

from course_utils import measure, models, toybox
from course_utils.models import pipelines


@pytest.fixture(scope="module")
def teacher():
    return models.load("text-to-image", "tiny")


@pytest.fixture(scope="module")
def asked():
    rng = np.random.default_rng([10, 0])
    return [toybox.sample(rng, "test") for _ in range(16)]


def right(images, asked):
    return measure.attribute_accuracy(images, asked)["all"]


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_a_shipped_student_draws_what_is_asked_without_guidance(teacher, asked, steps):
    unet = UNet2DConditionModel.from_pretrained(models.path(f"tiny-lightning/{steps}"))
    kind = "sample" if steps == 1 else "v_prediction"
    options = dict(timestep_spacing="trailing", prediction_type=kind)
    plan = EulerDiscreteScheduler.from_config(teacher.scheduler.config, **options)
    pipe = StableDiffusionPipeline.from_pipe(teacher, unet=unet, scheduler=plan)
    images = pipelines.draw(pipe, [x.caption for x in asked], steps, guidance=0)
    assert right(images, asked) > 0.8
    shelf = load_file(models.path("tiny-lightning") / "teacher.safetensors")
    ends = pipelines.decode(teacher.vae, shelf["50/0"][:16].float())
    assert measure.psnr(images, ends).mean() > 26  # the teacher's one step: 20


def test_the_shipped_consistency_model_draws_what_is_asked(teacher, asked):
    parts = {k: getattr(teacher, k) for k in ("vae", "text_encoder", "tokenizer")}
    pipe = LatentConsistencyModelPipeline(
        **parts,
        unet=UNet2DConditionModel.from_pretrained(models.path("tiny-lcm")),
        scheduler=LCMScheduler.from_config(teacher.scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    images = pipelines.draw(pipe, [x.caption for x in asked], 4, guidance=3)
    assert right(images, asked) > 0.8


def test_the_shipped_small_decoder_reads_the_latents_of_the_large_one(teacher, asked):
    small = AutoencoderTiny.from_pretrained(models.path("tiny-taesd")).eval()
    true = toybox.render(asked)
    images = pipelines.decode(small, pipelines.encode(teacher.vae, true))
    assert measure.psnr(images, true).mean() > 27
