"""The denoising diffusion GAN of lesson 08: latents of one big toy in four steps."""

import torch
from torch import Tensor, nn

from course_utils import models, schedules
from course_utils.images import check_callable, check_kind, check_whole
from course_utils.methods import ddgan, gan
from course_utils.networks.unet import timestep_embedding
from course_utils.tiny.judges import (
    LatentEye,
    ProjectedDiscriminator,
    hinge_loss,
    judged_still,
)

STEPS, CODE_SIZE = 4, 64
PLAN = schedules.linear()
CLOCK = 32  # numbers that tell the eye's judges the step


class DenoisingGame(nn.Module):
    """A generator and its judges (Xiao et al. 2022, section 3.2).

    The paper's discriminator sees the noisy x_s beside x_t. Judges with an eye, as
    those of toy-gan, see the drawn x0 and the step: the eye knows clean latents only.
    In the last big step x_s is x0, and both see the same.
    """

    def __init__(
        self, eye: LatentEye | None = None, gamma: float = 0.5, eye_from: int = 0
    ):
        """Without an `eye` the game is the paper's.

        gamma     the weight of R1
        eye_from  the first big step, 0 to STEPS - 1, in which the eye looks
        """
        super().__init__()
        self.generator = ddgan.DenoisingGenerator(4, CODE_SIZE)
        self.judge = ddgan.StepDiscriminator()
        self.projected = ProjectedDiscriminator(eye, CLOCK) if eye else None
        self.steps = ddgan.BigSteps(PLAN, STEPS)
        self.gamma, self.eye_from = gamma, eye_from

    def forward(self, real: Tensor, noise: Tensor, z: Tensor) -> Tensor:
        """What all players pay, each for its own: nobody learns from another's loss.

        real   latents (B, 4, 16, 16): the first quarter is noised to big step 0, the
               next to 1, and so on
        noise  (B, 3, 4, 16, 16), normal: of x_t, of the true x_s, of the drawn one
        z      codes (B, CODE_SIZE)
        """
        k = in_equal_parts(len(real), real.device)
        first, second, third = noise.unbind(1)
        x_t, t = self.steps.noisy(real, first, k), self.steps.t[k]
        x0 = self.generator(x_t, t, z)
        true = self.steps.earlier(real, x_t, second, k)
        fake = self.steps.earlier(x0, x_t, third, k)
        loss = self.judges(true, fake.detach(), x_t, t)
        loss = loss + 2 * gan.generator_loss(judged_still(self.judge)(fake, x_t, t))
        if self.projected:
            n = self.eye_from * len(real) // STEPS
            loss = loss + self.eyes(real[n:], x0[n:], t[n:])
        return loss

    def eyes(self, real: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """What judges with an eye pay, and the generator for its x0.

        real, x0 (B, 4, 16, 16); t (B,), the step at which x0 was drawn.
        """
        told = timestep_embedding(t, CLOCK)
        seen = self.projected(torch.cat([real, x0.detach()]), told.repeat(2, 1))
        judged = zip(*(x.chunk(2) for x in seen), strict=True)
        liked = judged_still(self.projected)(x0, told)
        return hinge_loss(*map(list, judged)) - sum(x.mean() for x in liked)

    def judges(self, true: Tensor, fake: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """What the paper's discriminator pays, R1 of a quarter of the batch included.

        true, fake, x_t (B, 4, 16, 16); t (B,).
        """
        some = true[::4].detach().requires_grad_()
        steep = gan.r1_penalty(self.judge(some, x_t[::4], t[::4]), some)
        both = torch.cat([true, fake]), x_t.repeat(2, 1, 1, 1), t.repeat(2)
        logits = self.judge(*both).chunk(2)
        return gan.discriminator_loss(*logits) + self.gamma * steep


def in_equal_parts(n: int, device: torch.device | str = "cpu") -> Tensor:
    """The big step of each of n, (n,): 0, 0, .. to STEPS - 1, each as often."""
    if n % STEPS:
        raise ValueError(f"a batch of {n} must be a multiple of {STEPS}, the big steps")
    return torch.arange(STEPS, device=device).repeat_interleave(n // STEPS)


def draw_denoising(
    generator: nn.Module, n: int, rng: torch.Generator, device: str = "cpu"
) -> Tensor:
    """Draw n latents (n, 4, 16, 16) in STEPS steps, all noise from `rng` on the CPU."""
    check_callable(generator, "generator")
    check_whole(n, "n")
    check_kind(rng, "rng", torch.Generator, "torch.Generator().manual_seed(0)")
    x_T = torch.randn(n, 4, 16, 16, generator=rng).to(device)
    return ddgan.denoise(generator, x_T, PLAN, STEPS, rng)


def shipped_ddgan() -> nn.Module:
    """The generator that the course ships, toy-ddgan, frozen."""
    return models.network("toy-ddgan", ddgan.DenoisingGenerator)
