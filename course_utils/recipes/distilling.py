"""What every distillation of tiny starts from: tiny in parts, and an album."""

import tempfile
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.models.difference import keep_difference
from course_utils.models.low_rank import fold
from course_utils.tiny.text import tokenise
from course_utils.tiny.worlds import WHOLE, captions

GUIDANCE = 3.0  # of the teacher, folded into the students
MEMORY = 0.995  # of the averaged weights


@dataclass
class Shelf:
    """tiny in parts, and an album of pictures and captions, all on one device.

    latents (N, 4, 16, 16) and words (N, 48, 128) in half precision, empty (1, 48, 128)
    pictures (N, 3, 64, 64) as bytes
    """

    pipe: object
    latents: Tensor
    words: Tensor
    empty: Tensor
    pictures: Tensor
    generator: torch.Generator = field(repr=False, default=None)

    @property
    def device(self) -> torch.device:
        """Where everything is."""
        return self.latents.device

    def half(self):
        """Autocast to bfloat16 on a GPU; nothing is cached, so that it records."""
        on_gpu = self.device.type == "cuda"
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=on_gpu, cache_enabled=False
        )

    def noise(self, n: int) -> Tensor:
        """Standard normal latents (n, 4, 16, 16)."""
        shape = n, *self.latents.shape[1:]
        return torch.randn(shape, generator=self.generator, device=self.device)

    def whole(self, n: int, below: int) -> Tensor:
        """Whole numbers (n,) in 0..below - 1."""
        options = dict(generator=self.generator, device=self.device)
        return torch.randint(below, (n,), **options)

    def rows(self, n: int) -> tuple[Tensor, Tensor]:
        """Latents and words of n pictures; a tenth of the words are of no caption."""
        rows = self.whole(n, len(self.latents))
        silent = (self.whole(n, 10) == 0).view(-1, 1, 1)
        words = torch.where(silent, self.empty, self.words[rows].float())
        return self.latents[rows].float(), words


def drawn_scenes(n: int, seed: int) -> tuple[list[str], Tensor]:
    """Captions of n scenes of the split "train", and their pictures as bytes."""
    rng = np.random.default_rng([seed, n])
    scenes = WHOLE.practice(n, rng)
    parts = [toybox.render(scenes[i : i + 256]) for i in range(0, n, 256)]
    images = torch.cat([((x + 1) * 127.5).round().to(torch.uint8) for x in parts])
    return captions(scenes, rng), images


def in_pixels(pictures: Tensor) -> Tensor:
    """Bytes as pictures in [-1, 1]."""
    return pictures.float() / 127.5 - 1


@torch.no_grad()
def encoded_shelf(
    parts: list[tuple[list[str], Tensor]], device: str, seed: int = 0
) -> Shelf:
    """Encode what was drawn, and freeze tiny, all on this device."""
    pipe = models.load("text-to-image", "tiny").to(device)
    for net in (pipe.unet, pipe.vae, pipe.text_encoder):
        net.requires_grad_(False).eval()
    pipe.unet.to(memory_format=torch.channels_last)
    said = [caption for captions, _ in parts for caption in captions]
    pictures = torch.cat([images for _, images in parts]).to(device)
    latents, words = [], []
    for i in range(0, len(said), 256):
        x = pipe.vae.encode(in_pixels(pictures[i : i + 256])).latent_dist.mode()
        latents.append((x * pipe.vae.config.scaling_factor).half())
        words.append(states_of(pipe, said[i : i + 256]).half())
    return Shelf(
        pipe=pipe,
        latents=torch.cat(latents),
        words=torch.cat(words),
        empty=states_of(pipe, [""]),
        pictures=pictures,
        generator=torch.Generator(device).manual_seed(seed),
    )


@torch.no_grad()
def states_of(pipe, said: list[str]) -> Tensor:
    """The text encoder's states (B, 48, 128), as the pipeline makes them."""
    tokens = tokenise(pipe.tokenizer, said).to(pipe.device)
    return pipe.text_encoder(tokens).last_hidden_state


def copied(unet: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A UNet that learns, and its average, which does not; both start as this one."""
    student, average = deepcopy(unet), deepcopy(unet)
    student.requires_grad_(True).train()
    return student, average.requires_grad_(False).eval()


def shelf_of(n: int, seed: int) -> Shelf:
    """A shelf of n pictures on the fastest device there is."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return encoded_shelf([drawn_scenes(n, seed)], device, seed)


def save_unet(unet: nn.Module, folder: Path, rank: int | None = None) -> None:
    """Write what differs from tiny-sd's UNet, a byte a weight, or of a low rank."""
    base, file = models.path("tiny") / "unet", "diffusion_pytorch_model.safetensors"
    with tempfile.TemporaryDirectory() as place:
        whole = deepcopy(unet).cpu().half()
        whole.save_pretrained(place)
        keep_difference(Path(place), base, folder)
        if rank is not None:
            fold(folder / file, Path(place) / file, base / file, rank)


def trial_or(number: int, steps: int) -> int:
    """The number itself, or 2 in a trial of a few steps."""
    return number if steps >= 50 else 2
