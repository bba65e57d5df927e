"""What both recipes of garments share: their scores and their card."""

from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import data, measure
from course_utils.recipes import artifacts

SCORED = 1000  # pictures

CARD = """# {name}

{what} It draws
garments of 28x28 grey pixels. `models.network("{name}")` loads it.
{usage}

| {n} pictures, {walk} | made | held out | static |
|---|---|---|---|
| tiny-FID to 2000 training pictures | {tiny_fid:.3f} | {tiny_fid_real:.3f} | {tiny_fid_noise:.1f} |
| coverage (k = 5) | {coverage:.3f} | {coverage_real:.3f} | {coverage_noise:.3f} |
| precision | {precision:.3f} | {precision_real:.3f} | {precision_noise:.3f} |
| recall | {recall:.3f} | {recall_real:.3f} | {recall_noise:.3f} |
| classes that one picture in a hundred shows | {classes} | {classes_real} | {classes_noise} |
| distance to the nearest training picture | {nearest:.3f} | {nearest_real:.3f} | {nearest_noise:.3f} |

The features are judge-fashion's; a tiny-FID cannot be compared with a published FID.
The distance is the median of root mean squares over pixels in [-1, 1]. A network that
copies what it learnt from would lie much nearer to it than held-out pictures do.

- **Data** the {pictures} training pictures of `data.load("fashion")`, from
  Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, MIT licence).
- **Training** {training}
- **Parameters** {parameters:,}
- **On disk** safetensors in half precision; the scores above are those of this file.
"""  # noqa: E501


def halve(network: nn.Module) -> dict[str, Tensor]:
    """The weights as they are stored; the network has them too, to be scored."""
    weights = artifacts.half(network.state_dict())
    network.load_state_dict(weights)
    return weights


def store_scored(
    folder: Path, network: nn.Module, weights: dict, config: dict, made: Tensor
) -> dict:
    """Write a network with the scores of what it made; return them, for its card.

    config  "network", its class, and "options", which build it: see models.network
    """
    scores = score(made)
    config |= {"scores": {key: round(float(x), 4) for key, x in scores.items()}}
    artifacts.store(folder, weights, config)
    pictures = len(data.load("fashion").labels)
    parameters = sum(p.numel() for p in network.parameters())
    return scores | dict(pictures=pictures, parameters=parameters)


def score(made: Tensor) -> dict[str, float]:
    """The judge's report, and how near made, held-out and static lie to training."""
    train, test = data.load("fashion").images, data.load("fashion", "test").images
    generator = torch.Generator().manual_seed(0)
    static = torch.rand(made.shape, generator=generator) * 2 - 1
    sets = {"": made, "_real": test[: len(made)], "_noise": static}
    near = {
        key: nearest_distance(some, train).median().item() for key, some in sets.items()
    }
    report = measure.judge("fashion").report(made)
    return report | {f"nearest{key}": value for key, value in near.items()}


def nearest_distance(some: Tensor, others: Tensor) -> Tensor:
    """The distance (N,) of each picture to the nearest of the others, per pixel."""
    between = torch.cdist(some.flatten(1), others.flatten(1))
    return between.amin(1) / some[0].numel() ** 0.5
