"""latent-eye: what the trunk's alignment encoder sees, seen in the latents.

Through it the discriminators of lesson 04 look (Projected GANs, Sauer et al. 2021).
"""

import functools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import models, training
from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.rivals import shipped_vae
from course_utils.tiny.batches import encoded, load_alignment_encoder
from course_utils.tiny.judges import LatentEye
from course_utils.tiny.worlds import SMALL

CHAPTER, ALBUM = 750, 8192  # steps, after which new pictures are seen; how many
BATCH, RATE = 32, 2e-3
ROOT = Path("build/train")

CARD = """# latent-eye

Sees in the latents (4, 16, 16) of the miniature Stable Diffusion what its alignment
encoder sees in the pictures: maps (96, 8, 8). The discriminators of lesson 04 look
through it.

| | left of the maps' variance, of {n} held-out pictures |
|---|---|
| this eye | {left:.1%} |
| the mean map of other pictures | {floor:.1%} |

- **Data** one plain shape of the toybox on any ground, split "train".
- **Training** {steps} steps of {batch_size} pictures, Adam at {lr}, seed {seed}, the
  squared error of the maps, averaged weights. {parameters:,} parameters.
- **On disk** safetensors in half precision.
"""


def latent_eye(*, steps: int | None = None, seed: int = 0, root: Path = ROOT) -> Recipe:
    """Taught by tiny-sd's eye, on the latents of tiny-sd's VAE."""
    steps = steps or 3000
    vae = shipped_vae(root)
    teacher = load_alignment_encoder(models.path("tiny") / "eye")
    pictures = min(ALBUM, steps * BATCH)
    pairs = functools.partial(_pairs, vae, teacher)

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[Tensor, Tensor]:
        return pairs(pictures, number, "train")

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, Tensor]:
        latents, maps = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(latents), (BATCH,), generator=generator)
        return latents[rows].float(), maps[rows].float()

    def save(model: nn.Module, folder: Path) -> dict:
        artifacts.store(folder, artifacts.half(model.state_dict()), {})
        n = 500 if steps >= 500 else 20
        latents, maps = (x.float() for x in pairs(n, 1, "test"))
        with torch.no_grad():
            left = F.mse_loss(model(latents), maps).item()
        floor = (maps - maps.mean(0)).square().mean().item()
        spread = (maps - maps.mean((0, 2, 3), keepdim=True)).square().mean().item()
        parameters = sum(p.numel() for p in model.parameters())
        scores = dict(left=left / spread, floor=floor / spread)
        return scores | dict(n=n, parameters=parameters)

    return Recipe(
        model=LatentEye,
        batch=batch,
        loss=lambda model, latents, maps: F.mse_loss(model(latents), maps),
        save=save,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), RATE, fused=True),
        log_every=100,
    )


def _pairs(vae, teacher, n: int, seed: int, split: str) -> tuple[Tensor, Tensor]:
    """Latents and maps of n scenes, in half precision."""
    rng = np.random.default_rng([8, seed])
    scenes = SMALL.scenes(n, rng, split, things=1, pattern="plain")
    parts = [encoded(vae, teacher, scenes[i : i + 128]) for i in range(0, n, 128)]
    latents, maps = map(torch.cat, zip(*parts, strict=True))
    return latents, maps
