"""A small 3-D network that sees a clip as a whole: for the video FID.

It learnt to say what the toy does, so its features hold how things move, as those of
the network behind FVD (Unterthiner et al. 2019) do. It judges only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import models
from course_utils.images import check_tensor, in_parts
from course_utils.toybox import MOTIONS

VERBS = [*MOTIONS[:8], "becomes"]  # whatever the colour
NARROW = 6  # numbers a frame: a covariance needs more clips than features


class ClipReader(nn.Module):
    """(B, F, 3, 64, 64) in [-1, 1] -> logits of VERBS, (B, 9); any F from 4 on."""

    def __init__(self, width: int = 16):
        super().__init__()
        sizes = (3, width, width, 2 * width)
        layers = []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [
                nn.Conv3d(before, after, 3, (1, 2, 2), 1, bias=False),
                nn.BatchNorm3d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)  # (B, 2 width, F, 4, 4)
        self.narrow = nn.Linear(2 * width * 4 * 4, NARROW)
        self.answer = nn.Linear(3 * NARROW, len(VERBS))

    def see(self, videos: Tensor) -> Tensor:
        """Features (B, 18): how a clip begins, how it is, how it ends."""
        small = F.avg_pool2d(videos.flatten(0, 1), 2)  # 32x32 is enough to see motion
        small = small.unflatten(0, videos.shape[:2]).transpose(1, 2)
        maps = self.body(small).transpose(1, 2)  # (B, F, C, 4, 4)
        rows = self.narrow(maps.flatten(2))  # (B, F, NARROW)
        return torch.cat([rows[:, 0], rows.mean(1), rows[:, -1]], 1)

    def forward(self, videos: Tensor) -> Tensor:
        """Answer for each verb."""
        return self.answer(self.see(videos).relu())


def clip_features(videos: Tensor, net: nn.Module | None = None) -> Tensor:
    """Features (B, 18) of videos (B, F, 3, 64, 64) in [-1, 1], F at least 4."""
    check_tensor(videos, "videos")
    if videos.ndim != 5 or videos.shape[2:] != (3, 64, 64) or videos.shape[1] < 4:
        raise ValueError(
            f"videos has shape {tuple(videos.shape)}: pass (B, F, 3, 64, 64), four "
            "frames or more"
        )
    net = net or models.network("clip-reader", ClipReader)
    with torch.no_grad():
        return in_parts(net.see, videos.detach().float(), 32)
