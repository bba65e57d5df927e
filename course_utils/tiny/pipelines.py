"""The family's parts put together: ordinary pipelines of diffusers, and how to save."""

from pathlib import Path

from torch import nn

from course_utils.models.quiet import quiet
from course_utils.tiny.text import save_text


def scheduler():
    """DPM-Solver++(2M) on the schedule of the training.

    Its config also says what it never asks itself: DDIM and DDPM, made from it, would
    clip their x0 to [-1, 1], and latents are not bounded.
    """
    from diffusers import DPMSolverMultistepScheduler

    plan = DPMSolverMultistepScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type="v_prediction",
        steps_offset=1,  # no difference here, but diffusers asks for it
    )
    plan.register_to_config(clip_sample=False)
    return plan


def _whole(kind, **parts):
    """A pipeline of diffusers of this kind, of the trained parts alone."""
    pipe = kind(
        **parts,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def pipeline(trunk: nn.Module, net: nn.Module, tokenizer):
    """An ordinary StableDiffusionPipeline of the trained parts."""
    from diffusers import StableDiffusionPipeline

    parts = dict(unet=trunk.unet, text_encoder=trunk.text, tokenizer=tokenizer)
    return _whole(StableDiffusionPipeline, vae=net, **parts)


def instruct_pipeline(unet: nn.Module, encoder: nn.Module, net: nn.Module, tokenizer):
    """An ordinary StableDiffusionInstructPix2PixPipeline of the trained parts."""
    from diffusers import StableDiffusionInstructPix2PixPipeline

    parts = dict(unet=unet, text_encoder=encoder, tokenizer=tokenizer)
    return _whole(StableDiffusionInstructPix2PixPipeline, vae=net, **parts)


def video_pipeline(unet: nn.Module, encoder: nn.Module, net: nn.Module, tokenizer):
    """An ordinary TextToVideoSDPipeline of the trained parts, as Zeroscope is one."""
    from diffusers import TextToVideoSDPipeline

    parts = dict(unet=unet, text_encoder=encoder, tokenizer=tokenizer)
    with quiet():
        pipe = TextToVideoSDPipeline(vae=net, scheduler=scheduler(), **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def pixel_pipeline(unet: nn.Module, encoder: nn.Module, tokenizer):
    """An ordinary IFPipeline of the trained parts."""
    from diffusers import IFPipeline

    parts = dict(unet=unet, text_encoder=encoder, tokenizer=tokenizer)
    return _whole(IFPipeline, watermarker=None, **parts)


def save(pipe, folder: Path) -> None:
    """Write the pipeline in half precision, as from_pretrained wants it."""
    for net in (pipe.vae, pipe.unet, pipe.text_encoder):
        net.half()
    pipe.save_pretrained(folder)
    save_text(pipe.text_encoder, pipe.tokenizer, folder)
