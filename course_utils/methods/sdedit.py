"""SDEdit: a picture under noise, and the walk back (Meng et al. 2022).

Some noise hides what the guide does badly, its edges and its flat colours, and not yet
what is wanted of it, its layout. A model that knows real pictures paints the rest.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion import Model, ddim_step
from course_utils.diffusion.forward import same_step, whole
from course_utils.images import check_floats, check_tensor
from course_utils.schedules import Schedule, check_schedule


def visits(path: Sequence[int], strength: float) -> list[int]:
    """The last share of a walk's steps: int(strength * len(path)) of them.

    `path` goes from noisy to clean, as diffusion.timesteps gives it; strength is in
    [0, 1]. What is left of it is where StableDiffusionImg2ImgPipeline starts, too.
    """
    if not (isinstance(strength, int | float) and math.isfinite(strength)):
        raise ValueError(f"strength must be a number in [0, 1], not {strength!r}")
    if not 0 <= strength <= 1:
        raise ValueError(
            f"strength={strength} must be in [0, 1]: 0 leaves the guide, 1 forgets it"
        )
    if not (isinstance(path, list | tuple | range) and path):
        raise ValueError(
            "path must be a list of steps from noisy to clean, such as "
            f"diffusion.timesteps(1000, 20), not {path!r:.60}"
        )
    path = [whole(t, "each step of path") for t in path]
    return path[len(path) - int(len(path) * strength) :]


def sdedit(
    model: Model,
    guide: Tensor,
    schedule: Schedule,
    *,
    strength: float,
    num_steps: int = 50,
    noise: Tensor | None = None,
    mask: Tensor | None = None,
    step: diffusion.Step = ddim_step,
    generator: torch.Generator | None = None,
    **options: object,
) -> Tensor:
    """Noise the guide up to a step, and walk back from there: the paper's section 3.

    guide     (B, ...), pictures or latents; strength 0 returns it as it is
    strength  the paper's t0: where the walk begins, as a share of its num_steps
    noise     what is added, like the guide; drawn from `generator` if not given
    mask      (B, 1, H, W) in 0..1, 1 where pictures may change: elsewhere each step's
              result is the guide, as noisy as it should be there
    step      the paper's walk is stochastic, as ddim_step is with eta=1; under a mask
              it draws the guide's noise anew at each step, here it stays the same
    options   keywords of the step, such as predicts="v"
    """
    check_floats(guide, "guide")
    check_schedule(schedule)
    path = visits(diffusion.timesteps(schedule.T, num_steps), strength)
    if mask is not None:
        check_mask(mask, guide)
    if not path:
        return guide
    if noise is None:
        noise = torch.randn(guide.shape, generator=generator).to(guide)

    def known(t: int) -> Tensor:  # the guide at step t, under the same noise
        if t < 0:
            return guide
        return diffusion.add_noise(guide, noise, same_step(t, guide), schedule)

    def masked(prediction, x_t, t, schedule, *, to, generator=None, **options):
        x_s = step(prediction, x_t, t, schedule, to=to, generator=generator, **options)
        return x_s if mask is None else mask * x_s + (1 - mask) * known(to)

    return diffusion.sample(
        model,
        known(path[0]),
        schedule,
        timesteps=[*path, -1],
        step=masked,
        generator=generator,
        **options,
    )


def check_mask(mask: Tensor, x: Tensor) -> None:
    """Refuse a mask that does not fit pictures or latents x (B, C, H, W)."""
    check_tensor(mask, "mask")
    wanted = (len(x), 1, *x.shape[2:])
    if tuple(mask.shape) != wanted:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, not {wanted}: one channel, and as "
            "large as what is changed (for latents, shrink it by the VAE's factor)"
        )
    if mask.is_floating_point() and not ((mask >= 0) & (mask <= 1)).all():
        raise ValueError("mask must be in 0..1: 1 where the picture may change")
