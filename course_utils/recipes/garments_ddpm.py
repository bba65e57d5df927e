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

from course_utils import data, diffusion, measure, networks, schedules
from course_utils.images import in_parts
from course_utils.recipes import garments
from course_utils.recipes.recipe import Recipe
from course_utils.training.speed import half_is_faster

SCHEDULE = schedules.cosine(1000)
OPTIONS = dict(width=32, multipliers=(1, 2, 4), classes=10)
BATCH = 64
WALK = 50  # steps of DDPM that draw each scored picture
FACTS = dict(
    name="garments-ddpm",
    what="The U-Net of Ho et al. 2020, small: it predicts the noise in a picture.",
    walk=f"{WALK} steps of DDPM",
    training="{steps} steps of {batch_size} pictures, AdamW, rate {lr} that falls to "
    "0 in the\n  last fifth, seed {seed}, averaged weights (0.999). Squared error of "
    "the noise,\n  cosine schedule of 1000 steps; the class is left out in a tenth.",
)
USAGE = """`network(x_t, t)` draws any class, `network(x_t, t, labels)` those of labels, (B,).
The judge sees the class asked for in {:.1%} of these pictures, and in {:.1%} of real
ones the class that they have."""  # noqa: E501


def garments_ddpm(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The U-Net that predicts the noise in garments."""
    steps, train = steps or 5000, data.load("fashion")

    def build() -> nn.Module:
        unet = networks.UNet(**OPTIONS)
        if steps > 1000 and shutil.which("g++"):  # takes a minute, then saves a sixth
            unet.compile()
        return unet

    recipe = Recipe(
        model=build,
        batch=lambda generator, step: batch(train, generator),
        loss=loss,
        save=lambda model, folder: store_unet(model, folder, recipe),
        card=garments.CARD,
        steps=steps,
        batch_size=BATCH,
        lr=1.3e-3,
        decay=0.2,
        seed=seed,
    )
    return recipe


def store_unet(model: nn.Module, folder: Path, recipe: Recipe) -> dict:
    """Write the U-Net and the scores of SCORED pictures of it; return its card's."""
    unet = networks.UNet(**OPTIONS)  # `model` may be a compiled one
    unet.load_state_dict(model.state_dict())
    weights, labels = garments.halve(unet.eval()), torch.arange(garments.SCORED) % 10
    made, judge = draw_classes(unet, labels, recipe.seed), measure.judge("fashion")
    obeyed = judge.accuracy(made, labels)
    config = {"network": "networks.UNet", "options": OPTIONS}
    config |= {"class_obeyed": round(obeyed, 4)}
    facts = garments.store_scored(folder, unet, weights, config, made)
    training = FACTS["training"].format(**recipe.facts)
    usage = USAGE.format(obeyed, judge.held_out_accuracy)
    return FACTS | facts | dict(training=training, usage=usage)


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
    options = dict(num_steps=WALK, clip=True, generator=generator)

    def part(rows: Tensor) -> Tensor:
        asked = functools.partial(unet, labels=labels[rows])
        return diffusion.sample(asked, x_T[rows], SCHEDULE, **options).clamp(-1, 1)

    return in_parts(part, torch.arange(len(labels)), 100)
