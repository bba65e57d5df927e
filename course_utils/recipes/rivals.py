"""tiny-vae, and what the small generators of latents learn from: latents, codes."""

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import models, toybox, training
from course_utils.images import in_parts
from course_utils.models.pipelines import encode
from course_utils.recipes import artifacts
from course_utils.recipes.components import component
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.gans import big_toys
from course_utils.tiny.rivals import LatentVAE, Z, elbo_loss

CHAPTER, ALBUM = 2500, 8192  # steps, after which new pictures are encoded; how many
BATCH, RATE = 32, 1e-3
ROOT = Path("build/train")

CARD = """# tiny-vae

The decoder of a VAE, whose code is drawn from N(0, 1). It makes latents (4, 16, 16) of
the miniature Stable Diffusion from {z} normal numbers; the VAE of that model decodes
them. Lesson 08 compares it with diffusion.

- **Data** one big plain shape of the toybox on any ground, split "train", drawn as it
  is used: {pictures:,} pictures.
- **Training** {steps} steps of {batch_size} pictures, Adam at {lr}, seed {seed},
  averaged weights. {parameters:,} parameters are kept, as many again help in training.
- **On disk** safetensors, a byte a weight and a scale a row.
"""


def tiny_vae(*, steps: int | None = None, seed: int = 0, root: Path = ROOT) -> Recipe:
    """The VAE; its decoder is kept."""
    steps = steps or 8000
    net = shipped_vae(root, steps=min(steps, 7000), seed=seed)
    pictures = min(ALBUM, steps * BATCH)

    def save(model: nn.Module, folder: Path) -> dict:
        weights = artifacts.half(model.decoder.state_dict())
        artifacts.store_in_bytes(folder, weights, {})
        parameters = sum(p.numel() for p in model.decoder.parameters())
        seen = pictures * -(-steps // CHAPTER)
        return dict(z=Z, parameters=parameters, pictures=seen)

    return Recipe(
        model=lambda: LatentVAE().to(memory_format=torch.channels_last),
        batch=latent_batch(net, BATCH, pictures, seed),
        loss=elbo_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), RATE, fused=True),
        log_every=100,
    )


def shipped_vae(root: Path, **options: object) -> nn.Module:
    """The shipped model's AutoencoderKL; until there is one, the one being trained."""
    from diffusers import AutoencoderKL

    try:
        place = models.path("tiny") / "vae"
    except ValueError:
        place = component("vae", root, **options)
    return AutoencoderKL.from_pretrained(place).float().requires_grad_(False)


def latent_batch(
    net: nn.Module,
    n: int,
    pictures: int,
    seed: int = 0,
    z: int = Z,
) -> training.Batch:
    """The function that draws n latents and as many codes of z numbers."""

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> Tensor:
        scenes = big_toys(pictures, number, "train")
        return encode(net, in_parts(toybox.render, scenes))

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        latents = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(latents), (n,), generator=generator)
        return latents[rows], torch.randn(n, z, generator=generator)

    return batch
