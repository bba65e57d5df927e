"""What the view-aware branch of tiny learns from: toys in the round, with view words.

Half of the captions say from where the toy is seen, and the views come evenly. The
other half do not, and most of their pictures show the front, as photographs of toys do:
that is why a model that is not told draws faces (Poole et al. 2022, section 3.2).
"""

import functools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, training
from course_utils.tiny.batches import CHAPTER
from course_utils.tiny.unet import MEAN_WEIGHT, SCHEDULE, draw_steps, step_weights
from course_utils.tiny.worlds import numpy_rng
from course_utils.toybox import solid
from course_utils.toybox.solid import Camera, Solid
from course_utils.toybox.solid_render import default_lights, render_solids
from course_utils.training.speed import half_is_faster

DROPPED = 0.1  # of the captions, for guidance
PART = 64  # pictures that are rendered at once


class ViewTrunk(nn.Module):
    """A UNet and a text encoder that learn, and a VAE that does not any more.

    What only looks, the ResNet blocks on the way down and in the middle, stays as it
    is: a fifth of the weights need not be shipped again.
    """

    def __init__(self, unet: nn.Module, encoder: nn.Module, vae: nn.Module):
        super().__init__()
        self.unet, self.text, self.vae = unet, encoder, vae
        vae.requires_grad_(False)
        encoder.requires_grad_(True)
        for name, p in unet.named_parameters():
            p.requires_grad_(not stays(name))

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """Predict v (B, 4, h, w) as x_t; t (B,), tokens (B, length)."""
        words = self.text(tokens).last_hidden_state
        return self.unet(x_t, t, words).sample


def stays(name: str) -> bool:
    """Is this parameter of the UNet one that stays as it is in tiny?"""
    looks = ".resnets." in name or ".downsamplers." in name
    return looks and name.startswith(("down_blocks", "mid_block"))


def noised_loss(
    model: nn.Module, x_t: Tensor, velocity: Tensor, t: Tensor, tokens: Tensor
) -> Tensor:
    """The error of v; the steps t come from draw_steps, so that the weight is in it."""
    with torch.autocast(x_t.device.type, torch.bfloat16, half_is_faster(x_t.device)):
        v = model(x_t, t, tokens)
    return MEAN_WEIGHT * F.mse_loss(v.float(), velocity)


def seen_toys(
    n: int, rng: np.random.Generator
) -> tuple[list[Solid], list[Camera], list[str]]:
    """n toys, from where each is seen, and what is said of it.

    Half are told with a view word and seen evenly from all sides; the others say
    nothing of it and are seen mostly from the front.
    """
    solids, views, said = [], [], []
    for _ in range(n):
        toy, told = solid.sample_solid(rng), rng.random() < 0.5
        shares = solid.EVENLY if told else solid.MOSTLY_FRONT
        view = solid.sample_view(rng, shares)
        solids.append(toy)
        views.append(view)
        said.append(_words(toy, view if told else None, rng))
    return solids, views, said


def _words(toy: Solid, view: Camera | None, rng: np.random.Generator) -> str:
    """Two wordings; in a tenth of them the colour is left out."""
    name = toy.caption if rng.random() < 0.9 else f"a {toy.toy}"
    if view is None:
        return name
    if rng.random() < 0.6:
        return f"{view.word} view of {name}"
    return f"{name}, {view.word} view"


def varied_light(
    views: list[Camera], rng: np.random.Generator
) -> tuple[Tensor, list[float]]:
    """Lights (B, 3) somewhere over the cameras' left shoulders, and ambient shares.

    A seventh have ambient 1: colours as they are, without shade.
    """
    turned = [
        Camera(v.azimuth + rng.uniform(-45, 45), float(rng.uniform(0, 30)))
        for v in views
    ]
    ambient = rng.uniform(0.4, 0.75, len(views))
    flat = rng.random(len(views)) < 1 / 7
    return default_lights(turned), np.where(flat, 1.0, ambient).tolist()


def toy_pictures(
    solids: list[Solid],
    views: list[Camera],
    rng: np.random.Generator,
    device: str = "cpu",
) -> Tensor:
    """Renders (B, 3, 64, 64) in [-1, 1] in varied light."""
    light, ambient = varied_light(views, rng)
    shares, found = torch.tensor(ambient), []
    part = PART if device == "cpu" else 10 * PART
    for i in range(0, len(solids), part):
        some = slice(i, i + part)
        options = dict(light=light[some], ambient=shares[some], device=device)
        found.append(render_solids(solids[some], views[some], **options))
    return torch.cat(found)


def view_batch(
    encode: Callable[[Tensor], Tensor],
    listen: Callable[[list[str]], Tensor],
    n: int,
    pictures: int,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x_t, v, t and the words.

    encode  pictures -> latents; `pictures` of them are made at once, for a chapter
    listen  texts -> tokens
    """
    weights = step_weights(SCHEDULE)

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[list[str], Tensor]:
        rng = numpy_rng(torch.Generator().manual_seed(number))
        solids, views, said = seen_toys(pictures, rng)
        return said, encode(toy_pictures(solids, views, rng)).half()

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        said, latents = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(said), (n,), generator=generator)
        told = torch.rand(n, generator=generator) >= DROPPED
        texts = [said[i] if h else "" for i, h in zip(rows.tolist(), told, strict=True)]
        t = draw_steps(n, weights, generator)
        x0 = latents[rows].float()
        noise = torch.randn(x0.shape, generator=generator)
        x_t = diffusion.add_noise(x0, noise, t, SCHEDULE)
        return x_t, diffusion.velocity(x0, noise, t, SCHEDULE), t, listen(texts)

    return batch
