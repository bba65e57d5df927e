"""tiny-flow: Stable Diffusion 3 in miniature, a transformer that learns a flow.

Esser et al. 2024, with tiny's latents, words and alignment (tiny/flow.py). Kept is the
transformer alone, in bytes; all else is tiny's.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from course_utils import models
from course_utils.models.difference import keep_difference
from course_utils.models.pipelines import draw
from course_utils.recipes.monitor import attribute_scores, observed, sheet_and_scores
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.batches import encoded, load_alignment_encoder
from course_utils.tiny.flow import (
    FlowTransformer,
    build_flow_transformer,
    draw_as_flow,
    draw_flow,
    flow_batch,
    flow_matching_loss,
    flow_pipeline,
    flow_words,
    load_flow,
)
from course_utils.tiny.text import tokenise
from course_utils.tiny.worlds import WHOLE
from course_utils.training import muon

BATCH, RATE, PICTURES = 128, 2e-3, 32_768
TRIED = (1, 2, 4, 8, 20)  # Euler steps

CARD = """# tiny-flow

Stable Diffusion 3 in miniature: flow matching, and a transformer with one attention
over pictures and words, in tiny's latents and with tiny's text encoder.
`models.path("tiny-flow")` puts the ordinary folder together, and plain diffusers loads
it: `StableDiffusion3Pipeline.from_pretrained(folder, text_encoder_2=None,
tokenizer_2=None, text_encoder_3=None, tokenizer_3=None)`, as SD3 without its T5. With
one text encoder of three the pipeline is told what that says in place of prompts:
`pipe(**tiny.flow.flow_prompts(pipe, ["a red star"]), guidance_scale=3)`.

| right in everything, of {n} held-out captions | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle; FlowMatchEulerDiscreteScheduler, even times, guidance 3. The
training was short: tiny has seen three times as many pictures, and its shapes are more
exact. As a flow tiny walks by Euler's steps, too, with shift 1.5
(tiny.flow.draw_as_flow).

- **Data** the toybox, split "train", up to three toys at once, as tiny's.
- **Parts** SD3Transformer2DModel, 6 layers, 160 wide, patches of 2x2 latents:
  {parameters:,} parameters; VAE, text encoder and tokenizer are tiny's, frozen.
- **Training** {steps} steps of {batch_size} pictures, seed {seed}; z = (1 - t) x0
  + t noise, the velocity noise - x0, t logit-normal; features aligned with those of
  tiny's eye (REPA); Muon at {lr}; captions left out in one of ten; averaged weights.
  This is for a GPU.
- **On disk** a byte a weight and a scale a row, safetensors; the scores are of this.
"""


def tiny_flow(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The transformer, learnt from nothing in tiny's latents."""
    steps, seed = steps or 1124, seed + 2600
    tiny = models.load("text-to-image", "tiny")
    eye = load_alignment_encoder(models.path("tiny") / "eye")
    return Recipe(
        model=lambda: FlowTransformer(build_flow_transformer(), eye.ground.in_features),
        batch=flow_batch(
            functools.partial(encoded, tiny.vae, eye),
            lambda said: flow_words(tiny.text_encoder, tokenise(tiny.tokenizer, said)),
            WHOLE,
            BATCH if steps >= 100 else 4,
            PICTURES if steps >= 100 else 4,
            seed,
        ),
        loss=flow_matching_loss,
        save=functools.partial(save_flow, tiny, n=64 if steps >= 100 else 2),
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.999,
        decay=0.5,
        optimizer=lambda model: muon.Muon(muon.groups(model, RATE)),
        watch=lambda states, work: observed(
            states, sheet_and_scores(functools.partial(_draws, tiny), WHOLE), work, 30
        ),
        share=1,
    )


def _draws(tiny, model: nn.Module, steps: int) -> Callable:
    """A function of captions: pictures by the transformer as it is now."""
    pipe = flow_pipeline(model.transformer, tiny)
    return functools.partial(draw_flow, pipe, steps=steps)


def save_flow(tiny, model: nn.Module, folder: Path, n: int) -> dict:
    """Write what tiny lacks, in bytes; return what the card says of it."""
    with tempfile.TemporaryDirectory() as place:
        pipe = flow_pipeline(model.transformer.half(), tiny)
        pipe.save_config(place)  # model_index.json
        pipe.vae.save_config(Path(place) / "vae")
        pipe.scheduler.save_pretrained(Path(place) / "scheduler")
        pipe.transformer.save_pretrained(Path(place) / "transformer")
        keep_difference(
            Path(place), models.path("tiny"), folder, "tiny-sd", new_in_bytes=True
        )
    size = sum(p.numel() for p in model.transformer.parameters())
    return dict(rows=flow_rows(folder, n), n=n, parameters=size)


@torch.no_grad()
def flow_rows(folder: Path, n: int) -> str:
    """The card's table: everything right by steps, of the weights as they are kept."""
    from diffusers import DDIMScheduler

    pipe = load_flow(models.shipped.made_whole(folder))
    names = ("1 step", *(f"{k} steps" for k in TRIED[1:]))
    tried = {
        name: functools.partial(draw_flow, pipe, steps=k)
        for name, k in zip(names, TRIED, strict=True)
    }
    tiny = models.load("text-to-image", "tiny")
    tried["4 steps of tiny as a flow"] = functools.partial(draw_as_flow, tiny)
    ddim = models.load("text-to-image", "tiny")
    ddim.scheduler = DDIMScheduler.from_config(ddim.scheduler.config)
    ddim.set_progress_bar_config(disable=True)
    tried["8 steps of tiny with DDIM"] = functools.partial(draw, ddim, steps=8)
    lines = []
    for name, draws in tried.items():
        found = attribute_scores(draws, WHOLE, n)
        cells = [f"{found[f'{k} toy']['all']:.1%}" for k in (1, 2)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
