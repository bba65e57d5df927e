"""The editors on folders in Stable Diffusion 1.5's layout: noise, 77 tokens, PNDM."""

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from course_utils import diffusion, models
from course_utils.methods import diffedit, imagic, instruct_pix2pix
from course_utils.models import pipelines
from course_utils.tiny import text

SAID = ["a red cat on the sand", "a blue cat on the sand"]


def unet(channels):
    return UNet2DConditionModel(
        sample_size=16, in_channels=channels, block_out_channels=(8, 8, 8),
        layers_per_block=1, down_block_types=["CrossAttnDownBlock2D"] * 3,
        up_block_types=["CrossAttnUpBlock2D"] * 3, norm_num_groups=4,
        cross_attention_dim=16, attention_head_dim=2,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder like sd15's and one like instruct-pix2pix', with random weights."""
    torch.manual_seed(0)
    ids, merges = text.vocabulary()
    tokenizer = CLIPTokenizer(vocab=ids, merges=merges, model_max_length=77)
    sizes = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1)
    words = CLIPTextConfig(vocab_size=len(tokenizer), **sizes, num_attention_heads=2)
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4, down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, norm_num_groups=4,
    )  # fmt: skip
    betas = 1000, 0.00085, 0.012, "scaled_linear"
    kinds = {
        StableDiffusionPipeline: (unet(4), PNDMScheduler(*betas, steps_offset=1)),
        StableDiffusionInstructPix2PixPipeline: (
            unet(8), EulerAncestralDiscreteScheduler(*betas)),
    }  # fmt: skip
    found = []
    for kind, parts in kinds.items():
        shared = vae, CLIPTextModel(words).eval(), tokenizer
        pipe = kind(*shared, *parts, None, None, requires_safety_checker=False)
        found.append(tmp_path_factory.mktemp("sd"))
        pipe.save_pretrained(found[-1])
    return found


@pytest.fixture(scope="module")
def pipe(folders):
    found = models.load("text-to-image", folders[0])
    found.set_progress_bar_config(disable=True)
    return found


@pytest.fixture(scope="module")
def latents(pipe):
    images = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    return pipelines.encode(pipe.vae, images * 2 - 1)


def test_its_schedule_and_its_target_are_read_off(pipe, latents):
    plan, predicts = pipelines.plan_of(pipe)
    assert predicts == "noise" and latents.shape == (1, 4, 16, 16)
    torch.testing.assert_close(plan.alpha_bar.float(), pipe.scheduler.alphas_cumprod)


def test_imagic_edits_and_the_library_draws_the_same(pipe, latents):
    short = dict(embedding=(1, 1e-3), tuning=(1, 5e-7), batch=2, num_steps=3)
    found = imagic.imagic(pipe, latents, SAID[1], (0.5, 1), scale=7.5, **short)
    assert found.shape == (2, 4, 16, 16) and found.isfinite().all()
    words, nothing = imagic.embed(pipe, SAID[:1]), imagic.embed(pipe, [""])
    plan, predicts = pipelines.plan_of(pipe)
    with torch.no_grad():
        ours = diffusion.sample(
            imagic.told(pipe.unet, words, nothing, 7.5), latents, plan, num_steps=3,
            predicts=predicts, step=diffusion.ddim_step,
        )  # fmt: skip
    library = type(pipe)(**pipe.components | dict(requires_safety_checker=False))
    library.scheduler = DDIMScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="leading", steps_offset=0,
        set_alpha_to_one=True, clip_sample=False,
    )  # fmt: skip
    library.set_progress_bar_config(disable=True)
    theirs = library(
        prompt_embeds=words, negative_prompt_embeds=nothing, latents=latents,
        num_inference_steps=3, guidance_scale=7.5, output_type="latent",
    ).images  # fmt: skip
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_diffedit_keeps_what_lies_outside_its_mask(pipe, latents):
    plan, predicts = pipelines.plan_of(pipe)
    old, new = (pipelines.guided(pipe, [said]) for said in SAID)
    mask = diffedit.contrast_mask(
        diffedit.prompt_contrast(new, old, latents, plan, num_maps=2)
    )
    walk = dict(mask=mask, num_steps=5, predicts=predicts)
    with torch.no_grad():
        found = diffedit.diffedit(new, old, latents, plan, **walk)
    outside = (mask < 0.5).expand_as(found)
    assert 0 < mask.mean() < 1 and torch.equal(found[outside], latents[outside])
    assert not torch.equal(found, latents)


def test_instructions_are_carried_out(folders):
    pipe = models.load("instruct", folders[1])
    pipe.set_progress_bar_config(disable=True)
    images = torch.rand(1, 3, 128, 128) * 2 - 1
    found = instruct_pix2pix.carry_out(
        pipe, images, ["make it blue"], text_scale=7.5, num_steps=2
    )
    assert found.shape == images.shape and found.isfinite().all()
