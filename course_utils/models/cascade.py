"""Stable Cascade in today's diffusers: what must be mended before it loads and draws.

Its classes are all there, but two things broke when they were set aside. A saved
pipeline names its stage A as "wuerstchen", a module that has moved; and the combined
pipeline does not pass on how large the latents of each stage are.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from course_utils.images import check_whole
from course_utils.models.pipelines import check_asked
from course_utils.models.quiet import quiet

PIXELS, LATENTS = 16, 4  # in a row, to one semantic latent: pixels, latents of stage A
KIND = "StableCascadeCombinedPipeline"


def mend_stable_cascade() -> None:
    """Put diffusers' wuerstchen module back where saved pipelines look for it.

    Do it before a pipeline of Stable Cascade is loaded, and before one is put together
    that will be saved: a second time does nothing.
    """
    import diffusers.pipelines

    with contextlib.suppress(ImportError):
        from diffusers.pipelines.deprecated import wuerstchen

        diffusers.pipelines.wuerstchen = wuerstchen


def is_miniature(folder: Path) -> bool:
    """Whether a folder holds a cascade of the course's: its effnet lies beside it."""
    return (folder / "effnet" / "config.json").is_file()


def fit_to_64(pipe, pixels: float = PIXELS, latents: float = LATENTS):
    """Tell both halves of a combined pipeline how its latents shrink; return it.

    Else they take the real model's 42.67 pixels and 10.67 latents a semantic latent.
    """
    pipe.prior_pipe.register_to_config(resolution_multiple=pixels)
    pipe.decoder_pipe.register_to_config(latent_dim_scale=latents)
    return pipe


@torch.no_grad()
def draw_cascade(
    pipe,
    captions: Sequence[str],
    steps: tuple[int, int] = (20, 10),
    guidance: float = 4.0,
    seed: int = 0,
    side: int = 64,
    some: int = 16,
) -> Tensor:
    """Pictures (B, 3, side, side) in [-1, 1] by stages C, B and A, `some` at a time.

    steps     of stage C and of stage B
    guidance  of stage C; stage B has none
    Picture k starts from the noise of seed + k, whatever the others are.
    """
    for number in steps:
        check_asked(captions, "captions", number, guidance, seed)
    check_whole(some, "some")
    options = dict(height=side, width=side, prior_guidance_scale=guidance)
    options |= dict(prior_num_inference_steps=steps[0], num_inference_steps=steps[1])
    found = []
    for i in range(0, len(captions), some):
        part = list(captions[i : i + some])
        seeds = range(seed + i, seed + i + len(part))
        options["generator"] = [torch.Generator().manual_seed(k) for k in seeds]
        with quiet():
            found.append(pipe(part, output_type="pt", **options).images.float().cpu())
    return torch.cat(found) * 2 - 1
