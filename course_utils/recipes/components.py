"""What the miniature Stable Diffusion is made of before its UNet learns."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from accelerate import PartialState

from course_utils.recipes.oracle import eye
from course_utils.recipes.text import text_encoder
from course_utils.recipes.vae import vae
from course_utils.tiny.batches import load_eye

PARTS = {"vae": vae, "text": text_encoder, "eye": eye}


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
    net = net.to(memory_format=torch.channels_last)  # a quarter faster
    tokenizer = CLIPTokenizer.from_pretrained(text_at / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(text_at / "text_encoder")
    return net, tokenizer, encoder, load_eye(eye_at)
