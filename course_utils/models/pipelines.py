"""Pictures into a pipeline and out of it: encode, decode, round trip, guided, draw.

A pipeline is a Stable Diffusion of diffusers, or, for `draw`, one that draws in pixels.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from course_utils import diffusion
from course_utils.diffusion import Model
from course_utils.images import (
    check_floats,
    check_number,
    check_tensor,
    check_whole,
    in_parts,
)
from course_utils.schedules import Schedule


@torch.no_grad()
def encode(vae, images: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] to scaled latents (B, 4, h, w), the modes."""
    check_floats(images, "images")
    if images.ndim != 4 or images.shape[1] != 3 or not (images.abs() <= 1.001).all():
        low, high = images.amin().item(), images.amax().item()
        raise ValueError(
            f"images has shape {tuple(images.shape)} and lies in [{low:.3g}, "
            f"{high:.3g}]: pass pictures (B, 3, H, W) in [-1, 1], or their clamp(-1, 1)"
        )

    def some(part: Tensor) -> Tensor:
        latents = vae.encode(part.to(vae.device, vae.dtype)).latent_dist.mode()
        return latents * vae.config.scaling_factor

    return in_parts(some, images, 16)


@torch.no_grad()
def decode(vae, latents: Tensor) -> Tensor:
    """Scaled latents (B, 4, h, w) to pictures (B, 3, H, W) in [-1, 1], float32."""
    check_tensor(latents, "latents")
    if latents.ndim != 4 or latents.shape[1] != vae.config.latent_channels:
        raise ValueError(
            f"latents has shape {tuple(latents.shape)}: this VAE decodes "
            f"(B, {vae.config.latent_channels}, h, w)"
        )

    def some(part: Tensor) -> Tensor:
        unscaled = part.to(vae.device, vae.dtype) / vae.config.scaling_factor
        return vae.decode(unscaled).sample.float().clamp(-1, 1)

    return in_parts(some, latents, 16)


def round_trip(vae, images: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] to their most probable latents and back."""
    return decode(vae, encode(vae, images)).cpu()


def check_pipe(pipe: object) -> None:
    """Refuse what is no pipeline: None, a name, a network."""
    parts = "unet", "transformer", "text_encoder", "vae", "scheduler"
    if not any(hasattr(pipe, part) for part in parts):
        raise ValueError(
            "pipe must be a pipeline, such as "
            f'models.load("text-to-image", "tiny"), not {pipe!r:.60}'
        )


def check_unet(unet: object) -> None:
    """Refuse what is no network of diffusers', such as the pipeline around it."""
    if not (isinstance(unet, nn.Module) and hasattr(unet, "config")):
        raise ValueError(f"unet must be a network, such as pipe.unet, not {unet!r:.60}")


def check_texts(texts: Sequence[str], name: str) -> None:
    """Refuse one text where many are wanted: each of its letters would be one."""
    several = isinstance(texts, Iterable) and not isinstance(texts, str)
    found = list(texts) if several else []
    if not found or not all(isinstance(text, str) for text in found):
        raise ValueError(
            f"{name} must be a list of at least one text, such as ['a red star'], "
            f"not {str(texts)[:60]!r}"
        )


def check_asked(
    texts: Sequence[str],
    name: str,
    steps: int = 1,
    guidance: float = 1.0,
    seed: int = 0,
) -> None:
    """Refuse what no pipeline can be asked for: see check_texts, and three numbers."""
    check_texts(texts, name)
    check_whole(steps, "steps")
    check_number(guidance, "guidance")
    check_whole(seed, "seed", 0)


def guided(
    pipe,
    prompts: Sequence[str],
    scale: float = 1.0,
    nothing: Mapping[int, Tensor] | None = None,
) -> Model:
    """A pipeline's network as a model(x_t, t), with guidance: of latents or of pixels.

    Row i of x_t belongs to prompts[i]. With scale 1 the network is asked once a call,
    else twice, in one batch, and as in the pipeline the rows without a prompt come
    first. What it predicts, pipe.scheduler.config says. `nothing` holds for each step t
    what stands for the empty prompt there, (B, tokens, D).
    """
    check_pipe(pipe)
    check_texts(prompts, "prompts")
    check_number(scale, "scale")
    prompts = list(prompts)  # diffusers knows no tuples
    words, empty = words_of(pipe, prompts), words_of(pipe, [""] * len(prompts))
    precision = pipe.unet.dtype  # diffusers looks through all layers for it: ask once

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        x = x_t.to(precision)
        if scale == 1:
            return pipe.unet(x, t, words).sample[:, : x.shape[1]].to(x_t)
        unsaid = empty if nothing is None else nothing[int(t[0])].to(words)
        both = torch.cat([unsaid, words])
        answers = pipe.unet(torch.cat([x, x]), torch.cat([t, t]), both).sample
        without, told = answers[:, : x.shape[1]].to(x_t).chunk(2)
        return diffusion.guidance(told, without, scale)

    return model


def words_of(pipe, prompts: Sequence[str]) -> Tensor:
    """What a pipeline's network hears of the prompts: (B, tokens, D)."""
    check_pipe(pipe)
    check_texts(prompts, "prompts")
    told = dict(num_images_per_prompt=1, do_classifier_free_guidance=False)
    return pipe.encode_prompt(list(prompts), device=pipe.device, **told)[0]


def plan_of(pipe) -> tuple[Schedule, str]:
    """A pipeline's schedule, and what its network predicts, in diffusion's words."""
    check_pipe(pipe)
    targets = {"epsilon": "noise", "v_prediction": "v", "sample": "x0"}
    predicts = targets[pipe.scheduler.config.prediction_type]
    return Schedule(pipe.scheduler.betas), predicts


def draw(
    pipe,
    captions: Sequence[str],
    steps: int = 20,
    guidance: float = 3.0,
    seed: int = 0,
    label: str | None = None,
) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] for the captions, 16 at a time.

    Picture k starts from the noise of seed + k, whatever the others are. A label shows
    a progress line. `pipe` draws latents (StableDiffusionPipeline) or pixels
    (IFPipeline).
    """
    check_asked(captions, "captions", steps, guidance, seed)
    pixels = not hasattr(pipe, "vae")
    options = dict(num_inference_steps=steps, guidance_scale=guidance)
    options |= dict(output_type="pt") | (dict(clean_caption=False) if pixels else {})
    found = []
    for i in tqdm(range(0, len(captions), 16), label, disable=not label, leave=False):
        some = list(captions[i : i + 16])
        seeds = range(seed + i, seed + i + len(some))
        options["generator"] = [torch.Generator().manual_seed(k) for k in seeds]
        found.append(pipe(some, **options).images.float().cpu())
    drawn = torch.cat(found)  # a pixel pipeline gives [-1, 1], the other one [0, 1]
    return (drawn if pixels else drawn * 2 - 1).clamp(-1, 1)


def to_64(images: Tensor) -> Tensor:
    """(B, 3, 32, 32) -> (B, 3, 64, 64); the oracle reads true ones without a fault."""
    check_floats(images, "images", 4)
    return F.interpolate(images, 64, mode="bicubic").clamp(-1, 1)
