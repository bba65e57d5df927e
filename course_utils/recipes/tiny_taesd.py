"""tiny-taesd: a small decoder, and encoder, of the same latents, as TAESD.

Its decoder costs a fraction of the VAE's; what it loses is measured in decibels.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.recipes import distilling
from course_utils.recipes.distilling import Shelf, in_pixels, shelf_of, trial_or
from course_utils.recipes.few_scores import exam, keeps
from course_utils.recipes.recipe import Made
from course_utils.training.captured import (
    Step,
    follow_weights,
    graph_adam,
    train_timed,
)

WIDTHS = (16, 16, 16)  # more cost more than the VAE itself
RATE, BATCH, STEPS, PICTURES = 2e-3, 64, 3310, 32_768

CARD = """# tiny-taesd

A diffusers AutoencoderTiny for the latents of tiny-sd:
`pipe.vae = AutoencoderTiny.from_pretrained(models.path("tiny-taesd"))`.

- **Data** pictures of the toybox, split "train", and the latents of tiny-sd's VAE.
- **Training** {steps} steps of {batch_size} pictures, seed {seed}, AdamW at {lr}; the
  decoder learns the pictures (L1 and squares), the encoder the latents (squares).
- **On disk** safetensors in half precision.
"""


def build_taesd() -> nn.Module:
    """An AutoencoderTiny with fresh weights, f = 4 as that of the VAE."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=WIDTHS,
        decoder_block_out_channels=WIDTHS,
        num_encoder_blocks=(1, 2, 4),
        num_decoder_blocks=(4, 2, 1),
        latent_channels=4,
    )


def autoencoding(shelf: Shelf, net, average, optimizer) -> Step:
    """The step takes pictures (B, 3, 64, 64) in [-1, 1] and the VAE's latents."""

    def step(pictures: Tensor, latents: Tensor) -> Tensor:
        with shelf.half():
            seen = net.decoder(latents).float()
            told = net.encoder(pictures).float()
        off = F.mse_loss(seen, pictures)
        loss = F.l1_loss(seen, pictures) + 4 * off + 0.1 * F.mse_loss(told, latents)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        follow_weights(average, net, distilling.MEMORY)
        return torch.stack([loss.detach(), off.detach()])

    return step


def learn_taesd(
    shelf: Shelf, keep, *, steps=None, seconds=math.inf, n=BATCH, **options
) -> tuple[nn.Module, int]:
    """Train it, as `learn_consistency`; keep(name, average) says its decibels."""
    fresh = build_taesd().to(shelf.device)
    if shelf.device.type == "cuda":
        fresh.to(memory_format=torch.channels_last)
    net, average = distilling.copied(fresh)
    optimizer = graph_adam([net], RATE)

    def draw() -> tuple[Tensor, Tensor]:
        rows = shelf.whole(n, len(shelf.latents))
        return in_pixels(shelf.pictures[rows]), shelf.latents[rows].float()

    done = train_timed(
        autoencoding(shelf, net, average, optimizer),
        draw,
        [optimizer],
        steps=steps,
        seconds=seconds,
        look=lambda: keep("taesd", average),
        label="taesd",
        **options,
    )
    print(f"taesd: {done} steps, {keep('taesd', average)}", flush=True)
    return average, done


def tiny_taesd(*, steps: int | None = None, seed: int = 0) -> Made:
    """Start from nothing; the latents are those of the shipped tiny-sd."""
    enough = steps or STEPS
    n = trial_or(BATCH, enough)

    def make(work: Path) -> nn.Module:
        torch.manual_seed(seed)
        place = shelf_of(min(PICTURES, enough * n), seed)
        keep = keeps(exam(place, trial_or(96, enough)))
        options = dict(steps=enough, n=n, log=work / "log.csv")
        return learn_taesd(place, keep, **options)[0]

    def save(net: nn.Module, folder: Path) -> dict:
        net.cpu().half().save_pretrained(folder)
        return {}

    facts = dict(steps=enough, batch_size=n, seed=seed, lr=RATE)
    return Made(make=make, save=save, card=CARD, facts=facts)
