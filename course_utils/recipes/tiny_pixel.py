"""tiny-pixel: the toybox drawn in pixels, for illusions and to compare with latents.

The recipe of the miniature Stable Diffusion without its VAE, in 32x32 pixels: a latent
cannot be flipped or turned as a picture can. Its text encoder is that of tiny, frozen.
The folder is an ordinary IFPipeline, the class of DeepFloyd IF, which draws in pixels.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from course_utils import models
from course_utils.models import difference
from course_utils.models.pipelines import draw, to_64
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.trunk import trunk_recipe
from course_utils.tiny.batches import (
    encoded_pixels,
    load_alignment_encoder,
    trunk_batch,
)
from course_utils.tiny.pipelines import pixel_pipeline
from course_utils.tiny.text import for_more_words, save_text
from course_utils.tiny.unet import SCHEDULE, Trunk, build_pixel_unet, step_weights
from course_utils.tiny.worlds import WHOLE
from course_utils.training import muon
from course_utils.training.speed import faster

BATCH, RATE = 32, 1.5e-3

CARD = """# tiny-pixel

A text-to-image model in 32x32 pixels of the toybox, without a VAE. Plain diffusers
loads it: `IFPipeline.from_pretrained(folder)(prompt, guidance_scale=3)`.

| right, of {n} held-out captions each | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle after enlarging to 64x64, DPM-Solver++, 20 steps, guidance 3.

- **Data** the toybox, split "train", drawn as it is used.
- **Parts** UNet2DConditionModel (32, 64, 96, 128), predicts v; of its six outputs three
  are not used (IFPipeline expects a variance there). CLIPTextModel and CLIPTokenizer
  are those of tiny-sd, for up to 77 tokens.
- **Training** {steps} steps of {batch_size} pictures, betas 1e-4 to 0.02, Muon
  at {lr}, seed {seed}, captions dropped in one of ten, aligned with the same
  encoder as tiny-sd, averaged weights.
- **On disk** what differs from tiny-sd, a byte a weight (`models.path` puts the folder
  together); progress.jsonl is what it could do when.
"""


def tiny_pixel(
    *, steps: int | None = None, seed: int = 0, tiny: Path | None = None
) -> Recipe:
    """The UNet that draws in pixels, told by the text encoder of the folder `tiny`.

    That is the shipped miniature Stable Diffusion, if not given.
    """
    tiny, steps = tiny or models.path("tiny"), steps or 3000
    aligned_with = load_alignment_encoder(tiny / "eye")
    channels = aligned_with.ground.in_features
    encoder, tokenizer = text_of(tiny)
    voice = pixel_pipeline(build_pixel_unet(), encoder, tokenizer)

    def listen(said: list[str]) -> Tensor:
        return voice.encode_prompt(said, False)[0]

    def draws(trunk: nn.Module, steps: int) -> Callable:
        pipe = pixel_pipeline(trunk.unet, encoder, tokenizer)
        return lambda captions: to_64(draw(pipe, captions, steps))

    def save(trunk: nn.Module, folder: Path) -> dict:
        pipe = pixel_pipeline(trunk.unet.half(), encoder.half(), tokenizer)
        with tempfile.TemporaryDirectory() as whole:
            pipe.save_pretrained(whole)
            save_text(encoder, tokenizer, Path(whole))
            difference.keep_difference(Path(whole), tiny, folder)
        return {}

    return trunk_recipe(
        model=lambda: faster(Trunk(build_pixel_unet(), None, channels, floor=2), steps),
        batch=trunk_batch(
            functools.partial(encoded_pixels, aligned_with),
            listen,
            WHOLE,
            BATCH,
            min(20_480, steps * BATCH),
            step_weights(SCHEDULE),
            seed,
        ),
        groups=functools.partial(muon.groups, lr=RATE),
        draws=draws,
        save=save,
        world=WHOLE,
        steps=steps,
        card=CARD,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
    )


def text_of(tiny: Path) -> tuple:
    """The text encoder and the tokenizer of a Stable Diffusion, for 77 tokens."""
    from transformers import CLIPTextModel, CLIPTokenizer

    return for_more_words(
        CLIPTextModel.from_pretrained(tiny / "text_encoder"),
        CLIPTokenizer.from_pretrained(tiny / "tokenizer"),
    )
