"""The miniature Stable Diffusion: from nothing to text-to-image on two CPU cores."""

import functools
import json
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors.torch import load_file
from torch import Tensor, nn

from course_utils import bench, oracle, session, toybox, training
from course_utils.recipes import muon, readers, shelf, text, vae
from course_utils.recipes.progress import attribute_scores, observed
from course_utils.recipes.scenes import SMALL, WHOLE, World, captions, numpy_rng
from course_utils.recipes.trunk import (
    SCHEDULE,
    Trunk,
    build_unet,
    draw_steps,
    faster,
    step_weights,
    trunk_loss,
)

CHAPTER = 5000  # steps, after which all pictures are replaced by new ones
HELPS = ("alignment", "weighting", "muon")
PARTS = {"vae": vae.vae, "text": text.text_encoder, "eye": readers.eye}

CARD = """# tiny-sd

A miniature Stable Diffusion: 64x64 pictures of the toybox from captions in its words.
Plain diffusers loads it:
`StableDiffusionPipeline.from_pretrained(folder)(prompt, guidance_scale=3)`.

| right, of {n} held-out captions each | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle, DPM-Solver++, 20 steps, guidance 3.

- **Data** the toybox, split "train", drawn as it is used: {toys} toys, up to {most} at
  once. Combinations of toy and colour that are held out are in toybox.HELD_OUT.
- **Parts** AutoencoderKL (f = 4, 4 channels), CLIPTextModel (3 layers, 128 wide) and
  CLIPTokenizer (the toybox's words), UNet2DConditionModel (64, 96, 128).
- **Training** {steps} steps of {batch} pictures, v-prediction, betas 1e-4 to 0.02, Muon
  at {lr}, seed {seed}, captions dropped in one of ten, averaged weights.
- **Cost** COST.
- **Repeat it** `course train tiny-sd{option}` (course_utils/recipes/tiny_sd.py).
- **On disk** safetensors in half precision; progress.jsonl is what it could do when.
- **Licence** Apache-2.0, as the course.
"""


def tiny_sd(
    folder: Path,
    work: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    small: bool = False,
    batch: int = 32,
    lr: float = 1.5e-3,
    without: str = "",
) -> None:
    """Train the miniature Stable Diffusion, and first the parts that are not there yet.

    Leaves sheets of samples and progress.jsonl in `work` while it learns. `without` one
    of HELPS it learns more slowly; lesson 09 shows by how much.
    """
    if without not in ("", *HELPS):
        raise ValueError(f"without must be one of {', '.join(HELPS)}, not {without!r}")
    world, enough = (SMALL, 2400) if small else (WHOLE, 14_000)
    parts = train_parts(work.parent, steps=steps, seed=seed, small=small)
    net, tokenizer, encoder, looker = load_parts(*(parts[name] for name in PARTS))
    torch.set_num_threads(session.threads(share=1))
    torch.manual_seed(seed)
    steps = steps or enough
    model = Trunk(build_unet(), encoder, looker.ground.in_features)
    model = model.to(memory_format=torch.channels_last)
    model = faster(model) if steps > 10_000 else model
    weights = step_weights(SCHEDULE)
    weights = torch.ones_like(weights) if without == "weighting" else weights
    matrices = functools.partial(muon.groups, muon=without != "muon")
    pictures = min(10_240 if small else 20_480, steps * batch)
    run = training.train(
        model,
        trunk_batch(net, looker, tokenizer, world, batch, pictures, weights),
        functools.partial(trunk_loss, align=0.0 if without == "alignment" else 0.5),
        steps=steps,
        ema=0.999 if steps > 10_000 else 0.998,
        seed=seed,
        optimizer=muon.Muon(
            matrices(nn.ModuleList([model.unet, model.head]), lr)
            + matrices(model.text, 0.3 * lr)
        ),
        save_to=work / "state.safetensors",
    )

    def draws(trunk: nn.Module) -> Callable:
        return functools.partial(
            bench.generated, pipeline(trunk, net, tokenizer), steps=10
        )

    run = observed(run, draws, world, work, every=10 if small else 30)
    trunk = shelf.follow(run, work, every=100).cpu()
    pipe = pipeline(trunk, net.cpu(), tokenizer)
    n = 250 if steps >= 500 else 2
    scores = attribute_scores(functools.partial(bench.generated, pipe), world, n)
    save(pipe, folder)
    shutil.copytree(parts["eye"], folder / "eye", dirs_exist_ok=True)
    toys = len(world.toys)
    facts = dict(n=n, rows=_rows(scores), toys=toys, most=world.most, steps=steps)
    facts |= dict(batch=batch, lr=lr, seed=seed, option=" --small" if small else "")
    if (work / "progress.jsonl").exists():
        shutil.copy(work / "progress.jsonl", folder)
    shelf.write_card(folder, work, CARD.format(**facts))


