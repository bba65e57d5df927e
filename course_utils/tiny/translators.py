"""The three painters of lesson 03: the same U-Net from labels, on three losses.

l1    the absolute error alone
cgan  a critic alone, who sees labels and picture (Isola et al. 2017)
both  the sum of the two: pix2pix
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.networks.images_to_images import PatchCritic, Translator
from course_utils.tiny.upscalers import critic_losses

GROUNDS, TOYS = (toybox.ATTRIBUTES[name] for name in ("ground", "toy"))
LABELS = [*GROUNDS, *TOYS]  # what a pixel of a map can say, by its number
WEIGHT = 25.0  # of the absolute error beside the critic; the paper's is 100


def label_maps(scenes: Sequence[toybox.Scene]) -> Tensor:
    """What each pixel shows, as places in LABELS: (B, 64, 64) long.

    Kinds of ground and toy only: colours, patterns and moods are for the painter.
    """
    toys = toybox.segmentation(scenes)
    grounds = torch.tensor([GROUNDS.index(scene.ground) for scene in scenes])
    return torch.where(toys > 0, len(GROUNDS) - 1 + toys, grounds[:, None, None])


def build_translators() -> nn.ModuleDict:
    """The three networks by name, with fresh weights."""
    names = "l1", "cgan", "both"
    return nn.ModuleDict({name: Translator(len(LABELS)) for name in names})


def shipped_translators() -> nn.ModuleDict:
    """The three that the course ships, frozen: each `label_maps` -> (B, 3, 64, 64)."""
    return models.network("translators", build_translators)


class TranslatorGame(nn.Module):
    """The three painters and the critics of two; a forward pass is one turn."""

    def __init__(self):
        super().__init__()
        self.translators = build_translators()
        critics = {name: PatchCritic(len(LABELS)) for name in ("cgan", "both")}
        self.critics = nn.ModuleDict(critics)

    def forward(self, truth: Tensor, maps: Tensor) -> dict[str, Tensor]:
        """All losses of pictures (B, 3, 64, 64) and their maps, one player's each."""
        painted = {name: net(maps) for name, net in self.translators.items()}
        error = {name: (x - truth).abs().mean() for name, x in painted.items()}
        losses = {"l1": WEIGHT * error["l1"]}
        for name, critic in self.critics.items():
            told = critic_losses(critic, truth, painted[name], maps)
            losses[f"critic of {name}"], losses[name] = told
        losses["both"] = losses["both"] + WEIGHT * error["both"]
        return losses
