"""text-gan: a GAN that is told what to draw, and its three ablations (lesson 04)."""

import functools
import json
import shutil
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import oracle, toybox, training
from course_utils.images import in_parts, save_sheet
from course_utils.models.difference import MARK
from course_utils.models.pipelines import decode, encode
from course_utils.recipes import artifacts
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Made, Recipe, produce
from course_utils.recipes.rivals import ALBUM, BATCH, CHAPTER, RATE, ROOT, shipped_vae
from course_utils.recipes.toy_gan import (
    adam,
    only_light,
    quick_loss,
)
from course_utils.tiny.gans import Z, big_toys, shipped_gan
from course_utils.tiny.judges import shipped_eye
from course_utils.tiny.text_gans import (
    PAIRS,
    VARIANTS,
    TextGame,
    pair_shown,
    pairs_in,
    text_codes,
)
from course_utils.training import write_json

CARD = """# text-gan

GAN-INT-CLS in miniature (Reed et al. 2016): small networks that turn {z} normal numbers
and the code of a text such as "a red star" into the maps that the generator of toy-gan
starts from.

| colour and toy as the text says, of {n} each | pairs seen | pairs never seen |
|---|---|---|
{rows}

Read by the oracle. cls: the discriminator is also shown true pictures under wrong
texts; int: the generator also draws for the mean of two texts.

- **Data** one big plain shape of the toybox on any ground, split "train".
- **Training** {steps} steps of {batch_size} pictures each, Adam at {lr} falling to
  zero, seed {seed}, averaged weights; judges as those of toy-gan, of which two read
  the text. The generator stays as it is.
- **On disk** a folder each, a byte a weight and a scale a row; scores.json has all
  scores. `models.network("text-gan/int-cls")` puts one together.
"""


def text_gan(*, steps: int | None = None, seed: int = 0, root: Path = ROOT) -> Made:
    """All four; the last is the paper's whole method."""
    steps = steps or 3000
    facts = dict(steps=steps, seed=seed, batch_size=BATCH, lr=RATE, z=Z)
    return Made(
        make=functools.partial(_train_all, steps, seed, root),
        save=_keep,
        card=CARD,
        facts=facts | dict(n=_count(steps)),
        choices=dict(steps=steps, seed=seed),
    )


def _count(steps: int) -> int:
    return 448 if steps >= 500 else 16


def _train_all(steps: int, seed: int, root: Path, work: Path) -> Path:
    for variant in VARIANTS:
        place, options = work / variant, dict(steps=steps, seed=seed, root=root)
        produce(text_variant, place / "end", place, variant=variant, **options)
    artifacts.join_logs([work / variant for variant in VARIANTS], work)
    return work


def text_variant(*, variant: str, steps: int, seed: int, root: Path) -> Recipe:
    """One of VARIANTS."""
    vae, pictures = shipped_vae(root), min(ALBUM, steps * BATCH)

    def look(average: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        images = drawn_as_told(average.generator, vae, list(range(64)))
        save_sheet(sheet, images)
        if only_light(images):
            return {}, []
        return pair_scores(average.generator, vae, _count(steps)), []

    def write(model: nn.Module, folder: Path) -> dict:
        ears = model.generator.ears.state_dict()
        artifacts.store_in_bytes(folder, artifacts.half(ears), {})
        scores = pair_scores(model.generator, vae, _count(steps))
        write_json(folder / "scores.json", scores)
        return {}

    return Recipe(
        model=lambda: TextGame(shipped_eye(), shipped_gan().generator, variant),
        batch=text_batch(vae, BATCH, pictures, seed),
        loss=quick_loss,
        save=write,
        card="",
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        decay=0.6,
        seed=seed,
        optimizer=adam,
        choices=dict(variant=variant),
        watch=lambda states, work: observed(states, look, work, every=5),
        log_every=100,
    )


def text_batch(net: nn.Module, n: int, pictures: int, seed: int) -> training.Batch:
    """The function that draws n latents, their text codes, wrong ones, and codes z."""
    codes = text_codes()

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[Tensor, Tensor]:
        scenes = big_toys(pictures, number, "train")
        latents = encode(net, in_parts(toybox.render, scenes))
        return latents, torch.tensor([pair_shown(scene) for scene in scenes])

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        latents, shown = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(latents), (n,), generator=generator)
        right = shown[rows]
        wrong = other_pairs(right, generator)
        z = torch.randn(n, Z, generator=generator)
        return latents[rows], codes[right], codes[wrong], z

    return batch


def other_pairs(right: Tensor, generator: torch.Generator) -> Tensor:
    """For each of PAIRS (N,) another that was seen: often of its colour, or its shape.

    A text that is wrong in all is soon found out, and the shape never looked at.
    """
    seen = torch.zeros(len(PAIRS))
    seen[pairs_in("train")] = 1
    pairs, sides = torch.arange(len(PAIRS)), len(toybox.SHAPES)
    colour = pairs // sides == right[:, None] // sides
    shape = pairs % sides == right[:, None] % sides
    odds = (1.0 + 7 * colour + 5 * shape) * seen  # a third each: colour, shape, neither
    odds[torch.arange(len(right)), right] = 0
    return torch.multinomial(odds, 1, generator=generator)[:, 0]


@torch.no_grad()
def drawn_as_told(generator: nn.Module, vae, pairs: list[int], seed: int = 4) -> Tensor:
    """A picture (3, 64, 64) of each of PAIRS that is asked for."""
    rng = torch.Generator().manual_seed(seed)
    z, text = torch.randn(len(pairs), Z, generator=rng), text_codes()[pairs]
    parts = zip(z.split(50), text.split(50), strict=True)
    return torch.cat([decode(vae, generator(*part)) for part in parts])


def pair_scores(generator: nn.Module, vae, n: int) -> dict[str, float]:
    """How often n pictures of pairs that were seen, and n of others, are right."""
    scores = {}
    for split, name in (("train", "seen"), ("unseen", "unseen")):
        pairs = (pairs_in(split) * n)[:n]
        images = drawn_as_told(generator, vae, pairs)
        readings = [{"count": 0}] * n if only_light(images) else oracle.read(images)
        marks = [
            _marks(seen, *PAIRS[k]) for seen, k in zip(readings, pairs, strict=True)
        ]
        for k, part in enumerate(("both", "colour", "toy")):
            scores[f"{name}_{part}"] = round(sum(mark[k] for mark in marks) / n, 4)
    return scores


def _marks(seen: dict, colour: str, toy: str) -> tuple[bool, bool, bool]:
    """Is there one toy, and has it both, the colour, the shape?"""
    one = seen["count"] == 1
    hue, kind = (one and seen[k] == [x] for k, x in (("colour", colour), ("toy", toy)))
    return hue and kind, hue, kind


def _keep(work: Path, folder: Path) -> dict:
    scores = {}
    for variant in VARIANTS:
        end = work / variant / "end"
        scores[variant] = json.loads((end / "scores.json").read_text())
        (folder / variant).mkdir(parents=True, exist_ok=True)
        for name in ("model.safetensors", MARK):  # all else is latent-eye's
            shutil.copy(end / name, folder / variant)
    write_json(folder / "scores.json", scores)
    rows = [
        f"| {name} | {x['seen_both']:.1%} | {x['unseen_both']:.1%} |"
        for name, x in scores.items()
    ]
    return dict(rows="\n".join(rows))
