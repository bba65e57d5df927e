"""DreamFusion: a toy in the round, from a model that has only ever drawn pictures.

Poole et al. 2022. A field is looked at by a random camera, the picture is judged by
score distillation (`sds`), and what is wrong with it flows back into the field. The
prompt says from where the camera looks, or the toy grows a face on every side: the
Janus problem.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion import Model
from course_utils.images import check_floats, check_whole
from course_utils.methods.nerf import Pictured, VoxelField, look_at
from course_utils.methods.perp_neg import perp_neg
from course_utils.methods.sds import sds_loss
from course_utils.models.pipelines import check_pipe, guided, plan_of, words_of
from course_utils.toybox.solid import VIEWS, Camera, sample_view
from course_utils.toybox.solid_render import default_lights

GUIDANCE = 4.5  # more saturates; a model of photographs needs 100
SHARES = (0.34, 0.34, 0.24, 0.08)  # how often the camera takes each of VIEWS
FLAT = 0.15  # share of the steps that show colours without shade
LOWEST, TOP, END = 20, 950, 400  # noise is drawn from LOWEST to a top that sinks


class Dreamt(NamedTuple):
    """Where a dream stands after `step` steps, and what its camera saw last."""

    step: int
    field: VoxelField
    seen: Pictured
    view: Camera


def view_models(
    pipe,
    caption: str,
    words: bool = True,
    away: float = 0.0,
    guidance: float = GUIDANCE,
) -> dict[str, Model]:
    """For each of VIEWS the guided model(x_t, t) of one picture that is asked there.

    words  whether the prompt begins with the view, "front view of a red robot", or is
           the caption alone
    away   how strongly views that are no front are pushed away from the front's prompt
           by Perp-Neg
    """
    if away < 0:
        raise ValueError(f"away={away} must be 0 (no Perp-Neg) or above")
    models = {}
    for word in VIEWS:
        prompt = f"{word} view of {caption}" if words else caption
        models[word] = guided(pipe, [prompt], guidance)
        if away and word != "front":
            unwanted = f"front view of {caption}"
            models[word] = _pushed_away(pipe, prompt, unwanted, away, guidance)
    return models


def _pushed_away(
    pipe, prompt: str, unwanted: str, weight: float, scale: float
) -> Model:
    heard, precision = words_of(pipe, ["", prompt, unwanted]), pipe.unet.dtype

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        x = torch.cat([x_t] * 3).to(precision)
        answers = pipe.unet(x, torch.cat([t] * 3), heard).sample.to(x_t)
        without, told, other = answers.chunk(3)
        return perp_neg(told, without, [other], [weight], scale)

    return model


def to_latents(pipe, images: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] to scaled latents, with gradients.

    They are enlarged first to the size that the model draws: 64 pixels, or 512.
    """
    check_pipe(pipe)
    check_floats(images, "images", 4)
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    if images.shape[-1] != side:
        images = F.interpolate(images, side, mode="bilinear", align_corners=False)
    latents = pipe.vae.encode(images.to(pipe.vae.dtype)).latent_dist.mode()
    return latents.float() * pipe.vae.config.scaling_factor


def random_light(view: Camera, rng: np.random.Generator) -> tuple[Tensor, float]:
    """A light (1, 3) around the camera's left shoulder, and the share of ambient light.

    In some steps all light is ambient: then a colour cannot be told by a shadow.
    """
    turned = Camera(view.azimuth + rng.uniform(-45, 45))
    return default_lights([turned]), 1.0 if rng.random() < FLAT else 0.5


def dream_field(
    pipe,
    models: dict[str, Model],
    steps: int = 250,
    seed: int = 0,
    size: int = 32,
    samples: int = 32,
    lr: float = 0.1,
    rise: Callable[[float], float] = lambda share: TOP + (END - TOP) * share,
) -> Iterator[Dreamt]:
    """Score distillation into a field: Poole et al. 2022, Figure 3, one camera a step.

    models   what is asked of each of VIEWS, from view_models
    size     pixels of a picture, enlarged for the model
    samples  along each ray
    rise     share of the run that is over -> highest step of the noise
    Yields after every step; the field is the same object all along. torch's own random
    numbers start from the seed.
    """
    check_whole(steps, "steps")
    torch.manual_seed(seed)
    rng, draw = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    schedule, predicts = plan_of(pipe)
    pipe.vae.requires_grad_(False)  # the gradient passes through it, and leaves none
    field = VoxelField().to(pipe.device)
    optimizer = torch.optim.Adam(field.parameters(), lr=lr, betas=(0.9, 0.99))
    for step in range(steps):
        view = sample_view(rng, SHARES)
        light, ambient = random_light(view, rng)
        seen = look_at(
            field, [view], size, samples, light.to(pipe.device), ambient, jitter=True
        )
        latents = to_latents(pipe, seen.images)
        top = int(rise(step / steps))
        t = torch.randint(LOWEST, top, (1,), generator=draw).to(pipe.device)
        noise = torch.randn(latents.shape, generator=draw).to(latents)
        optimizer.zero_grad()
        model = models[view.word]
        sds_loss(model, latents, t, noise, schedule, predicts).backward()
        optimizer.step()
        yield Dreamt(step + 1, field, seen, view)
