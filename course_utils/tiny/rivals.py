"""The rivals of diffusion in lesson 08: a GAN and a VAE of one plain shape.

They make the 16x16x4 latents of the miniature Stable Diffusion too, and its VAE decodes
them: they differ from it, and from each other, in nothing but the generator. The GAN's
generator is the same network as the VAE's decoder, and its discriminator the VAE's
encoder but for the last layer. Both start from a code z of Z numbers.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import diffusion, models, schedules, toybox
from course_utils.diffusion import solvers
from course_utils.images import read_sheet
from course_utils.methods import gan
from course_utils.models.pipelines import decode, guided
from course_utils.tiny.worlds import SMALL

Z = 32  # numbers of a code
SEEDS, EACH = 3, 54  # what diffusion draws: so many seeds, so many pictures each
GUIDANCE = 3.0


class Sampler(NamedTuple):
    """A way to draw with a diffusion model: how many steps, and which."""

    steps: int
    step: Callable[[], diffusion.Step]  # made for each walk: DPM-Solver++ remembers


SAMPLERS = {
    "DDPM-1000": Sampler(1000, lambda: diffusion.ddpm_step),
    "DDIM-20": Sampler(20, lambda: diffusion.ddim_step),
    "DPM++-10": Sampler(10, solvers.DPMSolver),
}


def plain_scenes(
    n: int, seed: int, split: str = "test", **choices: object
) -> list[toybox.Scene]:
    """Draw n scenes of one plain shape each: what all the rivals are asked for."""
    rng = np.random.default_rng([8, seed])
    return SMALL.scenes(n, rng, split, things=1, pattern="plain", **choices)


def build_decoder() -> nn.Sequential:
    """A code (B, Z) to latents (B, 4, 16, 16): DCGAN's, without the tanh; 0.6 M."""
    layers = list(gan.Generator(16, Z, width=48, channels=4))
    return nn.Sequential(*layers[:-1])  # latents are not bounded, as pictures are


def build_encoder(outputs: int) -> nn.Sequential:
    """Latents (B, 4, 16, 16) to `outputs` numbers each: 0.7 M."""
    layers = list(gan.Discriminator(16, width=32, channels=4))
    return nn.Sequential(*layers[:-1], nn.Linear(layers[-1].in_features, outputs))


class Game(nn.Module):
    """Generator and discriminator; one forward pass is one turn of the game."""

    def __init__(self):
        super().__init__()
        self.decoder, self.critic = build_decoder(), build_encoder(1)

    def forward(self, real: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both losses and R1, for latents (B, 4, 16, 16) and codes (B, Z).

        Each loss moves its own player only, so their sum can be minimised: D does not
        see where a fake comes from, and judges G with its weights held still.
        """
        fake = self.decoder(z)
        d_loss = gan.discriminator_loss(self.critic(real), self.critic(fake.detach()))
        still = {name: p.detach() for name, p in self.critic.named_parameters()}
        judged = torch.func.functional_call(self.critic, still, fake)
        some = real[: len(real) // 4].detach().requires_grad_()  # a quarter is enough
        steep = gan.r1_penalty(self.critic(some), some)
        return d_loss, gan.generator_loss(judged), steep


def game_loss(model: nn.Module, real: Tensor, z: Tensor, gamma: float = 0.5) -> Tensor:
    """The sum of both players' losses, and gamma R1 (Mescheder et al. 2018)."""
    d_loss, g_loss, steep = model(real, z)
    return d_loss + g_loss + gamma * steep


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


def shipped_decoder(name: str | Path) -> nn.Module:
    """What "tiny-gan" and "tiny-vae" draw with: codes (B, Z) -> latents, frozen."""
    return models.network(name, build_decoder)


def timesteps_of(sampler: str) -> list[int]:
    """The steps t of one of SAMPLERS, from noisy to clean, the end -1 included."""
    return [*diffusion.timesteps(1000, SAMPLERS[sampler].steps, "trailing"), -1]


def sample_plain(pipe, sampler: str, seed: int, n: int, timesteps: list[int]) -> Tensor:
    """Draw plain_scenes(n, seed) by one of SAMPLERS, (n, 3, 64, 64) in [-1, 1]."""
    captions = [scene.caption for scene in plain_scenes(n, seed)]
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

    Picture (k, i) is of plain_scenes(n, k)[i].
    """
    folder = folder or models.path("trilemma")
    n = json.loads((folder / "config.json").read_text(encoding="utf-8"))["n"]
    tiles = read_sheet(folder / f"{sampler}.png", n)
    return tiles.unflatten(0, (SEEDS, -1))
