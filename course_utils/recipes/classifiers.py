"""The judges: small classifiers of the real data, trained on its training half."""

import functools
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import data, measure
from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Recipe

ABOUT = {
    "digits": (
        "scikit-learn's 8x8 handwritten digits",
        "1257 of the 1797 digits of scikit-learn's load_digits (Alpaydin and Kaynak,\n"
        "  Optical Recognition of Handwritten Digits, UCI, CC BY 4.0); the other 540\n"
        "  are held out.",
    ),
    "fashion": (
        "Fashion-MNIST, padded to 32x32",
        "the 60000 training pictures of Fashion-MNIST (Xiao, Rasul and Vollgraf 2017,\n"
        "  MIT licence); the 10000 test pictures are held out.",
    ),
}
CARD = """# judge-{name}

A small convolutional classifier of {source}.
The course measures with it: its labels say which classes a generator reaches, its last
hidden layer ({features} numbers, of mean 0 and variance 1 over what it was trained
on) is the space of tiny-FID, tiny-KID, precision, recall, density and coverage. A
tiny-FID cannot be compared with a published FID.

| | |
|---|---|
| read correctly, of {held_out_n} held-out pictures | {held_out_accuracy:.2%} |
| read correctly, of the training pictures | {train_accuracy:.2%} |
| mean confidence on held-out pictures | {confidence_real:.3f} |
| mean confidence on static | {confidence_noise:.3f} |
| tiny-FID of {n} held-out pictures | {tiny_fid_real:.3f} |
| the same of static | {tiny_fid_noise:.1f} |
| coverage of {n} held-out pictures (k = 5) | {coverage_real:.3f} |
| parameters | {parameters:,} |

Confidence is no test of reality: look at static's. Compare sets, not single pictures.

- **Data** {data}
- **Training** {steps} steps of {batch_size} pictures, AdamW, rate {lr}, seed {seed},
  averaged weights. Pictures are turned by up to {degrees:g} degrees, shifted and scaled
  by up to {percent:g} %{flip}, and get a little
  noise (0.1); labels are smoothed by 0.05.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""


def judge_digits(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The classifier of the handwritten digits."""
    net = dict(size=8, channels=[32, 64], features=32, classes=10)
    return _classifier("digits", net, steps or 1500, seed, strength=1.0, flip=False)


def judge_fashion(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The classifier of Fashion-MNIST."""
    net = dict(size=32, channels=[24, 48, 64], features=32, classes=10)
    return _classifier("fashion", net, steps or 4000, seed, strength=0.3, flip=True)


def _classifier(
    name: str, net: dict, steps: int, seed: int, strength: float, flip: bool
) -> Recipe:
    train, test = data.load(name, "train"), data.load(name, "test")
    source, about = ABOUT[name]
    known = dict(name=name, source=source, data=about, degrees=10 * strength)
    known |= dict(percent=10 * strength)
    known |= dict(flip=", mirrored half of the time" if flip else "")

    def save(model: nn.Module, folder: Path) -> dict:
        weights = artifacts.half(model.state_dict())
        config = {"net": net, "classes": data.NAMES[name]}
        classifier = measure.build(name, weights, config)
        config |= {"held_out_accuracy": round(classifier.accuracy(*test), 4)}
        config |= {"held_out_n": len(test.labels)}
        artifacts.store(folder, weights, config)
        return known | _scores(classifier, train, test) | config

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        return augmented(train, 128, generator, strength, flip)

    return Recipe(
        model=functools.partial(measure.ClassifierNet, **net),
        batch=batch,
        loss=classification_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=128,
        lr=2e-3,
        seed=seed,
    )


def _scores(judge: measure.Judge, train: data.Pictures, test: data.Pictures) -> dict:
    """Return what the model card says of the finished judge."""
    parameters = sum(p.numel() for p in judge.net.parameters())
    facts = dict(train_accuracy=judge.accuracy(*train), parameters=parameters)
    facts |= dict(features=judge.features(test.images[:1]).shape[1])
    return facts | judge.report(test.images[:540])


def augmented(
    pictures: data.Pictures,
    n: int,
    generator: torch.Generator,
    strength: float = 1.0,
    flip: bool = False,
) -> tuple[Tensor, Tensor]:
    """Draw n pictures, each a little turned, shifted, scaled and noisy; and labels.

    At strength 1: turned by up to 10 degrees, shifted and scaled by up to a tenth.
    """
    rows = torch.randint(len(pictures.labels), (n,), generator=generator)
    u = torch.rand(n, 5, generator=generator) * 2 - 1  # each in [-1, 1]
    angle, scale = math.radians(10) * strength * u[:, 0], 1 + 0.1 * strength * u[:, 1]
    across, down = 0.2 * strength * u[:, 2:4].T  # the width is 2, so 0.2 is a tenth
    mirror = u[:, 4].sign() if flip else torch.ones(n)
    matrix = torch.stack(
        [scale * angle.cos() * mirror, -angle.sin(), across]
        + [angle.sin() * mirror, scale * angle.cos(), down],
        dim=1,
    ).view(n, 2, 3)  # where each pixel comes from
    images = pictures.images[rows] + 1  # sampling outside gives 0, and paper is -1
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False) - 1
    noise = torch.randn(moved.shape, generator=generator)
    return moved + 0.1 * noise, pictures.labels[rows]


def classification_loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with smoothed labels: never quite sure, so never absurdly sure."""
    return F.cross_entropy(model(images), labels, label_smoothing=0.05)
