"""The miniature Stable Diffusion: from nothing to text-to-image on two CPU cores."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import training
from course_utils.models.pipelines import draw
from course_utils.recipes.components import (
    Components,
    load_components,
    train_components,
)
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.trunk import trunk_recipe
from course_utils.tiny import text
from course_utils.tiny.batches import encoded, trunk_batch
from course_utils.tiny.pipelines import pipeline, save
from course_utils.tiny.unet import SCHEDULE, Trunk, build_unet, step_weights
from course_utils.tiny.worlds import SMALL, WHOLE, World
from course_utils.training import muon
from course_utils.training.speed import faster

ABLATIONS = ("alignment", "weighting", "muon")
BATCH, RATE = 32, 1.5e-3
ADAMW_RATE = 1e-3  # at Muon's it diverges: docs/speedrun.md
THIN = dict(channels=(32, 96, 128), listens=(False, True, False))

CARD = """# tiny-sd

A miniature Stable Diffusion: 64x64 pictures of the toybox from captions in its words.
Plain diffusers loads it:
`StableDiffusionPipeline.from_pretrained(folder)(prompt, guidance_scale=3)`.

| right, of {n} held-out captions each | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle, DPM-Solver++, 20 steps, guidance 3.

## With other people's tools

Any scheduler of diffusers can be put in its place: scheduler_config.json says
`clip_sample: false`, as that of Stable Diffusion 1.5, because latents go far beyond 1.
PNDM needs more steps than the others. A ControlNet starts from the UNet with one
option, because here f is 4, not 8:
`ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(16, 32, 96))`.

The training scripts of diffusers want pictures in folders: `course_utils.toybox.export`
writes them, and says which columns to name. Their default rates are for larger models.
With AdamW and batches of 4, a ControlNet learns at 1e-3 in 300 steps, the token of
Textual Inversion at 5e-3, a LoRA of rank 4 at 4e-3.

## How it was made

- **Data** the toybox, split "train", drawn as it is used: {toys} toys, up to {most} at
  once. Combinations of toy and colour that are held out are in toybox.HELD_OUT.
- **Parts** AutoencoderKL (f = 4, 4 channels), CLIPTextModel (3 layers, 128 wide) and
  CLIPTokenizer (the toybox's words), UNet2DConditionModel {channels}.
- **Training** {steps} steps of {batch_size} pictures, v-prediction, betas 1e-4 to 0.02,
  Muon at {lr}, seed {seed}, captions dropped in one of ten, averaged weights.
  The cost below is the UNet's, after its components.
- **On disk** safetensors in half precision; progress.jsonl is what it could do when.
"""


def tiny_sd(
    *,
    steps: int | None = None,
    seed: int = 0,
    small: bool = False,
    without: str = "",
    root: Path = Path("build/train"),
) -> Recipe:
    """The miniature Stable Diffusion; its components come first, in folders of `root`.

    The small one is built for speed (docs/speedrun.md): a thinner UNet, that looks at
    the caption where latents are 8x8, and a text encoder that has learnt enough.
    `without` one of ABLATIONS it stops after two thirds of the steps: long enough to
    see whether it is missed (lesson 09).
    """
    if without not in ("", *ABLATIONS):
        known = ", ".join(ABLATIONS)
        raise ValueError(f"without must be one of {known}, not {without!r}")
    folders = train_components(root, steps=steps, seed=seed, small=small)
    parts, world = load_components(folders), SMALL if small else WHOLE
    steps = steps or enough(small, without)
    channels = parts.alignment_encoder.ground.in_features
    pictures, weights = 8192 if small else 20_480, step_weights(SCHEDULE)
    rate = 2 * RATE if small else RATE
    rate = ADAMW_RATE if without == "muon" else rate

    def model() -> nn.Module:
        parts.text_encoder.requires_grad_(not small)
        unet = build_unet(**THIN) if small else build_unet()
        return faster(Trunk(unet, parts.text_encoder, channels), steps)

    def groups(trunk: nn.Module) -> list[dict]:
        found = trunk_groups(trunk, without != "muon", rate)
        return found[:2] if small else found  # the others are the text encoder's

    pictures = min(pictures, steps * BATCH)  # in a trial few are enough
    if without == "weighting":
        weights = torch.ones_like(weights)
    return trunk_recipe(
        model=model,
        batch=trunk_batches(parts, world, pictures, weights, seed),
        groups=groups,
        draws=functools.partial(trunk_draws, parts),
        save=functools.partial(_save, parts, folders["alignment-encoder"], world),
        world=world,
        steps=steps,
        align=0.0 if without == "alignment" else 0.5,
        decay=0.0 if without else 1 / 3,
        every=10 if small else 30,
        scored=2 if without else 250,
        card=CARD,
        batch_size=BATCH,
        lr=rate,
        seed=seed,
        choices=dict(small=small, without=without),
    )


def enough(small: bool, without: str = "") -> int:
    """How many steps; without something, until the rate would begin to fall."""
    steps = 1500 if small else 12_500
    return steps * 2 // 3 if without else steps


def trunk_batches(
    parts: Components, world: World, pictures: int, weights: Tensor, seed: int
) -> training.Batch:
    """`trunk_batch` of so many pictures of the world, encoded by the components."""
    encode = functools.partial(encoded, parts.vae, parts.alignment_encoder)
    listen = functools.partial(text.tokenise, parts.tokenizer)
    return trunk_batch(encode, listen, world, BATCH, pictures, weights, seed)


def _save(
    parts: Components, encoder: Path, world: World, trunk: nn.Module, folder: Path
) -> dict:
    """Write the pipeline, and the folder of the encoder that it was aligned with."""
    save(pipeline(trunk, parts.vae.cpu(), parts.tokenizer), folder)
    shutil.copytree(encoder, folder / "eye", dirs_exist_ok=True)
    sizes = tuple(trunk.unet.config.block_out_channels)
    return dict(toys=len(world.toys), most=world.most, channels=sizes)


def trunk_groups(trunk: nn.Module, turn: bool, rate: float = RATE) -> list[dict]:
    """Muon's groups: the text encoder has learnt already, and learns on more slowly."""
    fresh = nn.ModuleList([trunk.unet, trunk.head])
    return muon.groups(fresh, rate, turn) + muon.groups(trunk.text, 0.3 * rate, turn)


def trunk_draws(parts: Components, trunk: nn.Module, steps: int) -> Callable:
    """A function of captions: pictures by the trunk as it is now."""
    net = parts.vae.to(next(trunk.parameters()).device)
    pipe = pipeline(trunk, net, parts.tokenizer)
    return functools.partial(draw, pipe, steps=steps)
