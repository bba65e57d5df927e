"""DiffEdit: the model says where an edit belongs, and keeps the rest (Couairon et al.).

Couairon, Verbeek, Schwenk, Cord 2023, "DiffEdit: diffusion-based semantic image editing
with mask guidance", section 3:

    found = prompt_contrast(query, reference, x0, schedule)  # where captions disagree
    mask = contrast_mask(found)
    y0 = diffedit(query, encoder, x0, schedule, mask=mask)

query, reference and encoder are models of `models.pipelines.guided`: row i of a batch
belongs to caption i. The encoder has guidance 1, or its walk drifts.
"""

from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion import Model, ddim_step
from course_utils.diffusion.forward import same_step
from course_utils.diffusion.solvers import inversion
from course_utils.images import check_floats, check_tensor, check_whole
from course_utils.methods.sdedit import check_mask, visits
from course_utils.schedules import Schedule


@torch.no_grad()
def prompt_contrast(
    query: Model,
    reference: Model,
    x0: Tensor,
    schedule: Schedule,
    *,
    strength: float = 0.5,
    num_maps: int = 10,
    num_steps: int = 50,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Where two captions' predictions differ: (B, 1, H, W), at least 0.

    x0         (B, C, H, W), pictures or latents; noised num_maps times, to the step
               where a walk of `strength` and num_steps begins (see sdedit.visits)
    query      model(x_t, t) with the new captions, `reference` with those of x0 (or
               none); two calls a map
    noise      (num_maps, B, C, H, W); drawn from `generator` if not given

    The absolute difference, averaged over maps and channels. A model of v may stay as
    it is: for the same x_t, its noise differs by sqrt(alpha_bar) times as much.
    """
    check_latents(x0)
    check_whole(num_maps, "num_maps")
    t = same_step(_path(schedule, num_steps, strength)[0], x0)
    if noise is None:
        noise = torch.randn(num_maps, *x0.shape, generator=generator)
    found = torch.zeros_like(x0)
    for some in _maps(noise, x0):
        x_t = diffusion.add_noise(x0, some, t, schedule)
        found += (query(x_t, t) - reference(x_t, t)).abs() / len(noise)
    return found.mean(1, keepdim=True)


def contrast_mask(
    found: Tensor,
    threshold: float = 0.5,
    *,
    outliers: float = 0.05,
    ratio: float | None = None,
) -> Tensor:
    """Contrast (B, 1, H, W) as a mask of zeros and ones: what is above a share of it.

    `threshold` of what? Of the greatest contrast of a picture, outliers left out, so
    that a few places do not decide alone: the share `outliers` of its places, or, with
    a ratio, of ratio times its mean. The latter is StableDiffusionDiffEditPipeline's
    way, with 3 (mask_thresholding_ratio); then a change that fills the picture leaves
    no mask. The paper removes "extreme values", and its threshold is 0.5.
    """
    check_floats(found, "found")
    if not found.isfinite().all():
        raise ValueError("found has values that are not finite: nothing to compare")
    if found.ndim != 4 or found.shape[1] != 1:
        raise ValueError(
            f"found has shape {tuple(found.shape)}, not (B, 1, H, W): one contrast a "
            "picture, as prompt_contrast() returns it"
        )
    _check_share(threshold, "threshold")
    if ratio is None:
        _check_share(outliers, "outliers")
        most = found.flatten(1).quantile(1 - outliers, 1).view(-1, 1, 1, 1)
    else:
        if not (isinstance(ratio, Real) and 0 < ratio < float("inf")):
            raise ValueError(f"ratio must be a number above 0, not {ratio!r}")
        most = ratio * found.mean((1, 2, 3), keepdim=True)
    return (found > threshold * most).to(found)


def ddim_encode(
    encoder: Model,
    x0: Tensor,
    schedule: Schedule,
    *,
    strength: float = 0.8,
    num_steps: int = 50,
    predicts: str = "noise",
) -> list[tuple[int, Tensor]]:
    """x0 and its DDIM encodings, (t, x_t) from t = -1, which is x0, to the noisiest.

    The steps are the last share `strength` of num_steps: the paper's encoding ratio r.
    """
    check_latents(x0)
    path = _path(schedule, num_steps, strength)
    return list(inversion(encoder, x0, schedule, timesteps=path, predicts=predicts))


def masked_decode(
    query: Model,
    encoded: Sequence[tuple[int, Tensor]],
    schedule: Schedule,
    *,
    mask: Tensor,
    predicts: str = "noise",
) -> Tensor:
    """Walk down by DDIM with the query, where mask is 1; elsewhere copy `encoded`.

    encoded  what `ddim_encode` returns; the walk begins at its last and visits all
    mask     (B, 1, H, W) in 0..1

    After each step to s, x_s = mask x_s + (1 - mask) encoded x_s: outside the mask the
    result is x0 itself.
    """
    known = dict(encoded)
    if len(known) < 2:
        raise ValueError(
            "encoded must hold x0 and at least one step, as ddim_encode() does"
        )
    *_, (start, x) = encoded
    check_mask(mask, x)

    def masked(prediction, x_t, t, schedule, *, to, generator=None, **options):
        x_s = ddim_step(prediction, x_t, t, schedule, to=to, **options)
        return mask * x_s + (1 - mask) * known[to]

    path = sorted(known, reverse=True)
    walk = dict(timesteps=path, step=masked, predicts=predicts)
    return diffusion.sample(query, x, schedule, **walk)


def diffedit(
    query: Model,
    encoder: Model,
    x0: Tensor,
    schedule: Schedule,
    *,
    mask: Tensor,
    strength: float = 0.8,
    num_steps: int = 50,
    predicts: str = "noise",
) -> Tensor:
    """Encode x0, and walk down with the query inside the mask.

    `ddim_encode`, then `masked_decode`, with as many calls each as there are steps in
    the last share `strength` of num_steps. The query has guidance, the encoder none.
    """
    check_mask(mask, x0)
    options = dict(strength=strength, num_steps=num_steps, predicts=predicts)
    encoded = ddim_encode(encoder, x0, schedule, **options)
    return masked_decode(query, encoded, schedule, mask=mask, predicts=predicts)


def check_latents(x0: Tensor) -> None:
    """Refuse what is no batch of pictures or latents."""
    check_tensor(x0, "x0")
    if x0.ndim != 4:
        raise ValueError(f"x0 has shape {tuple(x0.shape)}, not (B, C, H, W)")


def _maps(noise: Tensor, x0: Tensor) -> Tensor:
    """The noise like x0, one for each map."""
    check_tensor(noise, "noise")
    if not len(noise) or noise.shape[1:] != x0.shape:
        raise ValueError(
            f"noise has shape {tuple(noise.shape)}, not (num_maps, "
            f"{', '.join(map(str, x0.shape))}): one like x0 for each map"
        )
    return noise.to(x0)


def _check_share(value: float, name: str) -> None:
    """Refuse what is no number in [0, 1)."""
    if not (isinstance(value, Real) and 0 <= value < 1):
        raise ValueError(f"{name} must be a number in [0, 1), not {value!r}")


def _path(schedule: Schedule, num_steps: int, strength: float) -> list[int]:
    """The steps of a walk of this strength, at least one."""
    path = visits(diffusion.timesteps(schedule.T, num_steps), strength)
    if not path:
        raise ValueError(
            f"strength={strength} of {num_steps} steps is less than one: take more of "
            "either"
        )
    return path
