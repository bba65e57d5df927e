"""The GAN of lessons 04 and 08: latents of one big toy, and the code of a picture."""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import check_whole
from course_utils.methods import gan
from course_utils.tiny.judges import (
    LatentEye,
    ProjectedDiscriminator,
    convolution,
    hinge_loss,
    judged_still,
    plain_loss,
)
from course_utils.tiny.worlds import SMALL

Z = 64  # numbers of a code
VARIANCE = 0.92, 0.33, 0.88  # of latents and of the eye's features, over true scenes
GIVE_BACK, PRIOR = 5.0, 0.01  # what unlikeness costs, and a nat of a code


def big_toys(n: int, seed: int, split: str = "test") -> list[toybox.Scene]:
    """Draw n scenes of one big plain shape each: all that this GAN knows."""
    check_whole(n, "n")
    check_whole(seed, "seed", 0)
    rng = np.random.default_rng([8, seed])
    return SMALL.scenes(n, rng, split, things=1, pattern="plain", size="big")


class ToyGenerator(nn.Module):
    """Codes (B, inputs) -> latents (B, 4, 16, 16); 1.6 M.

    DCGAN's transposed convolutions, and a shortcut from the smallest maps to the
    largest that says how loud each channel is (skip-layer excitation, Liu et al. 2021,
    eq. 1): what the picture is decides early how it is painted.
    """

    def __init__(self, inputs: int = Z, widths: tuple[int, int, int] = (256, 160, 96)):
        """`inputs` numbers, maps of `widths` channels at 4x4, 8x8 and 16x16."""
        super().__init__()
        few, some, many = widths
        self.start = nn.Sequential(
            nn.Linear(inputs, few * 16, bias=False),
            nn.Unflatten(1, (few, 4, 4)),
            nn.BatchNorm2d(few),
            nn.ReLU(),
        )
        self.grow = nn.Sequential(*_double(few, some), *_double(some, many))
        self.loudness = nn.Sequential(
            nn.Conv2d(few, many, 4), nn.SiLU(), nn.Conv2d(many, many, 1), nn.Sigmoid()
        )
        self.paint = nn.Conv2d(many, 4, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor) -> Tensor:
        """Draw; no tanh at the end, for latents are not bounded."""
        return self.from_start(self.start(z))

    def from_start(self, small: Tensor) -> Tensor:
        """Draw what was begun as maps (B, 256, 4, 4)."""
        return self.paint(self.grow(small) * self.loudness(small))


def _double(before: int, after: int) -> list[nn.Module]:
    up = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
    return [up, nn.BatchNorm2d(after), nn.ReLU()]


class Encoder(nn.Module):
    """Latents (B, 4, 16, 16) -> mean and log-variance of their codes, (B, Z) each.

    It reads the latents and what the frozen eye sees in them; 0.8 M with the eye.
    """

    def __init__(self, eye: LatentEye):
        """`eye` stays as it is."""
        super().__init__()
        self.eye = copy.deepcopy(eye).requires_grad_(False)  # each its own
        near, far = eye.near[0].out_channels, eye.say.in_channels
        self.near = nn.Sequential(*convolution(4 + near, 64, 2))
        self.far = nn.Sequential(*convolution(64 + far, 128, 2))
        self.say = nn.Linear(128 * 16, 2 * Z)
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True):
        """All but the eye."""
        super().train(mode)
        self.eye.eval()
        return self

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Read the code of what is shown."""
        near, far = self.eye.features(latents)
        seen = self.near(torch.cat([latents, near], 1))
        maps = self.far(torch.cat([seen, far], 1))
        mean, log_var = self.say(maps.flatten(1)).chunk(2, 1)
        return mean, log_var


class ToyGAN(nn.Module):
    """A generator, and the encoder that was trained beside it."""

    def __init__(self, eye: LatentEye | None = None):
        """Without an `eye`, one that has seen nothing yet: weights are to come."""
        super().__init__()
        self.generator, self.encoder = ToyGenerator(), Encoder(eye or LatentEye())


def shipped_gan() -> ToyGAN:
    """The one that the course ships, toy-gan, frozen."""
    return models.network("toy-gan", ToyGAN)


def coded(encoder: Encoder, shown: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A code (N, Z) drawn for each latent shown, and its KL to N(0, 1), (N,), in nats.

    Kingma and Welling 2014, eq. 10 and appendix B; `noise` (N, Z) is normal.
    """
    mean, log_var = encoder(shown)
    kl = (mean**2 + log_var.exp() - 1 - log_var).sum(1) / 2
    return mean + (log_var / 2).exp() * noise, kl


def unlikeness(eye: LatentEye, x: Tensor, y: Tensor) -> Tensor:
    """How unlike two latents (B, 4, 16, 16) look: (B,), 0 if they are the same.

    The mean squared difference of the latents, of what the eye sees near and of what
    it sees further, each as a share of its variance over true scenes: about 6 for two
    that have nothing in common. A learned similarity (Larsen et al. 2016, eq. 7).
    """
    terms = zip((x, *eye.features(x)), (y, *eye.features(y)), VARIANCE, strict=True)
    return sum((a - b).square().mean((1, 2, 3)) / v for a, b, v in terms)


class ProjectedGame(nn.Module):
    """A generator and two discriminators, and an encoder if it must give back.

    The projected discriminator sees toys at once, but region by region. A plain one,
    DCGAN's, sees little at first and the whole picture in the end: that there is one
    toy, not two. A generator that must only please them drops what it draws badly; one
    that must also give back what it is shown cannot (VAE/GAN, Larsen et al. 2016).
    """

    def __init__(self, eye: LatentEye, seen_by_eye: bool = True, gives_back=True):
        """Without `seen_by_eye` the judge is the plain one alone."""
        super().__init__()
        self.players = ToyGAN(eye)
        self.plain = gan.Discriminator(16, width=32, channels=4)
        self.plain.to(memory_format=torch.channels_last)
        self.projected = ProjectedDiscriminator(eye) if seen_by_eye else None
        self.gives_back = gives_back

    def forward(self, real: Tensor, z: Tensor, noise: Tensor) -> Tensor:
        """What all players pay, each for its own: nobody learns from another's loss.

        real   latents (B, 4, 16, 16)
        z      codes (B, Z) to draw from
        noise  (N, Z), for the codes of the N <= B first of `real`, to be given back
        """
        if not self.gives_back:
            fake = self.players.generator(z)
            return self.judges(real, fake.detach()) + self.forger(fake)
        shown = real[: len(noise)]
        code, kl = coded(self.players.encoder, shown, noise)
        fake = self.players.generator(torch.cat([z, code]))
        back = unlikeness(self.players.encoder.eye, fake[len(z) :], shown).mean()
        own = GIVE_BACK * back + PRIOR * kl.mean()
        return self.judges(real, fake.detach()) + self.forger(fake) + own

    def judges(self, real: Tensor, fake: Tensor) -> Tensor:
        """What both discriminators pay, for latents (B, 4, 16, 16) of each kind."""
        loss = plain_loss(self.plain, real, fake)
        if self.projected:
            loss = loss + hinge_loss(self.projected(real), self.projected(fake))
        return loss

    def forger(self, fake: Tensor) -> Tensor:
        """What the generator pays for its latents (B, 4, 16, 16)."""
        loss = 2 * gan.generator_loss(judged_still(self.plain)(fake))
        if self.projected:
            loss = loss - sum(x.mean() for x in judged_still(self.projected)(fake))
        return loss
