"""What the miniature Stable Diffusion is made of before its UNet learns."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import PartialState
from torch import nn

from course_utils import oracle
from course_utils.recipes.alignment_encoder import alignment_encoder
from course_utils.recipes.recipe import is_made, name_of, produce
from course_utils.recipes.text_encoder import text_encoder
from course_utils.recipes.vae import vae
from course_utils.tiny.batches import load_alignment_encoder

COMPONENTS = {name_of(make): make for make in (vae, text_encoder, alignment_encoder)}


class Components(NamedTuple):
    """The trained components, loaded."""

    vae: nn.Module
    tokenizer: object
    text_encoder: nn.Module
    alignment_encoder: oracle.Reader


def train_components(root: Path, **options: object) -> dict[str, Path]:
    """The folders of the COMPONENTS; those that are not there are trained now.

    Two at a time, one thread each: for networks this small, two threads at one training
    are hardly faster than one.
    """
    folders = {name: root / name / "weights" for name in COMPONENTS}
    missing = [
        name
        for name, folder in folders.items()
        if not is_made(folder, root / name, COMPONENTS[name](**options).settings)
    ]
    if missing and PartialState().num_processes > 1:
        raise ValueError(f"train its components first, alone: {', '.join(missing)}")
    if missing:
        print(f"first its components: {', '.join(missing)}")
        fresh = multiprocessing.get_context("spawn")  # a fork would share torch's locks
        with ProcessPoolExecutor(2, fresh, _begin_worker) as pool:
            try:
                done = [pool.submit(component, x, root, **options) for x in missing]
                [future.result() for future in done]
            except KeyboardInterrupt:
                for child in multiprocessing.active_children():
                    child.terminate()
                raise
    return folders


def _begin_worker() -> None:
    """One thread; and a Ctrl-C is the parent's to answer, which ends its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def component(name: str, root: Path, **options: object) -> Path:
    """Train one of the COMPONENTS if it is not there; return its folder."""
    make, work = COMPONENTS[name], root / name
    folder = work / "weights"
    if not is_made(folder, work, make(**options).settings):
        produce(make, folder, work, **options)
    return folder


def load_components(folders: dict[str, Path]) -> Components:
    """Load the COMPONENTS from their folders, all but the text encoder frozen.

    What encodes pictures goes to the device of the training.
    """
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel, CLIPTokenizer

    net = AutoencoderKL.from_pretrained(folders["vae"]).requires_grad_(False)
    net = net.to(memory_format=torch.channels_last)  # a quarter faster
    words, device = folders["text-encoder"], PartialState().device
    return Components(
        net.to(device),
        CLIPTokenizer.from_pretrained(words / "tokenizer"),
        CLIPTextModel.from_pretrained(words / "text_encoder"),
        load_alignment_encoder(folders["alignment-encoder"]).to(device),
    )
