"""What a student of tiny can do while it learns: pictures of captions never seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import measure, toybox
from course_utils.methods import distillation as few
from course_utils.recipes.distilling import Shelf, states_of
from course_utils.recipes.few_stages import path_of
from course_utils.tiny.unet import SCHEDULE
from course_utils.tiny.worlds import WHOLE
from course_utils.training import save_whole

CONSISTENT = (999, 759, 499, 259)  # LCMScheduler's own four of 50


@dataclass
class Exam:
    """Captions never seen, the noise that each is drawn from, and their scenes."""

    shelf: Shelf
    scenes: list
    words: Tensor
    noise: Tensor

    @torch.no_grad()
    def decoded(self, latents: Tensor) -> Tensor:
        """Pictures (B, 3, 64, 64), on the CPU, by the VAE."""
        vae = self.shelf.pipe.vae
        parts = latents.float().split(64)
        return torch.cat([vae.decode(x).sample.clamp(-1, 1).cpu() for x in parts])

    @torch.no_grad()
    def drawn_by(self, name: str, net: nn.Module) -> Tensor:
        """Latents of the captions by the student of this name: "8", "1", "lcm" ..."""
        if name == "lcm":
            return _consistently(self.shelf, net, self.noise, self.words)
        if name == "1":
            t = torch.full((len(self.noise),), 999, device=self.noise.device)
            with self.shelf.half():
                return net(self.noise, t, self.words).sample.float()
        grid = [*few.trailing(int(name)), -1]
        return path_of(self.shelf, net, self.noise, self.words, grid)[:, -1]

    def line(self, name: str, net: nn.Module) -> str:
        """How much is right, in words."""
        if name == "taesd":
            return self._decibels(net)
        images = self.decoded(self.drawn_by(name, net))
        found = measure.attribute_accuracy(images, self.scenes)
        kinds = "all", "toy", "colour", "place", "pattern", "mood", "ground"
        return " ".join(f"{kind} {found[kind]:.3f}" for kind in kinds if kind in found)

    @torch.no_grad()
    def _decibels(self, net: nn.Module) -> str:
        pictures = toybox.render(self.scenes)
        device, vae = self.shelf.device, self.shelf.pipe.vae
        x = vae.encode(pictures.to(device)).latent_dist.mode()
        small = net.decoder(x).float().clamp(-1, 1).cpu()
        rows = {"vae": self.decoded(x), "taesd": small}
        psnr = {k: measure.psnr(y, pictures).mean().item() for k, y in rows.items()}
        return " ".join(f"{k} {y:.2f} dB" for k, y in psnr.items())


def exam(shelf: Shelf, n: int, seed: int = 5) -> Exam:
    """Of n scenes of the split "test"."""
    scenes = WHOLE.scenes(n, np.random.default_rng(seed), "test")
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, *shelf.latents.shape[1:], generator=generator)
    words = states_of(shelf.pipe, [scene.caption for scene in scenes])
    return Exam(shelf, scenes, words, noise.to(shelf.device))


def keeps(found: Exam, write: Callable[[str, nn.Module], None] | None = None):
    """A function of a student's name and weights: writes them, says what it can do."""

    def keep(name: str, net: nn.Module) -> str:
        if write is not None:
            write(name, net)
        return found.line(name, net)

    return keep


def in_half(file: Path, net: nn.Module) -> None:
    """Write a network in half precision; a cut leaves the older file whole."""
    weights = {
        k: x.detach().half().contiguous().cpu() for k, x in net.state_dict().items()
    }
    save_whole(weights, file, {"format": "pt"})


def _consistently(
    shelf: Shelf, net, x: Tensor, words: Tensor, w: float = 2.0
) -> Tensor:
    """Four steps of a consistency model, with new noise between them."""
    generator = torch.Generator().manual_seed(1)
    told = few.scale_embedding(
        torch.full((len(x),), w, device=x.device), net.config.time_cond_proj_dim
    )
    for k, step in enumerate(CONSISTENT):
        t = torch.full((len(x),), step, device=x.device)
        with shelf.half():
            v = net(x, t, words, timestep_cond=told).sample.float()
        x0 = few.consistent(few.clean_of(v, x, t, SCHEDULE), x, t)
        if k + 1 == len(CONSISTENT):
            return x0
        fresh = torch.randn(x.shape, generator=generator).to(x)
        later = torch.full_like(t, CONSISTENT[k + 1])
        x = few.renoise(x0, torch.full_like(t, -1), later, fresh, SCHEDULE)
    return x


@torch.no_grad()
def teachers_ends(pipe, n: int, counts: Sequence[int] = (20, 50)) -> dict[str, Tensor]:
    """Where the teacher, with its own scheduler and guidance 3, ends: for lesson 10.

    "50/2": latents (n, 4, 16, 16), half precision, of the third set of captions in 50
    steps; "open": of "a cat", n times, in 20. Noises as pipelines.draw takes them.
    """

    def ends(said: list[str], steps: int, seed: int) -> Tensor:
        found = []
        for i in range(0, len(said), 16):
            some = said[i : i + 16]
            seeds = range(seed + i, seed + i + len(some))
            noises = [torch.Generator().manual_seed(k) for k in seeds]
            options = dict(guidance_scale=3, generator=noises, output_type="latent")
            found.append(pipe(some, num_inference_steps=steps, **options).images.cpu())
        return torch.cat(found).half()

    sheet = {"open": ends(["a cat"] * n, counts[0], 5000)}
    for k in range(3):
        rng = np.random.default_rng([10, k])
        said = [toybox.sample(rng, "test").caption for _ in range(n)]
        for steps in counts:
            sheet[f"{steps}/{k}"] = ends(said, steps, 1000 * k)
    return sheet
