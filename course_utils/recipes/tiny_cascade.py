"""tiny-cascade: a miniature Stable Cascade, from stage A to stage C.

Stage A learns first, then the effnet. With both frozen, B learns A's latents from the
effnet's, and C the effnet's from words. A rival does without C and B: tiny's UNet,
straight from words to A's latents.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import oracle, toybox, training
from course_utils.diffusion.ratios import noised_to
from course_utils.models.cascade import draw_cascade
from course_utils.recipes import artifacts
from course_utils.recipes.cascade_parts import (
    CARD,
    Parts,
    card_facts,
    keep_cascade,
    tiny_words,
)
from course_utils.recipes.cascade_rival import (
    draw_rival,
    examining,
    join_progress,
    ratio_loss,
    rival_loss,
)
from course_utils.recipes.recipe import Made, Recipe
from course_utils.tiny import cascade as nets
from course_utils.tiny.cascade import heard_states
from course_utils.tiny.unet import build_unet
from course_utils.tiny.worlds import WHOLE, captions, numpy_rng
from course_utils.training import muon

CHAPTER, PICTURES, BATCH = 5000, 20_480, 32
RATE = 2e-3
# for two cores, in about two hours; a GPU takes more, and larger batches
STEPS = {"vqgan": 2500, "effnet": 2000, "stage-b": 3000, "stage-c": 5000}
RIVAL, LEAST = "rival", 2000  # steps of the rival, if stage C has as many
SAID = {"vqgan": "stage A", "effnet": "effnet", "stage-b": "stage B"}
SAID |= {"stage-c": "stage C", RIVAL: "one stage"}  # in progress.jsonl


def stage_a_loss(net: nn.Module, images: Tensor) -> Tensor:
    """L1 + 2 MSE, as of the VAE, and codes and latents kept close to each other.

    images (B, 3, 64, 64) in [-1, 1]; stage A itself works in [0, 1].
    """
    whole = (images + 1) / 2
    codes, apart = nets.quantised(net, net.encode(whole).latents)
    error = 2 * (net.decode(codes).sample - whole)
    return error.abs().mean() + 2 * error.square().mean() + 0.5 * apart


def effnet_loss(
    model: nn.Module, images: Tensor, noise: Tensor, *answers: Tensor
) -> Tensor:
    """L1 + 2 MSE of the sketch, and a tenth of the cross entropy of each question.

    answers: those of oracle.targets, in the order of oracle.QUESTIONS.
    """
    sketch, logits = model(images, noise)
    error = sketch - images
    asked = zip(oracle.QUESTIONS, answers, strict=True)
    wrong = sum(F.cross_entropy(logits[k], x, ignore_index=-100) for k, x in asked)
    return error.abs().mean() + 2 * error.square().mean() + 0.1 * wrong


def stage_c_loss(
    net: nn.Module, x0: Tensor, noise: Tensor, r: Tensor, states: Tensor, pooled: Tensor
) -> Tensor:
    """Semantic latents x0 (B, 16, 4, 4) from words: see heard_states.

    As in the pipeline, no picture is shown to it.
    """
    blind = torch.zeros_like(pooled)
    told = dict(clip_text=states, clip_text_pooled=pooled, clip_img=blind)
    return ratio_loss(noise, net(noised_to(x0, noise, r), r, **told).sample, r)


def stage_b_loss(
    net: nn.Module,
    x0: Tensor,
    noise: Tensor,
    r: Tensor,
    semantic: Tensor,
    pooled: Tensor,
) -> Tensor:
    """Stage A's latents x0 (B, 4, 16, 16) from semantic ones (B, 16, 4, 4)."""
    told = dict(effnet=semantic, clip_text_pooled=pooled)
    return ratio_loss(noise, net(noised_to(x0, noise, r), r, **told).sample, r)


def tiny_cascade(*, steps: int | None = None, seed: int = 0) -> Made:
    """All three stages, one after another; `steps` of each, or STEPS."""
    plan = dict.fromkeys(STEPS, steps) if steps else STEPS
    pictures = PICTURES if not steps else min(PICTURES, 64 * steps)
    said = ", ".join(f"{n} steps of {name}" for name, n in plan.items())
    facts = dict(steps=f"{said}, {BATCH} pictures each", seed=seed, lr=RATE)

    def save(parts: Parts, folder: Path) -> dict:
        n = 250 if not steps or steps >= 500 else 2
        found = card_facts(parts, n)
        keep_cascade(parts, folder)
        return found | dict(pictures=pictures, codes=nets.CODES)

    return Made(
        make=functools.partial(_stages, plan, pictures, seed),
        save=save,
        card=CARD,
        facts=facts,
        choices=dict(steps=steps, seed=seed),
    )


