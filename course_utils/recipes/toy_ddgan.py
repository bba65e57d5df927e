"""toy-ddgan: the denoising diffusion GAN that lesson 08 compares with diffusion."""

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import toybox, training
from course_utils.images import save_sheet
from course_utils.models.pipelines import decode
from course_utils.recipes import artifacts
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.rivals import ALBUM, CHAPTER, ROOT, latent_batch, shipped_vae
from course_utils.recipes.toy_gan import adam, quick_loss, sample_scores
from course_utils.tiny.ddgans import CODE_SIZE, STEPS, DenoisingGame, draw_denoising
from course_utils.tiny.gans import big_toys
from course_utils.tiny.judges import shipped_eye

BATCH, PEAK = 96, 5e-4
# The first big step in which an eye looks, and the weight of R1. After 1,500 steps the
# paper's game draws blots, and with an eye in every step all grounds are one.
GAMES = {
    "late": (3, 0.5),
    "eye": (0, 0.5),
    "paper": (None, 0.05),
}

CARD = """# toy-ddgan

The generator of a denoising diffusion GAN (Xiao, Kreis and Vahdat 2022). It makes
latents (4, 16, 16) of the miniature Stable Diffusion in {calls} steps, at each of which
{z} new normal numbers choose what is drawn; the VAE of that model decodes them. Lesson
08 compares it with GAN, VAE and diffusion.

| of {n} samples, by the oracle's features | | true scenes |
|---|---|---|
| tiny-FID | {fid:.2f} | {true_fid:.2f} |
| precision | {precision:.2f} | {true_precision:.2f} |
| recall | {recall:.2f} | {true_recall:.2f} |
| coverage | {coverage:.2f} | {true_coverage:.2f} |
| exactly one toy | {one:.1%} | {true_one:.1%} |

- **Data** one big plain shape of the toybox on any ground, split "train", drawn as it
  is used: {pictures:,} pictures.
- **Training** {steps} steps of {batch_size} pictures, Adam at {lr} falling to zero,
  seed {seed}, averaged weights. {judged} {parameters:,} parameters are kept.
- **On disk** safetensors, a byte a weight and a scale a row.
"""
JUDGED = {
    "late": "The paper's discriminator (non-saturating loss, R1 with gamma 0.5)\n"
    "  judges each step; in the last one four small ones judge too, of which three\n"
    "  look through latent-eye (hinge loss, Sauer et al. 2021).",
    "eye": "The paper's discriminator (non-saturating loss, R1 with gamma 0.5)\n"
    "  judges each step; four small ones judge the x0 of each, of which three look\n"
    "  through latent-eye (hinge loss, Sauer et al. 2021).",
    "paper": "The paper's discriminator alone (non-saturating loss, R1 with\n"
    "  gamma 0.05) judges each step.",
}


def toy_ddgan(
    *, steps: int | None = None, seed: int = 0, root: Path = ROOT, game: str = "late"
) -> Recipe:
    """One of GAMES; its generator is kept."""
    steps = steps or 6450
    vae, pictures = shipped_vae(root), min(ALBUM, steps * BATCH)
    n = 1000 if steps >= 500 else 200

    def look(average: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        images = denoised_samples(average.generator, vae, n)
        save_sheet(sheet, images[:64])
        return {k: round(x, 4) for k, x in sample_scores(images).items()}, []

    def save(model: nn.Module, folder: Path) -> dict:
        seen = dict(pictures=pictures * -(-steps // CHAPTER))
        return keep_denoising(model.generator, vae, folder, n, game) | seen

    return Recipe(
        model=functools.partial(denoising_game, game),
        batch=functools.partial(
            with_step_noise, latent_batch(vae, BATCH, pictures, seed, CODE_SIZE)
        ),
        loss=quick_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=PEAK,
        ema=0.9995,
        decay=0.5,
        seed=seed,
        optimizer=functools.partial(adam, lr=PEAK),
        watch=lambda states, work: observed(states, look, work, every=5),
        log_every=100,
    )


def denoising_game(game: str = "late") -> DenoisingGame:
    """One of GAMES, with fresh weights."""
    if game not in GAMES:
        raise ValueError(f"game={game!r} must be one of {', '.join(GAMES)}")
    eye_from, gamma = GAMES[game]
    if eye_from is None:
        return DenoisingGame(gamma=gamma)
    return DenoisingGame(shipped_eye(), gamma, eye_from)


def with_step_noise(
    batch: training.Batch, generator: torch.Generator, step: int
) -> tuple[Tensor, ...]:
    """A batch with the noise of its big steps."""
    latents, z = batch(generator, step)
    noise = torch.randn(len(z), 3, *latents.shape[1:], generator=generator)
    return latents, noise, z


@torch.no_grad()
def denoised_samples(generator: nn.Module, vae: nn.Module, n: int) -> Tensor:
    """The same n walks as pictures (n, 3, 64, 64)."""
    rng = torch.Generator().manual_seed(4)
    device = next(generator.parameters()).device
    return decode(vae, draw_denoising(generator, n, rng, device)).cpu()


def keep_denoising(
    generator: nn.Module, vae: nn.Module, folder: Path, n: int, game: str
) -> dict:
    """Write the weights of a generator; what its card says of it."""
    artifacts.store_in_bytes(folder, artifacts.half(generator.state_dict()), {})
    true = sample_scores(toybox.render(big_toys(n, 2)))
    scores = sample_scores(denoised_samples(generator, vae, n))
    scores |= {f"true_{name}": x for name, x in true.items()}
    parameters = sum(p.numel() for p in generator.parameters())
    own = dict(z=CODE_SIZE, calls=STEPS, n=n, judged=JUDGED[game])
    return scores | own | dict(parameters=parameters)
