"""The VAE of the miniature Stable Diffusion: 64x64 pictures to 16x16x4 latents."""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import measure, toybox, training
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.worlds import SMALL, WHOLE, World, album, numpy_rng
from course_utils.training import muon

CROPS = 0.72  # of all steps see parts of 32x32 pixels: as good, and four times faster

CARD = """# vae

The AutoencoderKL (f = 4, 4 channels) of the miniature Stable Diffusion: pictures of the
toybox, 64x64, to latents of mean 0 and variance 1, and back. Round trip of {n} held-out
scenes: {psnr:.2f} dB.

- **Data** the toybox, split "train", drawn as it is used.
- **Training** {steps} steps of 16 parts of 32x32 pixels or, at the end, 4 whole
  pictures, {optimizer}, rate {lr}, seed {seed}, averaged weights{refined}.
"""


def build_vae() -> nn.Module:
    """A diffusers AutoencoderKL with fresh weights: f = 4, 4 channels, 0.65 M."""
    from diffusers import AutoencoderKL

    net = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=64,
        scaling_factor=1.0,  # `whiten` sees to that
    )
    with torch.no_grad():
        net.quant_conv.bias[4:].fill_(-5.0)  # log-variance: begin almost without noise
    return net


class Autoencoder(nn.Module):
    """What is trained: a picture to its latent distribution, and back from a sample."""

    def __init__(self, vae: nn.Module):
        super().__init__()
        self.vae = vae

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W), (B, 4, H/4, W/4) -> pictures and mean KL (B,)."""
        latent = self.vae.encode(images).latent_dist
        kl = (latent.mean**2 + latent.var - 1 - latent.logvar).mean((1, 2, 3)) / 2
        return self.vae.decode(latent.mean + latent.std * noise).sample, kl


def vae_loss(model: nn.Module, images: Tensor, noise: Tensor) -> Tensor:
    """L1 + 2 MSE + 5e-4 KL: the last keeps the latents near N(0, 1)."""
    drawn, kl = model(images, noise)
    error = drawn - images
    return error.abs().mean() + 2 * error.square().mean() + 5e-4 * kl.mean()


def vae(*, steps: int | None = None, seed: int = 0, small: bool = False) -> Recipe:
    """The VAE: trained, whitened, and unless it is small, its decoder refined.

    With Muon 800 steps are worth 3000 of AdamW (docs/speedrun.md); the weights that the
    course ships were there before.
    """
    world, enough = (SMALL, 800) if small else (WHOLE, 11_000)
    steps = steps or enough
    rng = torch.Generator().manual_seed(seed + 1)
    n = 500 if steps >= 500 else 20

    rate = 5e-3 if small else 2e-3

    def whitened(net: nn.Module) -> nn.Module:
        whiten(net, toybox.render(world.scenes(n, numpy_rng(rng))))
        return net

    def save(model: nn.Module, folder: Path) -> dict:
        net = whitened(model.vae) if small else model.vae
        net.save_pretrained(folder)
        ratio = psnr_of(net, toybox.render(world.scenes(n, numpy_rng(rng), "test")))
        more = ";\n  then the decoder alone, for as many steps"
        facts = dict(n=n, psnr=ratio, refined="" if small else more)
        return facts | dict(optimizer="Muon" if small else "AdamW")

    def learning(build: Callable, seed: int, then: Callable | None = None) -> Recipe:
        return Recipe(
            model=lambda: Autoencoder(build()).to(memory_format=torch.channels_last),
            batch=functools.partial(crops, world, steps, seed),
            loss=vae_loss,
            save=save,
            card=CARD,
            steps=steps,
            batch_size=16,
            lr=rate,
            ema=0.995 if small else 0.999,
            seed=seed,
            optimizer=functools.partial(muon.optimizer, lr=rate) if small else None,
            choices={"small": small},
            then=then,
        )

    def refining(model: nn.Module) -> Recipe:
        return learning(lambda: decoder_only(whitened(model.vae)), seed + 1)

    return learning(build_vae, seed, None if small else refining)


def decoder_only(net: nn.Module) -> nn.Module:
    """Freeze the encoder and let the decoder learn on: latents stay what they are.

    So a diffusion model that is at work in these latents already need not notice.
    """
    net.requires_grad_(True)
    net.encoder.requires_grad_(False)
    net.quant_conv.requires_grad_(False)
    return net


def crops(
    world: World, steps: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, Tensor]:
    """Pictures and noise: 16 parts of 32x32, or at the end of training 4 whole ones."""
    _, images = album(world, training.chapter(seed, step, 256))
    whole = step >= CROPS * steps
    n = 4 if whole else 16
    images = images[torch.randint(len(images), (n,), generator=generator)]
    if not whole:
        corners = torch.randint(33, (n, 2), generator=generator).tolist()
        pairs = zip(images, corners, strict=True)
        images = torch.stack([x[:, i : i + 32, j : j + 32] for x, (i, j) in pairs])
    side = images.shape[-1] // 4
    return images, torch.randn(n, 4, side, side, generator=generator)


@torch.no_grad()
def whiten(net: nn.Module, images: Tensor) -> None:
    """Give each latent channel mean 0 and variance 1, so that scaling_factor is 1.

    z = (y - mean) / std is a 1x1 convolution of y, and the encoder ends with one; its
    inverse goes into the one that the decoder begins with.
    """
    latents = net.encode(images).latent_dist.mean  # (B, 4, 16, 16)
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    into, out = net.quant_conv, net.post_quant_conv
    into.bias[:4] -= mean
    into.bias[:4] /= std
    into.weight[:4] /= std.view(4, 1, 1, 1)
    into.bias[4:] -= 2 * std.log()  # log-variances
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= std.view(1, 4, 1, 1)


@torch.no_grad()
def psnr_of(net: nn.Module, images: Tensor) -> float:
    """Peak signal-to-noise ratio of the round trip in dB, the mean over pictures."""
    drawn = net.decode(net.encode(images).latent_dist.mode()).sample.clamp(-1, 1)
    return measure.psnr(drawn, images).mean().item()