def _stages(plan: dict, pictures: int, seed: int, work: Path) -> Parts:
    """Train one stage after another, each where an earlier run of it stopped."""
    plan = plan | {RIVAL: min(LEAST, plan["stage-c"])}
    learn = functools.partial(_learn, plan, seed, work)
    album = functools.lru_cache(maxsize=1)(functools.partial(_album, pictures))
    draws = functools.partial(_pictures, album, seed)
    vqgan = learn("vqgan", nets.build_vqgan, draws, _first(stage_a_loss), False)
    effnet = learn("effnet", nets.Semantics, draws, effnet_loss, False).effnet
    vqgan.register_to_config(scale_factor=_scale(vqgan, album(0)[1][:500]))
    coded = functools.partial(_coded, album, vqgan, effnet)
    words = tiny_words()
    coded = functools.lru_cache(maxsize=1)(coded)
    told = functools.partial(_told, coded, words, seed)
    b = learn(
        "stage-b", nets.build_stage_b, functools.partial(told, "stage-b"), stage_b_loss
    )
    n = 48 if plan["stage-c"] >= 500 else 1

    def by_c(net: nn.Module, said: list[str]) -> Tensor:
        return draw_cascade(Parts(vqgan, effnet, b, net, *words).pipeline(), said)

    def by_rival(net: nn.Module, said: list[str]) -> Tensor:
        return draw_rival(net, vqgan, words, said)

    found = {}
    for name, build, loss, by in (
        ("stage-c", nets.build_stage_c, stage_c_loss, by_c),
        (RIVAL, build_unet, rival_loss, by_rival),
    ):
        watch = examining(SAID[name], by, plan[name], BATCH, n)
        batch = functools.partial(told, name)
        found[name] = learn(name, build, batch, loss, watch=watch)
    join_progress(work, SAID, BATCH)
    artifacts.join_logs([work / name for name in STEPS], work)
    return Parts(vqgan, effnet, b, found["stage-c"], *words)


def _learn(
    plan: dict,
    seed: int,
    work: Path,
    name: str,
    model: Callable[[], nn.Module],
    batch: training.Batch,
    loss: training.Loss,
    turn: bool = True,
    watch: Callable | None = None,
) -> nn.Module:
    """Train one of them, by Muon or, if it shall not `turn`, by AdamW; frozen then."""
    recipe = Recipe(
        model=model,
        batch=batch,
        loss=loss,
        save=_never,
        card="",
        steps=plan[name],
        batch_size=BATCH,
        seed=seed,
        lr=RATE,
        optimizer=lambda net: muon.Muon(muon.groups(net, RATE, turn)),
        watch=watch,
        share=1,
    )
    return recipe.make(work / name).eval().requires_grad_(False)


def _never(model: nn.Module, folder: Path) -> dict:
    raise NotImplementedError("all stages are written together")


def _first(loss: Callable) -> Callable:
    """The loss of the pictures alone, of a batch that has more."""
    return lambda net, images, *_: loss(net, images)


def _album(pictures: int, chapter: int) -> tuple[list, Tensor]:
    """Scenes, and their pictures in half precision, of one chapter of a training."""
    scenes = WHOLE.practice(pictures, numpy_rng(torch.Generator().manual_seed(chapter)))
    parts = [toybox.render(scenes[i : i + 128]).half() for i in range(0, pictures, 128)]
    return scenes, torch.cat(parts)


def _pictures(
    album: Callable, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, ...]:
    """Pictures, noise for their semantic latents, and all answers about them."""
    scenes, images = album(training.chapter(seed, step, CHAPTER))
    rows = torch.randint(len(scenes), (BATCH,), generator=generator)
    right = oracle.targets([scenes[i] for i in rows])
    noise = torch.randn(BATCH, nets.SEMANTIC, 4, 4, generator=generator)
    return images[rows].float(), noise, *(right[k] for k in oracle.QUESTIONS)


@torch.no_grad()
def _scale(vqgan: nn.Module, images: Tensor) -> float:
    """What stage A's latents must be divided by to have variance 1."""
    return vqgan.encode((images.float() + 1) / 2).latents.std().item()


@torch.no_grad()
def _coded(
    album: Callable, vqgan: nn.Module, effnet: nn.Module, chapter: int
) -> tuple[list, Tensor, Tensor]:
    """Scenes, latents of A of variance 1, and semantic latents."""
    scenes, images = album(chapter)
    found = []
    for some in images.split(128):
        latents = vqgan.encode((some.float() + 1) / 2).latents
        codes = nets.nearest_codes(vqgan, latents)[1] / vqgan.config.scale_factor
        found.append((codes, effnet(some.float())))
    return scenes, *map(torch.cat, zip(*found, strict=True))


def _told(
    coded: Callable,
    words: tuple,
    seed: int,
    stage: str,
    generator: torch.Generator,
    step: int,
) -> tuple[Tensor, ...]:
    """What B, C or the rival learns from: x0, noise, ratios, and what it is told."""
    scenes, x0, semantic = coded(training.chapter(seed, step, CHAPTER))
    rows = torch.randint(len(scenes), (BATCH,), generator=generator)
    said = captions([scenes[i] for i in rows], numpy_rng(generator))
    mute = (torch.rand(BATCH, generator=generator) < 0.1).tolist()
    said = ["" if m else s for m, s in zip(mute, said, strict=True)]
    options = dict(padding="max_length", truncation=True, return_tensors="pt")
    states, pooled = heard_states(words[0], words[1](said, **options))
    x, seen = (semantic if stage == "stage-c" else x0)[rows], semantic[rows]
    noise = torch.randn(x.shape, generator=generator)
    ratios = torch.rand(BATCH, generator=generator)
    if stage != "stage-b":
        heard = (states, pooled) if stage == "stage-c" else (states,)
        return x, noise, ratios, *heard
    fuzz = torch.rand(BATCH, 1, 1, 1, generator=generator)  # C will not be exact
    seen = seen + 0.2 * fuzz * torch.randn(seen.shape, generator=generator)
    blind = torch.rand(BATCH, 1, 1, 1, generator=generator) < 0.05
    return x, noise, ratios, seen.masked_fill(blind, 0), pooled
