"""Lesson 22's loop on the real thing's classes: a small double of Stable Diffusion."""

import pytest
import torch

from course_utils import models
from course_utils.methods import dreamfusion
from course_utils.models import doubles


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_loop_runs_on_a_double_of_stable_diffusion(tmp_path, dtype):
    place = doubles.fill_cache(tmp_path, ["sd15"])
    pipe = models.load("text-to-image", "sd15", cache_dir=place, dtype=dtype)
    told = dreamfusion.view_models(pipe, "a toy robot", away=1.0, guidance=100.0)
    for dream in dreamfusion.dream_field(pipe, told, 2, size=32, samples=8):
        grad = dream.field.thickness.grad
        assert grad.isfinite().all() and grad.any()
    assert all(part.grad is None for part in pipe.vae.parameters())


def test_pictures_are_enlarged_to_what_that_pipeline_draws(tmp_path):
    place = doubles.fill_cache(tmp_path, ["sd15"])
    pipe = models.load("text-to-image", "sd15", cache_dir=place)
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    latents = dreamfusion.to_latents(pipe, torch.zeros(1, 3, 32, 32))
    assert latents.shape[-1] == side // pipe.vae_scale_factor
