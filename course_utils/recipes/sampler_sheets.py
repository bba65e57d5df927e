"""Slow pictures for lesson 08, by samplers of diffusion that outlast a lesson."""

import functools
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from course_utils import models, session
from course_utils.images import save_sheet
from course_utils.recipes.recipe import Made
from course_utils.tiny.rivals import (
    EACH,
    GUIDANCE,
    SAMPLERS,
    SEEDS,
    sample_plain,
    timesteps_of,
)
from course_utils.training import save_whole, write_whole
from course_utils.training.speed import half_is_faster

CARD = """# trilemma

{n} pictures by the miniature Stable Diffusion by each of three samplers: all thousand
steps of DDPM (Ho et al. 2020, Algorithm 2, variance fixed_small), twenty of DDIM, ten
of DPM-Solver++(2M), guidance {guidance}. That takes too long for a lesson. Captions:
one big plain shape each, split "test". The UNet ran in {precision}. Lesson 08 reads the
pictures and compares them.

| sampler | seconds a picture |
|---|---|
{rows}

"""


def quick_pipeline():
    """The shipped model, its UNet in half precision where that is faster.

    DDPM adds noise at each of its thousand steps: the rounding drowns in it.
    """
    half = half_is_faster(session.device)
    kind = torch.bfloat16 if half else torch.float32
    pipe = models.load("text-to-image", "tiny", dtype=kind)
    pipe.vae.float()
    return pipe.to(session.device)


def trilemma(
    *, steps: int | None = None, seed: int = 0, pipe=None, n: int = EACH
) -> Made:
    """Sheets of n pictures for each of five seeds by each of the SAMPLERS.

    `pipe` is the shipped model, if not given; `steps` fewer than all, to try it out.
    """
    pipe = pipe or quick_pipeline()
    facts = {"n": SEEDS * n, "guidance": GUIDANCE}
    facts |= {"precision": str(pipe.unet.dtype).removeprefix("torch.")}

    def save(drawn: dict[str, tuple[Tensor, float]], folder: Path) -> dict:
        for sampler, (images, seconds) in drawn.items():
            save_sheet(folder / f"{sampler}.png", images, columns=10, scale=1)
            facts[sampler] = round(seconds / facts["n"], 2)
        text = json.dumps(facts, indent=2) + "\n"
        write_whole(folder / "config.json", text)
        return {"rows": "\n".join(f"| {x} | {facts[x]} |" for x in SAMPLERS)}

    make = functools.partial(draw_sheets, pipe, n, seed, steps)
    return Made(make=make, save=save, card=CARD, facts=facts)


def draw_sheets(
    pipe, n: int, seed: int, steps: int | None, work: Path
) -> dict[str, tuple[Tensor, float]]:
    """Pictures of each of the SAMPLERS, and the seconds that they took.

    Goes on where it was stopped, seed by seed.
    """
    drawn = {}
    for sampler in SAMPLERS:
        timesteps = timesteps_of(sampler)  # the end is no step
        timesteps = timesteps[-steps - 1 :] if steps else timesteps
        done = []
        for k in range(seed, seed + SEEDS):
            file = work / f"{sampler}-{n}-{len(timesteps)}-{k}.safetensors"
            if not file.exists():
                start = time.perf_counter()
                images = sample_plain(pipe, sampler, k, n, timesteps)
                seconds = torch.tensor(time.perf_counter() - start)
                save_whole({"images": images.contiguous(), "seconds": seconds}, file)
                print(f"{sampler}, seed {k}: {n} pictures in {seconds:.0f} s")
            done.append(load_file(file))
        seconds = sum(x["seconds"].item() for x in done)
        drawn[sampler] = torch.cat([x["images"] for x in done]), seconds
    return drawn
