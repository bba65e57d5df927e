"""Rectified flow's second round, reflow: a network learns its own walks made straight.

Liu et al. 2022, section 2.2; of Stable Diffusion: InstaFlow, Liu et al. 2023. A teacher
walks from noise to a picture, and the student learns the straight line between the two.
Lines of such pairs cross less than those between pictures and any noise, so few steps
are enough. The teacher's walk is guided, so the student needs no guidance.
"""

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, training
from course_utils.diffusion.flow_matching import as_flow, flow_path, flow_velocity
from course_utils.models.pipelines import guided
from course_utils.tiny.batches import CHAPTER
from course_utils.tiny.unet import SCHEDULE
from course_utils.tiny.worlds import WHOLE, captions, numpy_rng
from course_utils.training.speed import half_is_faster

_FLOW = as_flow(lambda x_t, t, unet, words: unet(x_t, t, words).sample, SCHEDULE)
WALK = diffusion.flow_grid(8, 1.5)  # of the teacher
STOPS = 8  # even steps of the student, or 4, 2, 1: the times that it learns
GUIDANCE = 3.0


class Straightened(nn.Module):
    """tiny's UNet as a flow; it still predicts v of its steps, as all tools expect."""

    def __init__(self, unet: nn.Module):
        super().__init__()
        self.unet = unet

    def forward(self, z: Tensor, t: Tensor, words: Tensor) -> Tensor:
        """The velocity at z (B, 4, 16, 16), t (B,) in [0, 1], words (B, 48, 128)."""
        return _FLOW(z, t, self.unet, words)


@torch.no_grad()
def walk_ends(pipe, said: Sequence[str], noise: Tensor) -> Tensor:
    """Where the teacher's guided walks from noise end, one for each caption."""
    flow = as_flow(guided(pipe, said, GUIDANCE), SCHEDULE)
    return diffusion.euler_path(flow, noise, WALK)[-1]


def reflow_loss(
    model: nn.Module, x0: Tensor, noise: Tensor, t: Tensor, words: Tensor
) -> Tensor:
    """The squared error of the velocity noise - x0 (Liu et al. 2022, eq. 1).

    noise (B, 4, 16, 16), and x0 where the teacher's walk from there ended; t (B,) in
    (0, 1]; words (B, 48, 128).
    """
    z = flow_path(x0, noise, t)
    with torch.autocast(x0.device.type, torch.bfloat16, half_is_faster(x0.device)):
        v = model(z, t, words)
    return F.mse_loss(v.float(), flow_velocity(x0, noise))


def reflow_batch(pipe, n: int, pairs: int, seed: int = 0) -> training.Batch:
    """The function that draws x0, noise, t and words; `pairs` are walked at once."""

    @functools.lru_cache(maxsize=1)
    def album(number: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(number)
        rng, found = numpy_rng(generator), []
        for i in range(0, pairs, 64):
            said = captions(WHOLE.practice(min(64, pairs - i), rng), rng)
            noise = torch.randn(len(said), 4, 16, 16, generator=generator)
            words = pipe.encode_prompt(said, pipe.device, 1, False)[0].detach()
            found.append((walk_ends(pipe, said, noise), noise, words))
        return tuple(map(torch.cat, zip(*found, strict=True)))

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        x0, noise, words = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(x0), (n,), generator=generator)
        t = torch.randint(1, STOPS + 1, (n,), generator=generator) / STOPS
        return x0[rows], noise[rows], t, words[rows]

    return batch
