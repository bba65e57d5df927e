"""Lesson 06's diffusion, for longer: a small U-Net that draws garments of 28x28.

The lesson's batch, loss and schedule, with the class beside each picture: a tenth of
the time it is left out, so that the network can draw any class, or be guided.
"""

import functools
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import data, diffusion, measure, networks, schedules, training
from course_utils.images import in_parts
from course_utils.recipes import artifacts, garments
from course_utils.training.speed import half_is_faster

SCHEDULE = schedules.cosine(1000)
OPTIONS = dict(width=32, multipliers=(1, 2, 4), classes=10)
BATCH, LR = 64, 1.3e-3
WALK = 50  # steps of DDIM that draw each scored picture


def garments_ddpm(
    folder: Path, work: Path, *, steps: int | None = None, seed: int = 0
) -> None:
    """Train the U-Net to predict the noise in garments."""
    steps = steps or 5000
    torch.manual_seed(seed)
    unet = networks.UNet(**OPTIONS)
    if steps > 1000 and shutil.which("g++"):  # takes a minute, and then saves a sixth
        unet.compile()
    run = training.train(
        unet,
        functools.partial(batch, data.load("fashion")),
        loss,
        steps=steps,
        lr=LR,
        decay=0.2,
        seed=seed,
        save_to=work / "state.safetensors",
    )
    weights = artifacts.half(artifacts.follow(run, work).cpu().state_dict())
    unet = networks.UNet(**OPTIONS)
    unet.load_state_dict(weights)
    labels = torch.arange(garments.SCORED) % 10
    made, judge = draw_classes(unet.eval(), labels, seed), measure.judge("fashion")
    facts = dict(
        name="garments-ddpm",
        file="garments_ddpm",
        what="The U-Net of Ho et al. 2020, small: it predicts the noise in a picture.",
        usage="`network(x_t, t)` draws any class, `network(x_t, t, labels)` those of "
        f"labels (B,). The\njudge sees the class asked for in "
        f"{judge.accuracy(made, labels):.1%} of these pictures, and in "
        f"{judge.held_out_accuracy:.1%} of real\nones the class that they have.",
        walk=f"{WALK} steps of DDIM",
        training=f"{steps} steps of {BATCH} pictures, AdamW, rate {LR} that falls to "
        f"0 in the last\n  fifth, seed {seed}, averaged weights (0.999). Squared error "
        "of the noise, cosine\n  schedule of 1000 steps; the class is left out in a "
        "tenth.",
        parameters=sum(p.numel() for p in unet.parameters()),
    )
    config = {"network": "networks.UNet", "options": OPTIONS}
    config |= {"class_obeyed": round(judge.accuracy(made, labels), 4)}
    garments.keep(folder, work, made, weights, config, facts)


def batch(
    pictures: data.Pictures, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures, steps t, noise, and classes, of which a tenth is 10: any class."""
    rows = torch.randint(len(pictures.labels), (BATCH,), generator=generator)
    x0, labels = pictures.images[rows], pictures.labels[rows]
    t = torch.randint(SCHEDULE.T, (BATCH,), generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    told = torch.rand(BATCH, generator=generator) >= 0.1
    return x0, t, noise, labels.where(told, 10)


def loss(
    network: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, labels: Tensor
) -> Tensor:
    """The squared error of the predicted noise (Ho et al. 2020, eq. 14)."""
    x_t = diffusion.add_noise(x0, noise, t, SCHEDULE)
    with torch.autocast(x0.device.type, torch.bfloat16, half_is_faster(x0.device)):
        predicted = network(x_t, t, labels)
    return F.mse_loss(predicted.float(), noise)


def draw_classes(unet: nn.Module, labels: Tensor, seed: int) -> Tensor:
    """Draw a garment of each class in labels (B,): (B, 1, 28, 28) in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    x_T = torch.randn(len(labels), 1, 28, 28, generator=generator)

    def part(rows: Tensor) -> Tensor:
        asked = functools.partial(unet, labels=labels[rows])
        options = dict(step=diffusion.ddim_step, num_steps=WALK, clip=True)
        return diffusion.sample(asked, x_T[rows], SCHEDULE, **options).clamp(-1, 1)

    return in_parts(part, torch.arange(len(labels)), 100)
