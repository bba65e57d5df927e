"""The three upscalers of lesson 03: the same SRResNet, brought up on three losses.

What they enlarge is small and grainy, as from a bad camera. Without grain the toybox is
so regular that 16 pixels nearly say which 64 they were, and there is little to decide.

mse       the mean squared error alone
features  and what a network that reads pictures sees
srgan     and a critic that must take it for a true render (Ledig et al. 2017)
"""

import torch
from torch import Tensor, nn

from course_utils import models
from course_utils.methods import gan
from course_utils.networks.images_to_images import PatchCritic, SRResNet, bicubic
from course_utils.oracle import Reader, perceptual_distance

SMALL, GRAIN = 16, 0.1  # pixels a side of what is enlarged to 64; spread of its noise
FEATURES, ADVERSARY, GAMMA = 0.05, 0.03, 1.0  # the weights of the losses; of R1


def snapshot(images: Tensor, generator: torch.Generator) -> Tensor:
    """What a bad camera sees of pictures (B, 3, 64, 64): (B, 3, 16, 16) in [-1, 1]."""
    small = bicubic(images, SMALL)
    grain = torch.randn(small.shape, generator=generator)
    return (small + GRAIN * grain).clamp(-1, 1)


def build_upscalers() -> nn.ModuleDict:
    """The three networks by name, with fresh weights."""
    return nn.ModuleDict({name: SRResNet() for name in ("mse", "features", "srgan")})


def shipped_upscalers() -> nn.ModuleDict:
    """The three that the course ships, frozen: each (B, 3, 16, 16) -> 64x64."""
    return models.network("upscalers", build_upscalers)


class UpscalerGame(nn.Module):
    """The three upscalers and the critic of one of them; a forward pass is one turn."""

    def __init__(self, start: nn.Module):
        """`start` is the SRResNet that all three begin as."""
        super().__init__()
        self.upscalers, self.critic = build_upscalers(), PatchCritic()
        for upscaler in self.upscalers.values():
            upscaler.load_state_dict(start.state_dict())

    def forward(self, truth: Tensor, small: Tensor, eye: Reader) -> dict[str, Tensor]:
        """All losses of pictures (B, 3, 64, 64) and their snapshots, by the player."""
        large = {name: net(small) for name, net in self.upscalers.items()}
        losses = {name: (x - truth).square().mean() for name, x in large.items()}
        for name in ("features", "srgan"):
            seen = perceptual_distance(large[name], truth, eye).mean()
            losses[name] = losses[name] + FEATURES * seen
        players = critic_losses(self.critic, truth, large["srgan"])
        losses["critic"], fooled = players
        losses["srgan"] = losses["srgan"] + ADVERSARY * fooled
        return losses


def critic_losses(
    critic: nn.Module, real: Tensor, fake: Tensor, *maps: Tensor
) -> tuple[Tensor, Tensor]:
    """What the critic minimises, and what the forger does.

    The critic's has GAMMA R1 on a quarter of the pictures (Mescheder et al. 2018). It
    does not see where a fake comes from, and judges the forger with its weights held
    still: so the sum of both can be minimised. `maps` are what it sees beside pictures.
    """
    real_logits, fake_logits = critic(real, *maps), critic(fake.detach(), *maps)
    d_loss = gan.discriminator_loss(real_logits, fake_logits)
    some = real[: -(-len(real) // 4)].detach().requires_grad_()
    answers = critic(some, *(x[: len(some)] for x in maps)).mean((1, 2, 3))
    d_loss = d_loss + GAMMA * gan.r1_penalty(answers, some)
    still = {name: p.detach() for name, p in critic.named_parameters()}
    judged = torch.func.functional_call(critic, still, (fake, *maps))
    return d_loss, gan.generator_loss(judged)