def train_parts(root: Path, **options: object) -> dict[str, Path]:
    """The folders of the PARTS; those that are not there are trained now.

    Two at a time, one thread each: for networks this small, two threads at one training
    are hardly faster than one.
    """
    folders = {name: root / name / "weights" for name in PARTS}
    missing = [name for name, folder in folders.items() if not folder.exists()]
    if missing and PartialState().num_processes > 1:
        raise ValueError(f"train its parts first, alone: {', '.join(missing)}")
    if missing:
        print(f"first its parts: {', '.join(missing)}")
        fresh = multiprocessing.get_context("spawn")  # a fork would share torch's locks
        with ProcessPoolExecutor(2, fresh, torch.set_num_threads, (1,)) as pool:
            done = [pool.submit(part, name, root, **options) for name in missing]
            [future.result() for future in done]
    return folders


def part(name: str, root: Path, **options: object) -> Path:
    """Train one of the PARTS if it is not there; return its folder."""
    folder = root / name / "weights"
    if not folder.exists():
        PARTS[name](folder, root / name, **options)
    return folder


def load_parts(vae_at: Path, text_at: Path, eye_at: Path) -> tuple:
    """The VAE, the tokenizer, the text encoder and the eye."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel, CLIPTokenizer

    net = AutoencoderKL.from_pretrained(vae_at).requires_grad_(False)
    tokenizer = CLIPTokenizer.from_pretrained(text_at / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(text_at / "text_encoder")
    return net, tokenizer, encoder, load_eye(eye_at)


def load_eye(folder: Path) -> oracle.Reader:
    """The eye, frozen; a shipped tiny-sd has it in its folder "eye"."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    looker = oracle.make_reader(load_file(folder / "model.safetensors"), config)
    return looker.to(memory_format=torch.channels_last)  # faster


def trunk_batch(
    net: nn.Module,
    looker: nn.Module,
    tokenizer,
    world: World,
    n: int,
    pictures: int,
    weights: Tensor,
) -> training.Batch:
    """The function that draws x0, noise, t, tokens and what the eye sees of x0.

    Steps t are drawn by their weights (T,).

    Encoding a picture costs half as much as learning from it, so a few thousand are
    encoded at once and used for a chapter, with new captions and noise each time.
    """
    device = PartialState().device
    net.to(device), looker.to(device)
    nothing = text.tokenise(tokenizer, [""])

    @functools.lru_cache(maxsize=1)
    def chapter(number: int) -> tuple:
        scenes = world.scenes(
            pictures, numpy_rng(torch.Generator().manual_seed(number))
        )
        pairs = [
            encoded(net, looker, scenes[i : i + 128]) for i in range(0, pictures, 128)
        ]
        return scenes, *map(torch.cat, zip(*pairs, strict=True))

    def batch(generator: torch.Generator) -> tuple[Tensor, ...]:
        scenes, x0, seen = chapter(generator.initial_seed() // CHAPTER)
        rows = torch.randint(len(scenes), (n,), generator=generator)
        said = captions([scenes[i] for i in rows], numpy_rng(generator))
        tokens = text.tokenise(tokenizer, said)
        tokens[torch.rand(n, generator=generator) < 0.1] = nothing  # for guidance
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *x0.shape[1:], generator=generator)
        return x0[rows].float(), noise, t, tokens, seen[rows]

    return batch


@torch.no_grad()
def encoded(net: nn.Module, looker: nn.Module, scenes: list) -> tuple[Tensor, Tensor]:
    """Latents (B, 4, 16, 16) and the eye's maps (B, C, 8, 8), in half precision."""
    images = toybox.render(scenes).to(net.device)
    latents = net.encode(images).latent_dist.mode() * net.config.scaling_factor
    return latents.half(), looker.maps(images).half()


def pipeline(trunk: nn.Module, net: nn.Module, tokenizer):
    """An ordinary StableDiffusionPipeline of the trained parts."""
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    scheduler = DPMSolverMultistepScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type="v_prediction",
        steps_offset=1,  # no difference here, but diffusers asks for it
    )
    pipe = StableDiffusionPipeline(
        vae=net,
        text_encoder=trunk.text,
        tokenizer=tokenizer,
        unet=trunk.unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save(pipe, folder: Path) -> None:
    """Write the pipeline in half precision, as from_pretrained wants it."""
    for net in (pipe.vae, pipe.unet, pipe.text_encoder):
        net.half()
    pipe.save_pretrained(folder)
    text.save_text(pipe.text_encoder, pipe.tokenizer, folder)


def _rows(scores: dict) -> str:
    names = dict.fromkeys(name for column in scores.values() for name in column)
    cells = (
        [name, *(f"{c[name]:.1%}" if name in c else "" for c in scores.values())]
        for name in names
    )
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)
