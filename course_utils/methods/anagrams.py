"""Visual Anagrams: one picture that shows something else when it is turned.

Geng, Park and Owens 2024. In each step of the reverse diffusion the network is asked
once for each view, about the picture as that view has it and with the prompt of that
view; the answers are turned back and averaged (their section 3.2). A view must be
linear and orthogonal, or what the network is shown is no picture plus standard normal
noise.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion import Model
from course_utils.images import (
    check_floats,
    check_images,
    check_kind,
    check_list,
    check_positive,
)
from course_utils.models.pipelines import check_asked, guided, plan_of


class View(NamedTuple):
    """A way to look at pictures (B, C, H, W), and the way back."""

    name: str
    see: Callable[[Tensor], Tensor]
    undo: Callable[[Tensor], Tensor]


def _turn(name: str, quarters: int) -> View:
    """Turn by so many quarters, counterclockwise."""
    return View(
        name,
        lambda x: x.rot90(quarters, (2, 3)),
        lambda x: x.rot90(-quarters, (2, 3)),
    )


def shuffled(tiles: int, seed: int = 0) -> View:
    """Cut pictures into tiles x tiles pieces and put them together in another order."""
    order = torch.randperm(tiles**2, generator=torch.Generator().manual_seed(seed))
    back = order.argsort()

    def move(x: Tensor, order: Tensor) -> Tensor:
        if x.shape[2] % tiles or x.shape[3] % tiles:
            raise ValueError(
                f"tiles={tiles} do not divide pictures of {x.shape[2]}x{x.shape[3]}"
            )
        pieces = x.unflatten(3, (tiles, -1)).unflatten(2, (tiles, -1))
        pieces = pieces.transpose(3, 4).flatten(2, 3)  # (B, C, tiles^2, h, w)
        pieces = pieces[:, :, order.to(x.device)].unflatten(2, (tiles, tiles))
        return pieces.transpose(3, 4).flatten(4, 5).flatten(2, 3)

    name = f"{tiles}x{tiles} pieces"
    return View(name, lambda x: move(x, order), lambda x: move(x, back))


AS_IT_IS = View("as it is", lambda x: x, lambda x: x)
VIEWS = {
    "as it is": AS_IT_IS,
    "half turn": _turn("half turn", 2),
    "quarter turn": _turn("quarter turn", 1),
    "flip": View("flip", lambda x: x.flip(2), lambda x: x.flip(2)),
    "pieces": shuffled(4),
    "negative": View("negative", lambda x: -x, lambda x: -x),
}


def through_views(model: Model, views: Sequence[View]) -> Model:
    """The mean over views of V^-1 model(V x_t, t): Geng et al. 2024, section 3.2.

    `model` is asked once, about all views of all n pictures, the first view's rows
    first; what it predicts may be noise, v or x0, for all are linear in the picture.
    """

    def averaged(x_t: Tensor, t: Tensor) -> Tensor:
        seen = torch.cat([view.see(x_t) for view in views])
        said = model(seen, t.repeat(len(views))).chunk(len(views))
        back = [view.undo(part) for view, part in zip(views, said, strict=True)]
        return torch.stack(back).mean(0)

    return averaged


def draw_anagrams(
    pipe,
    prompts: Sequence[Sequence[str]],
    views: Sequence[View],
    steps: int = 40,
    guidance: float = 5.0,
    seed: int = 0,
) -> Tensor:
    """Pictures (n, 3, H, W) in [-1, 1]: set k of prompts has one for each view.

    pipe   an IFPipeline; one with a VAE is refused, for latents do not turn as
           pictures do
    DDIM; picture k starts from the noise of seed + k.
    """
    if hasattr(pipe, "vae"):
        raise ValueError(
            "pipe draws latents, which do not turn as pictures do: pass one that draws "
            'pixels, such as models.load("text-to-image", "tiny-closeup")'
        )
    check_list(prompts, "prompts", list | tuple, "(first, second)")
    n = len(prompts)
    for some in prompts:
        check_asked(some, "each of prompts", steps, guidance, seed)
        if len(some) != len(views):
            raise ValueError(f"prompts: {some} are not one for each of {len(views)}")
    flat = [some[k] for k in range(len(views)) for some in prompts]
    schedule, predicts = plan_of(pipe)
    model = through_views(guided(pipe, flat, guidance), views)
    side, where = pipe.unet.config.sample_size, pipe.device
    noise = [
        torch.randn(3, side, side, generator=torch.Generator().manual_seed(seed + k))
        for k in range(n)
    ]
    options = dict(num_steps=steps, step=diffusion.ddim_step, predicts=predicts)
    x_T = torch.stack(noise).to(where)
    with torch.no_grad():
        return diffusion.sample(model, x_T, schedule, **options).clamp(-1, 1).cpu()


def is_orthogonal(view: View, images: Tensor, close: float = 1e-4) -> bool:
    """Does the view keep lengths and angles of these pictures, and lead back?

    images (B, 3, H, W) in [-1, 1], two or more.
    """
    check_kind(view, "view", View, 'VIEWS["flip"]')
    check_floats(images, "images", 4)
    check_images(images, 3, images.shape[-1])
    check_positive(close, "close")
    seen = view.see(images)
    if seen.shape != images.shape:
        return False
    before, after = (x.flatten(1) @ x.flatten(1).T for x in (images, seen))
    scale = before.abs().amax()
    kept = (before - after).abs().amax() <= close * scale
    return bool(kept and (view.undo(seen) - images).abs().amax() <= close)
