"""Slow pictures for lesson 08: diffusion's walks that take longer than a lesson."""

import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from course_utils import models, session
from course_utils.images import save_sheet
from course_utils.tiny.rivals import (
    EACH,
    GUIDANCE,
    SEEDS,
    WALKS,
    diffused,
    timesteps_of,
)
from course_utils.training.speed import half_is_faster

SHEETS_CARD = """# trilemma

{n} pictures by the miniature Stable Diffusion for each of three walks: all thousand
steps of DDPM (Ho et al. 2020, Algorithm 2, variance fixed_small), twenty of DDIM, ten
of DPM-Solver++(2M), guidance {guidance}. That takes too long for a lesson. Captions:
one plain shape each, split "test". The UNet ran in {precision}. Lesson 08 reads the
pictures and compares them.

| walk | seconds a picture |
|---|---|
{rows}

- **Repeat it** `course train trilemma` (course_utils/recipes/sampler_sheets.py).
- **Licence** Apache-2.0, as the course.
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


def draw_sheets(
    folder: Path,
    work: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    pipe=None,
    n: int = EACH,
) -> None:
    """Draw n pictures for each of three seeds by each of the WALKS.

    Goes on where it was stopped, seed by seed. `pipe` is the shipped model, if not
    given; `steps` fewer than all, to try it out.
    """
    pipe = pipe or quick_pipeline()
    work.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    precision = str(pipe.unet.dtype).removeprefix("torch.")
    facts = {"n": SEEDS * n, "guidance": GUIDANCE, "precision": precision}
    for walk in WALKS:
        timesteps = timesteps_of(walk)
        timesteps = (
            timesteps[-steps - 1 :] if steps else timesteps
        )  # the end is no step
        files = [work / f"{walk}-{k}.safetensors" for k in range(seed, seed + SEEDS)]
        for k, file in enumerate(files, seed):
            if not file.exists():
                start = time.perf_counter()
                images = diffused(pipe, walk, k, n, timesteps)
                seconds = torch.tensor(time.perf_counter() - start)
                save_file({"images": images.contiguous(), "seconds": seconds}, file)
                print(f"{walk}, seed {k}: {n} pictures in {seconds:.0f} s")
        done = [load_file(file) for file in files]
        images = torch.cat([x["images"] for x in done])
        save_sheet(folder / f"{walk}.png", images, columns=10, scale=1)
        facts[walk] = round(sum(x["seconds"].item() for x in done) / facts["n"], 2)
    text = json.dumps(facts, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8", newline="\n")
    rows = "\n".join(f"| {walk} | {facts[walk]} |" for walk in WALKS)
    card = SHEETS_CARD.format(rows=rows, **facts)
    (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")
