"""Slow pictures for lesson 08: diffusion's walks that take longer than a lesson."""

import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from course_utils import diffusion, models, schedules, session, solvers
from course_utils.recipes.progress import save_sheet
from course_utils.recipes.trilemma import plain_scenes
from course_utils.recipes.trunk import half_is_faster

SEEDS, EACH = 3, 54  # what diffusion draws: so many seeds, so many pictures each
WALKS = {"DDPM-1000": 1000, "DDIM-20": 20, "DPM++-10": 10}  # and their steps
GUIDANCE = 3.0

SHEETS_CARD = """# trilemma

{n} pictures by the miniature Stable Diffusion for each of three walks: all thousand
steps of DDPM (Ho et al. 2020, Algorithm 2, variance fixed_small), twenty of DDIM, ten
of DPM-Solver++(2M), guidance {guidance}. That takes too long for a lesson. Captions:
one plain shape each, split "test". The UNet ran in {precision}. Lesson 08 reads the
pictures and compares them.

| walk | seconds a picture |
|---|---|
{rows}

- **Repeat it** `course train trilemma` (course_utils/recipes/walks.py).
- **Licence** Apache-2.0, as the course.
"""


@torch.no_grad()
def decoded(pipe, latents: Tensor) -> Tensor:
    """A pipeline's latents (B, 4, h, w) as pictures (B, 3, H, W) in [-1, 1]."""
    latents = latents.to(pipe.vae.dtype) / pipe.vae.config.scaling_factor
    groups = (pipe.vae.decode(some).sample for some in latents.split(16))
    return torch.cat(list(groups)).float().clamp(-1, 1)


def visits_of(walk: str) -> list[int]:
    """The steps that a walk of WALKS goes through, the clean end included."""
    return [*diffusion.timesteps(1000, WALKS[walk], "trailing"), -1]


def diffused(pipe, walk: str, seed: int, n: int, visits: list[int]) -> Tensor:
    """Draw plain_scenes(n, seed) by a walk of WALKS, which goes through `visits`."""
    captions = [scene.caption for scene in plain_scenes(n, seed)]
    generator = torch.Generator().manual_seed(seed)
    x_T = torch.stack([torch.randn(4, 16, 16, generator=generator) for _ in captions])
    options, images = dict(visits=visits, predicts="v"), []
    for i in range(0, n, 20):
        network = solvers.guided(pipe, captions[i : i + 20], GUIDANCE)
        start, plan = x_T[i : i + 20].to(pipe.device), schedules.linear()
        if walk.startswith("DPM++"):
            x0 = solvers.dpm_sample(network, start, plan, **options)
        else:
            step = getattr(diffusion, f"{walk[:4].lower()}_step")
            options |= dict(step=step, generator=generator)
            x0 = diffusion.sample(network, start, plan, **options)
        images.append(decoded(pipe, x0).cpu())
    return torch.cat(images)


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
        visits = visits_of(walk)[-steps:] if steps else visits_of(walk)
        files = [work / f"{walk}-{k}.safetensors" for k in range(seed, seed + SEEDS)]
        for k, file in enumerate(files, seed):
            if not file.exists():
                start = time.perf_counter()
                images = diffused(pipe, walk, k, n, visits)
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


def shipped_pictures(walk: str, folder: Path | None = None) -> Tensor:
    """The shipped pictures of a walk, (SEEDS, n, 3, 64, 64) in [-1, 1].

    Picture (k, i) is of plain_scenes(n, k)[i].
    """
    folder = folder or models.path("trilemma")
    n = json.loads((folder / "config.json").read_text(encoding="utf-8"))["n"]
    sheet = torch.from_numpy(np.array(Image.open(folder / f"{walk}.png")))
    tiles = sheet.unfold(0, 66, 66).unfold(1, 66, 66)  # (rows, 10, 3, 66, 66)
    tiles = tiles.flatten(0, 1)[:n, :, 1:65, 1:65] / 127.5 - 1  # without the seams
    return tiles.unflatten(0, (SEEDS, -1))
