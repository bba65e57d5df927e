"""Null-text inversion: a given picture, drawn under guidance (Mokady et al. 2023).

    edited = edit(pipe, images, ["a red cat"], ["a blue cat"])     # all of it, or:

    path = pivots(pipe, latents, before)                # from the picture to noise
    nothing = null_text(pipe, path, before, guidance=2.0)
    side_by_side(pipe, before, after, path[0][1], nothing=nothing, guidance=2.0)

DDIM walked backwards finds the noise of a picture for guidance 1. With more guidance
the walk forth strays from the way it came, and every edit needs guidance. The cure: at
each step another embedding in place of the empty prompt's, learnt so that the walk
stays on its way. The network and the prompt are left as they are.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion import ddim_step
from course_utils.diffusion.forward import same_step
from course_utils.diffusion.solvers import inversion
from course_utils.images import check_tensor, check_whole
from course_utils.methods.prompt_to_prompt import shares, side_by_side
from course_utils.methods.word_map import word_map
from course_utils.models.pipelines import decode, encode, guided, plan_of

Path = list[tuple[int, Tensor]]


def pivots(
    pipe, latents: Tensor, prompts: Sequence[str], steps: int = 10, small: int = 50
) -> Path:
    """DDIM backwards without guidance: [(t, x_t), ...] from noise to (-1, latents).

    The way up is walked in `small` steps, a multiple of `steps`, and the latents
    (B, 4, h, w) are kept where a walk down of so many steps will come by.
    """
    plan, predicts = plan_of(pipe)
    stops = diffusion.timesteps(plan.T, steps)
    if not set(stops) <= set(diffusion.timesteps(plan.T, small)):
        raise ValueError(
            f"small={small} steps must visit all that steps={steps} visit: make it a "
            "multiple, both of them divisors of the schedule's length"
        )
    model = guided(pipe, prompts)
    way = inversion(model, latents, plan, num_steps=small, predicts=predicts)
    found = dict(way)
    return [(t, found[t]) for t in [*stops, -1]]


def null_text(
    pipe,
    path: Path,
    prompts: Sequence[str],
    *,
    guidance: float,
    inner: int = 3,
    rate: float = 0.1,
    enough: float = 1e-5,
) -> dict[int, Tensor]:
    """For each step t of a path what stands for the empty prompt, (B, tokens, D).

    path      of `pivots`: the latents (B, 4, h, w) that the walk is to meet again
    guidance  of the walk; with another one it would stray again
    inner     gradient steps (Adam) at each step of the walk; the paper takes 10
    rate      Adam's; for Stable Diffusion's larger embeddings the paper takes 0.01
    enough    a picture whose squared error is below it is done with this step

    Mokady et al. 2023, Algorithm 1. A picture does not know of the others.
    """
    check_whole(inner, "inner", 0)
    if guidance == 1:
        raise ValueError("guidance=1.0 does not ask the empty prompt: pivots is enough")
    plan, predicts = plan_of(pipe)
    told = guided(pipe, prompts)
    pipe.unet.requires_grad_(False)
    with torch.no_grad():
        empty = pipe.encode_prompt([""] * len(prompts), pipe.device, 1, False)[
            0
        ].float()
    x, found = path[0][1], {}
    for (t, _), (to, wanted) in pairwise(path):
        steps = same_step(t, x)
        with torch.no_grad():
            said = told(x, steps)

        def walk(empty, x=x, t=t, to=to, steps=steps, said=said):
            asked = x.to(pipe.unet.dtype), steps, empty.to(pipe.unet.dtype)
            without = pipe.unet(*asked).sample.to(x)
            predicted = diffusion.guidance(said, without, guidance)
            return ddim_step(predicted, x, t, plan, to=to, predicts=predicts)

        empty = _learn(walk, empty, wanted, inner, rate, enough)
        found[t] = empty
        with torch.no_grad():
            x = walk(empty)
    return found


def _learn(walk, empty: Tensor, wanted: Tensor, inner, rate, enough) -> Tensor:
    """Change `empty` until walk(empty) is what is wanted."""
    empty = empty.clone().requires_grad_()
    adam = torch.optim.Adam([empty], lr=rate)
    for _ in range(inner):
        error = (walk(empty) - wanted).square().flatten(1).mean(1)  # (B,)
        going = error > enough
        if not going.any():
            break
        before = empty.detach().clone()
        adam.zero_grad()
        error.sum().backward()
        adam.step()
        with torch.no_grad():
            empty[~going] = before[~going]
    return empty.detach()


def edit(
    pipe,
    images: Tensor,
    before: Sequence[str],
    after: Sequence[str],
    *,
    how: str = "replace",
    cross: float | Tensor = 0.2,
    self_: float | Tensor = 0.2,
    blend: bool = False,
    steps: int = 10,
    guidance: float = 2.0,
    **options: object,
) -> Tensor:
    """Given pictures, of which `before` tells, as `after` tells: (B, 3, H, W).

    images   (B, 3, H, W) in [-1, 1]
    cross    draw_pair's, as all that is not named here: what asks for another layout
             wants little of it, another colour, toy or pattern more, such as 0.8
    options  of null_text

    Inverted, made to come back by null_text, and edited by Prompt-to-Prompt.
    """
    check_tensor(images, "images")
    words = word_map(pipe.tokenizer, before, after, how)
    if len(images) != len(before):
        raise ValueError(f"{len(images)} images need as many prompts: {len(before)}")
    B, found = len(images), []
    cross, self_ = shares(cross, "cross", B), shares(self_, "self_", B)
    for i in range(0, B, 8):
        rows = slice(i, i + 8)
        latents = encode(pipe.vae, images[rows].to(pipe.device))
        path = pivots(pipe, latents, before[rows], steps)
        told = dict(guidance=guidance)
        told["nothing"] = null_text(pipe, path, before[rows], **told, **options)
        some = dict(words=words[rows], cross=cross[rows], self_=self_[rows])
        pair = before[rows], after[rows], path[0][1]
        walk = side_by_side(pipe, *pair, **some, blend=blend, steps=steps, **told)
        found.append(decode(pipe.vae, walk[1]).cpu())
    return torch.cat(found)
