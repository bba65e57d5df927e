"""toy-gan: the GAN that lesson 04 edits with and lesson 08 compares with diffusion."""

import functools
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import measure, oracle, session, toybox, training
from course_utils.images import save_sheet
from course_utils.models.pipelines import decode, encode
from course_utils.recipes import artifacts
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.rivals import (
    ALBUM,
    BATCH,
    CHAPTER,
    RATE,
    ROOT,
    latent_batch,
    shipped_vae,
)
from course_utils.tiny.gans import ProjectedGame, ToyGAN, Z, big_toys
from course_utils.tiny.judges import shipped_eye
from course_utils.training.speed import half_is_faster

SCORES = "precision", "recall", "coverage", "fid", "one"
GIVEN_BACK = 16  # of a batch, so many must be given back

CARD = """# toy-gan

The generator of a GAN, and the encoder that was trained beside it. It makes latents
(4, 16, 16) of the miniature Stable Diffusion from {z} normal numbers; the VAE of that
model decodes them. Lesson 04 edits with it, lesson 08
compares it with diffusion.

| of {n} samples, by the oracle's features | | true scenes |
|---|---|---|
| tiny-FID | {fid:.2f} | {true_fid:.2f} |
| precision | {precision:.2f} | {true_precision:.2f} |
| recall | {recall:.2f} | {true_recall:.2f} |
| coverage | {coverage:.2f} | {true_coverage:.2f} |
| exactly one toy | {one:.1%} | {true_one:.1%} |
| of scenes given back, all attributes right | {given_back:.1%} | |

- **Data** one big plain shape of the toybox on any ground, split "train", drawn as it
  is used: {pictures:,} pictures.
- **Training** {steps} steps of {batch_size} pictures, Adam at {lr} falling to zero,
  seed {seed}, averaged weights. A plain discriminator (non-saturating loss, R1 with
  gamma 0.5), and four small ones with hinge losses, three of which look through
  latent-eye (Sauer et al. 2021). {given} pictures a step must be given back (VAE/GAN,
  Larsen et al. 2016). {parameters:,} parameters are kept.
- **On disk** safetensors, a byte a weight and a scale a row.
"""


def toy_gan(*, steps: int | None = None, seed: int = 0, root: Path = ROOT) -> Recipe:
    """The GAN; its generator and its encoder are kept."""
    steps = steps or 10_000
    vae = shipped_vae(root)
    pictures, n = min(ALBUM, steps * BATCH), 1000 if steps >= 500 else 200
    batch = latent_batch(vae, BATCH, pictures, seed, Z)

    def look(average: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        images = samples_of(average.players.generator, vae, n)
        save_sheet(sheet, images[:64])
        scores = sample_scores(images) | given_back(average.players, vae, n // 4)
        return {k: round(x, 4) for k, x in scores.items()}, []

    def save(model: nn.Module, folder: Path) -> dict:
        artifacts.store_in_bytes(folder, artifacts.half(model.players.state_dict()), {})
        true = sample_scores(toybox.render(big_toys(n, 2)))
        scores = sample_scores(samples_of(model.players.generator, vae, n))
        scores |= {f"true_{name}": x for name, x in true.items()}
        scores |= given_back(model.players, vae, n)
        parameters = sum(p.numel() for p in model.players.parameters())
        seen = pictures * -(-steps // CHAPTER)
        return scores | dict(z=Z, n=n, parameters=parameters, pictures=seen)

    return Recipe(
        model=lambda: ProjectedGame(shipped_eye()),
        batch=functools.partial(with_noise, batch),
        loss=quick_loss,
        save=save,
        card=CARD.replace("{given}", str(GIVEN_BACK)),
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        decay=0.6,
        seed=seed,
        optimizer=adam,
        watch=lambda states, work: observed(states, look, work, every=5),
        log_every=100,
    )


def with_noise(
    batch: training.Batch, generator: torch.Generator, step: int
) -> tuple[Tensor, ...]:
    """A batch, and noise for the codes of those of it that must be given back."""
    return *batch(generator, step), torch.randn(GIVEN_BACK, Z, generator=generator)


def quick_loss(game: nn.Module, *batch: Tensor) -> Tensor:
    """What the players pay, in half precision where that is faster."""
    kind, half = session.device.type, half_is_faster(session.device)
    with torch.autocast(kind, torch.bfloat16, enabled=half):
        return game(*batch)


def adam(model: nn.Module, lr: float = RATE) -> torch.optim.Optimizer:
    """Adam without momentum, for the players of a game."""
    learn = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(learn, lr, (0.0, 0.99), fused=True)


@torch.no_grad()
def samples_of(generator: nn.Module, vae: nn.Module, n: int) -> Tensor:
    """The same n codes as pictures (n, 3, 64, 64)."""
    codes = torch.randn(n, Z, generator=torch.Generator().manual_seed(4))
    return torch.cat([decode(vae, generator(z)) for z in codes.split(50)])


@torch.no_grad()
def given_back(players: ToyGAN, vae: nn.Module, n: int) -> dict[str, float]:
    """Of n scenes that are encoded and generated: how many keep all attributes."""
    scenes = big_toys(n, 3)
    latents = encode(vae, toybox.render(scenes))
    codes = torch.cat([players.encoder(x)[0] for x in latents.split(50)])
    again = torch.cat([decode(vae, players.generator(z)) for z in codes.split(50)])
    if only_light(again):
        return {"given_back": math.nan}
    return {"given_back": measure.attribute_accuracy(again, scenes)["all"]}


def only_light(images: Tensor) -> bool:
    """Has no picture anything dark yet? In the first minute: it is not to be read."""
    return bool(images.amin() >= 0)


def sample_scores(images: torch.Tensor) -> dict[str, float]:
    """How like the true scenes, as many, these pictures are as a set."""
    if only_light(images):
        return dict.fromkeys(SCORES, math.nan)
    true = oracle.features(toybox.render(big_toys(len(images), 1)))
    found = oracle.features(images)
    one = sum(seen["count"] == 1 for seen in oracle.read(images)) / len(images)
    scores = measure.prdc(true, found, k=min(5, len(images) // 4))
    return scores | dict(fid=measure.fid(true, found), one=one)
