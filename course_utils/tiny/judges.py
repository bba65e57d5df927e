"""The judges of lesson 04's GANs: one that starts from nothing, one whose eye sees.

A discriminator that starts from nothing learns to see and to judge at once. Projected
GANs (Sauer et al. 2021) look through a network that already sees, and learn to judge
only. Here it is a small reader of latents (4, 16, 16), the LatentEye, which was taught
to see in them what the trunk's alignment encoder sees in the picture.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from course_utils import models
from course_utils.methods import gan


class LatentEye(nn.Module):
    """Sees in latents (B, 4, 16, 16) what the alignment encoder sees in the picture."""

    def __init__(self, width: int = 64, channels: int = 96):
        """`channels` are those of the maps (B, channels, 8, 8) that it is taught."""
        super().__init__()
        self.near = nn.Sequential(*convolution(4, width), *convolution(width, width))
        self.far = nn.Sequential(
            *convolution(width, channels, 2), *convolution(channels, channels)
        )
        self.say = nn.Conv2d(channels, channels, 1)
        self.to(memory_format=torch.channels_last)

    def features(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen near, (B, width, 16, 16), and further, (B, channels, 8, 8)."""
        near = self.near(latents)
        return near, self.far(near)

    def forward(self, latents: Tensor) -> Tensor:
        """The maps that it was taught, (B, channels, 8, 8)."""
        return self.say(self.features(latents)[1])


def convolution(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    """Three layers: convolution 3x3, batch norm, ReLU."""
    layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(after), nn.ReLU()]


def shipped_eye() -> LatentEye:
    """The one that the course ships, frozen."""
    return models.network("latent-eye", LatentEye)


def judge_head(channels: int, halvings: int, width: int = 64, whole: bool = False):
    """A small judge of maps (B, channels, H, W): logits (B, 1, h, w).

    Of each region one; `whole` looks at 4x4 maps at once and says one number. Spectral
    norm in every layer, as in Projected GANs.
    """
    layers: list[nn.Module] = []
    for _ in range(halvings):
        down = nn.Conv2d(channels, width, 4, stride=2, padding=1)
        layers += [spectral_norm(down), nn.LeakyReLU(0.2)]
        channels = width
    last = nn.Conv2d(channels, 1, 4 if whole else 3, padding=0 if whole else 1)
    return nn.Sequential(*layers, spectral_norm(last))


class ProjectedDiscriminator(nn.Module):
    """Four small judges, three of them of what a frozen eye sees.

    latents (B, 4, 16, 16) -> a list of logits, (B, 1, h, w) of each judge
    (Sauer et al. 2021, eq. 2: a sum over several discriminators).
    """

    def __init__(self, eye: LatentEye, told: int = 0):
        """`eye` stays as it is; `told` numbers of a text reach two of the judges."""
        super().__init__()
        self.eye = copy.deepcopy(eye).requires_grad_(False)  # each its own
        near, far = eye.near[0].out_channels, eye.say.in_channels * (2 if told else 1)
        self.listen = nn.Linear(told, eye.say.in_channels) if told else None
        self.judges = nn.ModuleList(
            [
                judge_head(near, 2),
                judge_head(far, 1),
                judge_head(far, 1, 128, whole=True),
                judge_head(4, 2),
            ]
        )
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True):
        """All but the eye."""
        super().train(mode)
        self.eye.eval()
        return self

    def forward(self, latents: Tensor, told: Tensor | None = None) -> list[Tensor]:
        """Judge what is seen near, further twice, and the latents as they are.

        The text (B, told) reaches the two judges of the further view as a gain on each
        channel, beside the view itself (as in Miyato and Koyama 2018, eq. 3).
        """
        near, far = self.eye.features(latents)
        if told is not None:
            far = torch.cat([far, far * self.listen(told)[:, :, None, None]], 1)
        seen = near, far, far, latents
        return [judge(x) for judge, x in zip(self.judges, seen, strict=True)]


def hinge_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """What the judges pay: a real logit below 1, and a forged one above -1.

    E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))), the sum over the judges (Lim and Ye
    2017; Sauer et al. 2021, section 3). One who is sure enough pays, and learns,
    nothing more.
    """
    pairs = zip(real, fake, strict=True)
    return sum(F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in pairs)


def plain_loss(judge: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """What a plain discriminator pays, R1 with gamma 0.5 included."""
    some = real[: len(real) // 4].detach().requires_grad_()  # a quarter is enough
    steep = gan.r1_penalty(judge(some), some)
    return gan.discriminator_loss(judge(real), judge(fake)) + 0.5 * steep


def judged_still(network: nn.Module):
    """The network as a function whose weights learn nothing."""
    weights = {name: p.detach() for name, p in network.named_parameters()}
    return lambda *x: torch.func.functional_call(network, weights, x)
