"""InstructPix2Pix: a network that is shown a picture and told what to change in it.

Brooks, Holynski and Efros 2023. Its first layer sees two pictures at once, the noisy
one and the one to change; guidance weighs the picture and the words apart.
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from numbers import Real

import torch
from torch import Tensor, nn

from course_utils.diffusion import Model
from course_utils.diffusion.forward import check_same
from course_utils.diffusion.solvers import dpm_sample
from course_utils.images import check_generator
from course_utils.models.pipelines import (
    check_texts,
    check_unet,
    decode,
    encode,
    plan_of,
)


def widen(unet: nn.Module) -> nn.Module:
    """A copy of a UNet whose first layer has a second set of inputs, of weight zero.

    Whatever they are, it answers as before: what a picture is good for is learnt from
    there. Section 3.2 of the paper.
    """
    check_unet(unet)
    wide = deepcopy(unet)
    before = wide.conv_in
    layer = nn.Conv2d(
        2 * before.in_channels,
        before.out_channels,
        before.kernel_size,
        padding=before.padding,
    ).to(before.weight)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, : before.in_channels] = before.weight
        layer.bias.copy_(before.bias)
    wide.conv_in = layer
    wide.register_to_config(in_channels=layer.in_channels)
    return wide


def two_guidances(
    both: Tensor,
    image: Tensor,
    nothing: Tensor,
    text_scale: float,
    image_scale: float,
) -> Tensor:
    """Weigh what the words and what the picture add: eq. 3 of the paper.

    both     the prediction with picture and words, image with the picture alone,
    nothing  with neither; of one shape
    scales   s_T and s_I; at 1 and 1 the result is `both`
    """
    for name, scale in (("text_scale", text_scale), ("image_scale", image_scale)):
        if not (isinstance(scale, Real) and math.isfinite(scale)):
            raise ValueError(f"{name} must be a finite number, not {scale!r}")
    check_same("nothing", nothing, "image", image)
    check_same("nothing", nothing, "both", both)
    return nothing + image_scale * (image - nothing) + text_scale * (both - image)


def doubly_guided(
    pipe,
    latents: Tensor,
    instructions: Sequence[str],
    text_scale: float = 3.0,
    image_scale: float = 1.5,
) -> Model:
    """The network of an InstructPix2Pix pipeline as a model(x_t, t), with both scales.

    latents       (B, 4, h, w) of the pictures to change, as the VAE gives them: not
                  multiplied by its scaling_factor
    image_scale   at least 1: below, the library's pipeline leaves out all guidance
                  without a word, and this refuses
    It is asked three times a call, in one batch. "No picture" is a latent of zeros.
    """
    check_texts(instructions, "instructions")
    if len(latents) != len(instructions):
        raise ValueError(
            f"{len(latents)} pictures need as many instructions, not "
            f"{len(instructions)}"
        )
    if not image_scale >= 1:
        raise ValueError(
            f"image_scale={image_scale} must be at least 1: below it the picture "
            "counts less than without guidance (and diffusers turns guidance off)"
        )
    silence = [""] * len(instructions)
    words = _in_words(pipe, [*instructions, *silence, *silence])
    seen = torch.cat([latents, latents, torch.zeros_like(latents)])
    precision = pipe.unet.dtype

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        x = torch.cat([torch.cat([x_t] * 3), seen.to(x_t)], 1).to(precision)
        answers = pipe.unet(x, torch.cat([t] * 3), words).sample.to(x_t)
        return two_guidances(*answers.chunk(3), text_scale, image_scale)

    return model


@torch.no_grad()
def _in_words(pipe, texts: list[str]) -> Tensor:
    """What the text encoder says of each: (B, tokens, D)."""
    length = pipe.tokenizer.model_max_length
    options = dict(padding="max_length", max_length=length, truncation=True)
    tokens = pipe.tokenizer(texts, return_tensors="pt", **options).input_ids
    return pipe.text_encoder(tokens.to(pipe.device))[0]


def carry_out(
    pipe,
    images: Tensor,
    instructions: Sequence[str],
    *,
    text_scale: float = 3.0,
    image_scale: float = 1.5,
    num_steps: int = 20,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Do what each instruction says to its picture: (B, 3, H, W) in [-1, 1], twice.

    pipe   a StableDiffusionInstructPix2PixPipeline
    noise  (B, 4, h, w) to start from; drawn from `generator` if not given
    Walks by DPM-Solver++; the scales are those of `doubly_guided`.
    """
    check_texts(instructions, "instructions")
    check_generator(generator)
    latents = encode(pipe.vae, images) / pipe.vae.config.scaling_factor
    if noise is None:
        noise = torch.randn(latents.shape, generator=generator)
    plan, predicts = plan_of(pipe)
    found = dpm_sample(
        doubly_guided(pipe, latents, instructions, text_scale, image_scale),
        noise.to(latents),
        plan,
        num_steps=num_steps,
        predicts=predicts,
    )
    return decode(pipe.vae, found).cpu()
