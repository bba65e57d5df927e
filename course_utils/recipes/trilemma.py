"""The rivals of diffusion in lesson 08: a GAN and a VAE of one plain shape.

They make the 16x16x4 latents of the miniature Stable Diffusion too, and its VAE decodes
them: they differ from it, and from each other, in nothing but the generator. The GAN's
generator is the same network as the VAE's decoder, and its discriminator the VAE's
encoder but for the last layer. Both start from a code z of Z numbers.
"""

import functools
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from course_utils import gan, models, toybox, training
from course_utils.recipes import parts, shelf
from course_utils.recipes.scenes import SMALL

Z = 32
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
- **Repeat it** `course train {name}` (course_utils/recipes/trilemma.py).
- **On disk** safetensors in half precision.
- **Licence** Apache-2.0, as the course.
"""


def plain_scenes(n: int, seed: int, split: str = "test") -> list[toybox.Scene]:
    """Draw n scenes of one plain shape each: what all the rivals are asked for."""
    rng = np.random.default_rng([8, seed])
    return SMALL.scenes(n, rng, split, things=1, pattern="plain")


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
    decoder = shelf.follow(run, work, every=100).cpu().decoder
    facts = dict(name=name, what=what, z=Z, steps=steps, batch=batch, lr=lr, seed=seed)
    facts |= dict(parameters=sum(p.numel() for p in decoder.parameters()))
    facts |= dict(pictures=pictures * -(-steps // CHAPTER))
    weights = shelf.half(decoder.state_dict())
    shelf.store(folder, work, weights, {"z": Z}, CARD.format(**facts))


def the_vae(root: Path, **options: object) -> nn.Module:
    """The shipped model's AutoencoderKL; until there is one, the part being trained."""
    from diffusers import AutoencoderKL

    try:
        place = models.path("tiny") / "vae"
    except ValueError:
        place = parts.part("vae", root, **options)
    return AutoencoderKL.from_pretrained(place).float().requires_grad_(False)


def latent_batch(net: nn.Module, n: int, pictures: int) -> training.Batch:
    """The function that draws n latents and as many codes."""

    @functools.lru_cache(maxsize=1)
    @torch.no_grad()
    def chapter(number: int) -> Tensor:
        scenes = plain_scenes(pictures, number, "train")
        groups = (scenes[i : i + 128] for i in range(0, pictures, 128))
        latents = [net.encode(toybox.render(s)).latent_dist.mode() for s in groups]
        return torch.cat(latents) * net.config.scaling_factor

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        latents = chapter(generator.initial_seed() // CHAPTER)
        rows = torch.randint(len(latents), (n,), generator=generator)
        return latents[rows], torch.randn(n, Z, generator=generator)

    return batch


@functools.cache
def shipped_decoder(name: str) -> nn.Module:
    """What "tiny-gan" and "tiny-vae" draw with: codes (B, Z) -> latents, frozen."""
    net = build_decoder()
    net.load_state_dict(load_file(models.path(name) / "model.safetensors"))
    return net.eval().requires_grad_(False)
