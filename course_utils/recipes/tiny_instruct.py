"""tiny-instruct: the miniature Stable Diffusion learns to follow instructions.

InstructPix2Pix (Brooks et al. 2023): eight inputs, the picture's part of weight zero at
first. Kept is only what differs from tiny-sd, in bytes (models/difference.py).
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import save_sheet
from course_utils.measure.edits import KINDS, edit_scores, triples
from course_utils.methods.instruct_pix2pix import carry_out, widen
from course_utils.models import difference
from course_utils.models.pipelines import encode
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.instruct import (
    Instructed,
    instruct_batch,
    instruct_loss,
    rendered_pairs,
)
from course_utils.tiny.pipelines import instruct_pipeline, save
from course_utils.tiny.text import tokenise
from course_utils.training import muon
from course_utils.training.speed import faster

BATCH, RATE, PAIRS = 32, 1e-3, 24_576

CARD = """# tiny-instruct

An InstructPix2Pix of the toybox: a 64x64 picture and an instruction in, the edited
picture out. `models.path("tiny-instruct")` puts the ordinary folder together, and plain
diffusers loads it:
`StableDiffusionInstructPix2PixPipeline.from_pretrained(folder)(text, image)`.

| of {n} edits that were never seen | {names} | all |
|---|{lines}---|
| success | {success} |
| the rest kept | {preservation} |

Read by the oracle; DPM-Solver++, 20 steps, guidance 3 and 1.5.

- **Data** true renders of the toybox, split "train", before and after a random edit of
  nine kinds; instructions in varied words.
- **Parts** those of tiny-sd; UNet2DConditionModel with eight inputs and the text
  encoder learn on.
- **Training** {steps} steps of {batch_size} pairs, Muon at {lr}, seed {seed}; words,
  picture, or both left out in 5 % each; averaged weights.
- **On disk** the difference to tiny-sd, a byte a weight and a scale a row, safetensors.
"""


def tiny_instruct(
    *, steps: int | None = None, seed: int = 0, tiny: Path | None = None
) -> Recipe:
    """Start from the folder `tiny`, the shipped miniature if not given."""
    tiny, steps = tiny or models.path("tiny"), steps or 3600
    pipe = models.load("text-to-image", tiny)
    look_in = functools.partial(encode, pipe.vae)
    pairs = min(PAIRS, steps * BATCH)

    def album(number: int) -> tuple:
        return rendered_pairs(look_in, pairs, number)

    def write(model: nn.Module, folder: Path) -> dict:
        ready = as_pipeline(pipe, model)
        scores = scored_edits(ready, 210 if steps >= 500 else 7)
        with tempfile.TemporaryDirectory() as whole:
            save(ready, Path(whole))
            difference.keep_difference(Path(whole), tiny, folder)
        return scores

    return instruct_recipe(
        pipe,
        album,
        save=write,
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
    )


def as_pipeline(pipe, model: nn.Module):
    """The pipeline of an Instructed, its other parts those of `pipe`."""
    return instruct_pipeline(model.unet, model.text, pipe.vae, pipe.tokenizer)


def instruct_recipe(
    pipe, album: Callable, *, steps: int, seed: int, **rest: object
) -> Recipe:
    """The recipe of an Instructed that starts from `pipe`, whatever its pairs are.

    album is as instruct_batch has it.
    """

    def build() -> nn.Module:
        parts = widen(pipe.unet), pipe.text_encoder
        model = Instructed(*parts).float().train().requires_grad_(True)
        return faster(model, steps)

    def groups(model: nn.Module) -> list[dict]:
        text = muon.groups(model.text, 0.3 * RATE)
        return muon.groups(model.unet, RATE) + text

    def watch(states, work: Path):
        look = functools.partial(_look, pipe, 70 if steps >= 500 else 7)
        return observed(states, look, work, 20)

    return Recipe(
        model=build,
        batch=instruct_batch(
            album, functools.partial(tokenise, pipe.tokenizer), BATCH, seed
        ),
        loss=instruct_loss,
        steps=steps,
        seed=seed,
        ema=0.999,
        decay=0.3,
        optimizer=lambda model: muon.Muon(groups(model)),
        log_every=100,
        watch=watch,
        share=1,
        **rest,
    )


def _look(pipe, n: int, average: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
    """n edits, some of them on a sheet, before and after, and what all score."""
    some = triples(n)
    images = edited_triples(as_pipeline(pipe, average), some, 10)
    before = toybox.render([triple.scene for triple in some])
    save_sheet(sheet, torch.stack([before, images], 1).flatten(0, 1)[:64])
    return _means(edit_scores(images, some)), [t.instruction for t in some[:32]]


def edited_triples(pipe, some: list, steps: int, seed: int = 0) -> Tensor:
    """What the pipeline makes of triples, 28 at a time."""
    before = toybox.render([triple.scene for triple in some])
    noise = torch.randn(
        len(some), 4, 16, 16, generator=torch.Generator().manual_seed(seed)
    )
    asked, found = [triple.instruction for triple in some], []
    for i in range(0, len(some), 28):
        part = slice(i, i + 28)
        options = dict(num_steps=steps, noise=noise[part])
        found.append(carry_out(pipe, before[part], asked[part], **options))
    return torch.cat(found)


def scored_edits(pipe, n: int) -> dict:
    """Success and preservation of n edits, by kind and in all, as the card has them."""
    some = triples(n)
    found = edit_scores(edited_triples(pipe, some, 20), some)
    result = dict(n=n, names=" | ".join(KINDS), lines="---|" * len(KINDS))
    for name in ("success", "preservation"):
        kinds = [found[name][k :: len(KINDS)].mean() for k in range(len(KINDS))]
        cells = [*kinds, found[name].mean()]
        result[name] = " | ".join(f"{x:.0%}" for x in cells)
    return result


def _means(scores: dict) -> dict:
    return {name: round(x.nanmean().item(), 4) for name, x in scores.items()}
