"""The rivals of diffusion in lesson 08, a GAN and a VAE: how they were trained."""

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import models, toybox, training
from course_utils.images import in_parts
from course_utils.models.pipelines import encode
from course_utils.recipes import artifacts, components
from course_utils.tiny.rivals import (
    Game,
    LatentVAE,
    Z,
    elbo_loss,
    game_loss,
    plain_scenes,
)

CHAPTER, ALBUM = 2500, 8192  # steps, after which new pictures are encoded; how many

CARD = """# {name}

{what} It makes latents (4, 16, 16) of the
miniature Stable Diffusion from {z} normal numbers; the VAE of that model decodes them.
Lesson 08 compares it with diffusion.

- **Data** one plain shape of the toybox on any ground, split "train", drawn as it is
  used: {pictures:,} pictures.
- **Training** {steps} steps of {batch} pictures, Adam at {lr}, seed {seed}, averaged
  weights. {parameters:,} parameters are kept, as many again help in training.
- **Cost** COST.
- **Repeat it** `course train {name}` (course_utils/recipes/rivals.py).
- **On disk** safetensors in half precision.
- **Licence** Apache-2.0, as the course.
"""


def tiny_gan(folder: Path, work: Path, *, steps: int | None = None, seed: int = 0):
    """Train the GAN; `folder` gets its generator."""
    what = "The generator of a GAN (non-saturating loss, R1 with gamma 0.5)."
    steps = steps or 12_000
    _train("tiny-gan", what, Game, game_loss, folder, work, steps, seed, (0.0, 0.99))


def tiny_vae(folder: Path, work: Path, *, steps: int | None = None, seed: int = 0):
    """Train the VAE; `folder` gets its decoder."""
    what = "The decoder of a VAE, whose code is drawn from N(0, 1)."
    steps = steps or 15_000
    _train("tiny-vae", what, LatentVAE, elbo_loss, folder, work, steps, seed)


def _train(
    name: str,
    what: str,
    build: type[nn.Module],
    loss: training.Loss,
    folder: Path,
    work: Path,
    steps: int,
    seed: int,
    betas: tuple[float, float] = (0.9, 0.999),
    batch: int = 32,
    lr: float = 1e-3,
) -> None:
    net = the_vae(work.parent, steps=min(steps, 7000), seed=seed)
    torch.manual_seed(seed)
    model = build().to(memory_format=torch.channels_last)
    pictures = min(ALBUM, steps * batch)
    run = training.train(
        model,
        latent_batch(net, batch, pictures),
        loss,
        steps=steps,
        seed=seed,
        optimizer=torch.optim.Adam(model.parameters(), lr, betas, fused=True),
        save_to=work / "state.safetensors",
    )
    decoder = artifacts.follow(run, work, every=100).cpu().decoder
    facts = dict(name=name, what=what, z=Z, steps=steps, batch=batch, lr=lr, seed=seed)
    facts |= dict(parameters=sum(p.numel() for p in decoder.parameters()))
    facts |= dict(pictures=pictures * -(-steps // CHAPTER))
    weights = artifacts.half(decoder.state_dict())
    artifacts.store(folder, work, weights, {"z": Z}, CARD.format(**facts))


def the_vae(root: Path, **options: object) -> nn.Module:
    """The shipped model's AutoencoderKL; until there is one, the part being trained."""
    from diffusers import AutoencoderKL

    try:
        place = models.path("tiny") / "vae"
    except ValueError:
        place = components.part("vae", root, **options)
    return AutoencoderKL.from_pretrained(place).float().requires_grad_(False)


def latent_batch(net: nn.Module, n: int, pictures: int) -> training.Batch:
    """The function that draws n latents and as many codes."""

    @functools.lru_cache(maxsize=1)
    def chapter(number: int) -> Tensor:
        scenes = plain_scenes(pictures, number, "train")
        return encode(net, in_parts(toybox.render, scenes))

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        latents = chapter(generator.initial_seed() // CHAPTER)
        rows = torch.randint(len(latents), (n,), generator=generator)
        return latents[rows], torch.randn(n, Z, generator=generator)

    return batch
