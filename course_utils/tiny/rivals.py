"""The rivals of diffusion in lesson 08: a VAE of one big toy, and what all draw.

Like the GAN (tiny.gans) it makes the 16x16x4 latents of the miniature Stable Diffusion,
and its VAE decodes them: they differ in nothing but the generator.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils import diffusion, models, schedules
from course_utils.diffusion import solvers
from course_utils.images import read_sheet
from course_utils.methods import gan
from course_utils.models.pipelines import decode, guided
from course_utils.tiny.gans import big_toys

Z = 32  # numbers of a code
SEEDS, EACH = 5, 36  # what diffusion draws: so many seeds, so many pictures each
GUIDANCE = 3.0
DISTILLED = 4, 2, 1  # the steps in which tiny-lightning draws


class Sampler(NamedTuple):
    """A way to draw with a diffusion model: how many steps, and which."""

    steps: int
    step: Callable[[], diffusion.Step]  # made for each walk: DPM-Solver++ remembers


SAMPLERS = {
    "DDPM-1000": Sampler(1000, lambda: diffusion.ddpm_step),
    "DDIM-20": Sampler(20, lambda: diffusion.ddim_step),
    "DPM++-10": Sampler(10, solvers.DPMSolver),
}


def build_decoder() -> nn.Sequential:
    """A code (B, Z) to latents (B, 4, 16, 16): DCGAN's, without the tanh; 0.6 M."""
    layers = list(gan.Generator(16, Z, width=48, channels=4))
    return nn.Sequential(*layers[:-1])  # latents are not bounded, as pictures are


def build_encoder(outputs: int) -> nn.Sequential:
    """Latents (B, 4, 16, 16) to `outputs` numbers each: 0.7 M."""
    layers = list(gan.Discriminator(16, width=32, channels=4))
    return nn.Sequential(*layers[:-1], nn.Linear(layers[-1].in_features, outputs))


class LatentVAE(nn.Module):
    """A variational autoencoder of latents, with a code of Z numbers."""

    def __init__(self):
        super().__init__()
        self.decoder, self.encoder = build_decoder(), build_encoder(2 * Z)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Latents again, by way of a sampled code, and the KL to N(0, 1), (B,)."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        kl = (mean**2 + log_var.exp() - 1 - log_var).sum(1) / 2
        return self.decoder(mean + (log_var / 2).exp() * noise), kl


def elbo_loss(model: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    """Minus the evidence lower bound, per number of x, up to a constant.

    Kingma and Welling 2014, eq. 3, with a Gaussian decoder whose variance is the best
    there is, the mean squared error (Rybkin et al. 2021, eq. 7): nothing to tune.
    """
    drawn, kl = model(x, noise)
    error = (drawn - x).square().mean()
    return error.log() / 2 + kl.mean() / x[0].numel()


def shipped_decoder(name: str | Path = "tiny-vae") -> nn.Module:
    """What the VAE draws with: codes (B, Z) -> latents, frozen."""
    return models.network(name, build_decoder)


def timesteps_of(sampler: str) -> list[int]:
    """The steps t of one of SAMPLERS, from noisy to clean, the end -1 included."""
    _check_sampler(sampler)
    return [*diffusion.timesteps(1000, SAMPLERS[sampler].steps, "trailing"), -1]


def sample_plain(pipe, sampler: str, seed: int, n: int, timesteps: list[int]) -> Tensor:
    """Draw big_toys(n, seed) by one of SAMPLERS, (n, 3, 64, 64) in [-1, 1]."""
    _check_sampler(sampler)
    captions = [scene.caption for scene in big_toys(n, seed)]
    generator = torch.Generator().manual_seed(seed)
    x_T = torch.stack([torch.randn(4, 16, 16, generator=generator) for _ in captions])
    options = dict(timesteps=timesteps, predicts="v", generator=generator)
    images = []
    for i in range(0, n, 20):
        network = guided(pipe, captions[i : i + 20], GUIDANCE)
        start, plan = x_T[i : i + 20].to(pipe.device), schedules.linear()
        step = SAMPLERS[sampler].step()
        x0 = diffusion.sample(network, start, plan, step=step, **options)
        images.append(decode(pipe.vae, x0).cpu())
    return torch.cat(images)


def shipped_sheet(sampler: str, folder: Path | None = None) -> Tensor:
    """The shipped pictures of one of SAMPLERS, (SEEDS, n, 3, 64, 64) in [-1, 1].

    Picture (k, i) is of big_toys(n, k)[i].
    """
    _check_sampler(sampler)
    folder = folder or models.path("trilemma")
    n = json.loads((folder / "config.json").read_text(encoding="utf-8"))["n"]
    tiles = read_sheet(folder / f"{sampler}.png", n)
    return tiles.unflatten(0, (SEEDS, -1))


def distilled(steps: int):
    """A pipeline that draws in so many `steps`, one of DISTILLED, without guidance.

    The miniature Stable Diffusion with a UNet of tiny-lightning, and the scheduler that
    it wants (Lin et al. 2024, SDXL-Lightning): Euler, trailing; in one step it says x0.
    """
    from diffusers import EulerDiscreteScheduler, UNet2DConditionModel

    if steps not in DISTILLED:
        raise ValueError(f"steps={steps!r} must be one of {DISTILLED}")
    pipe = models.load("text-to-image", "tiny")
    place = models.path(f"tiny-lightning/{steps}")
    pipe.unet = UNet2DConditionModel.from_pretrained(place).requires_grad_(False)
    options = dict(timestep_spacing="trailing")
    options |= dict(prediction_type="sample") if steps == 1 else {}
    pipe.scheduler = EulerDiscreteScheduler.from_config(
        pipe.scheduler.config, **options
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _check_sampler(sampler: str) -> None:
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler={sampler!r} is not one of: {', '.join(SAMPLERS)}")
