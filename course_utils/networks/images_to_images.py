"""Networks from picture to picture, small: SRResNet, pix2pix's U-Net and PatchGAN.

Shapes: B pictures, C channels, H and W pixels. Pictures lie in [-1, 1].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.images import check_floats, check_whole

DROPOUT = 0.5  # pix2pix's only noise (Isola et al. 2017, section 3.2)


def bicubic(images: Tensor, size: int) -> Tensor:
    """Pictures (B, C, H, W) at another size, (B, C, size, size), by bicubic splines.

    Smoothed before they are made smaller, as Ledig et al. 2017 (section 3) do it.
    """
    check_floats(images, "images", 4)
    check_whole(size, "size")
    smaller = size < images.shape[-1]
    options = dict(mode="bicubic", align_corners=False, antialias=smaller)
    return F.interpolate(images, size=(size, size), **options)


class ResidualBlock(nn.Module):
    """Two convolutions and a way around them: (B, C, H, W) -> (B, C, H, W).

    Ledig et al. 2017, figure 4, without batch norm (Lim et al. 2017, section 3.1).
    """

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)  # begins as "change little"

    def forward(self, x: Tensor) -> Tensor:
        """Add what the block has to say to what came in."""
        return x + self.conv2(self.act(self.conv1(x)))


class SRResNet(nn.Module):
    """Four times as large: (B, 3, H, W) -> (B, 3, 4H, 4W).

    All blocks work on the small picture; two pixel shuffles enlarge it at the end
    (Ledig et al. 2017, figure 4). The network adds to the bicubic enlargement, which it
    returns before it has learnt anything.
    """

    def __init__(self, width: int = 40, blocks: int = 8, large: tuple = (24, 16)):
        """`large` are the channels at twice and at four times the size."""
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.after = nn.Conv2d(width, width, 3, padding=1)
        self.enlarge = nn.Sequential(*_double(width, large[0]), *_double(*large))
        self.last = nn.Conv2d(large[1], 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.to(memory_format=torch.channels_last)  # faster on a CPU

    def forward(self, small: Tensor) -> Tensor:
        """Enlarge; not clamped, so that a loss can pull it back."""
        _check_small(small)
        first = self.first(small)
        h = first + self.after(self.blocks(first))
        return bicubic(small, 4 * small.shape[-1]) + self.last(self.enlarge(h))


def _check_small(small: Tensor) -> None:
    if not isinstance(small, Tensor) or small.ndim != 4 or small.shape[1] != 3:
        shape = tuple(small.shape) if isinstance(small, Tensor) else type(small)
        raise ValueError(f"small must be (B, 3, H, W), not {shape}: of one, x[None]")


def _double(before: int, after: int) -> list[nn.Module]:
    """(B, before, H, W) -> (B, 4 * after, H, W) -> (B, after, 2H, 2W)."""
    layers = [nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2), nn.ReLU()]
    return layers


class Labels(nn.Module):
    """A map of labels (B, H, W), whole numbers, as pictures (B, C, H, W).

    Each label has C numbers of its own, which are learnt: a 1x1 convolution of the
    one-hot map, without making it.
    """

    def __init__(self, labels: int, channels: int = 8):
        super().__init__()
        self.codes = nn.Embedding(labels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Look up each pixel's code; ValueError for what is no map of labels."""
        known = len(self.codes.weight)
        whole = isinstance(maps, Tensor) and maps.dtype == torch.long and maps.ndim == 3
        if not whole or not 0 <= maps.min() <= maps.max() < known:
            raise ValueError(
                f"maps must be whole numbers (B, H, W), long, each 0..{known - 1}: one "
                "label a pixel, not a picture; of one map pass maps[None]"
            )
        return self.codes(maps).movedim(-1, 1)  # channels last in memory


class Translator(nn.Module):
    """pix2pix's U-Net: a map of labels (B, S, S) -> a picture (B, 3, S, S).

    Down by strided convolutions, up again with a shortcut on each floor, dropout in the
    first two floors of the way up: at test time too, for it is the only noise (Isola et
    al. 2017, section 3.2.1 and appendix 6.1).
    """

    def __init__(self, labels: int, widths: tuple[int, ...] = (16, 32, 64, 64, 96)):
        """`widths` are the channels of each floor, from the top."""
        super().__init__()
        self.labels = Labels(labels)
        self.first = nn.Sequential(nn.Conv2d(8, widths[0], 3, padding=1), nn.ReLU())
        steps = list(zip(widths, widths[1:], strict=False))
        self.down = nn.ModuleList(_normed(nn.Conv2d(a, b, 4, 2, 1)) for a, b in steps)
        ups, below = [], widths[-1]
        for a, _ in reversed(steps):
            ups.append(_normed(nn.ConvTranspose2d(below, a, 4, 2, 1)))
            below = 2 * a  # with the shortcut
        self.up = nn.ModuleList(ups)
        self.last = nn.Conv2d(below, 3, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, maps: Tensor, noise: bool = True) -> Tensor:
        """Paint; `noise=False` is without dropout. S divides by 16."""
        h, skips = self.first(self.labels(maps)), []
        for shrink in self.down:
            skips.append(h)
            h = shrink(h)
        for floor, grow in enumerate(self.up):
            h = F.dropout(grow(h), DROPOUT, training=noise and floor < 2)
            h = torch.cat([h, skips.pop()], dim=1)
        return self.last(h).tanh()


def _normed(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, nn.GroupNorm(4, layer.out_channels), nn.ReLU())


class PatchCritic(nn.Module):
    """PatchGAN: picture (B, 3, S, S), and labels (B, S, S) -> logits (B, 1, h, w).

    Each logit judges a patch of 34x34 pixels (Isola et al. 2017, section 3.2.2). With
    labels=0 it sees no map. No norm, so that R1 has a meaning.
    """

    def __init__(self, labels: int = 0, width: int = 24):
        super().__init__()
        self.labels = Labels(labels) if labels else None
        channels = [11 if labels else 3, width, 2 * width, 4 * width, 1]
        strides, layers = (2, 2, 1, 1), []
        for before, after, stride in zip(channels, channels[1:], strides, strict=False):
            layers += [nn.Conv2d(before, after, 4, stride, 1), nn.LeakyReLU(0.2)]
            nn.init.kaiming_normal_(layers[-2].weight, 0.2)
            nn.init.zeros_(layers[-2].bias)
        self.layers = nn.Sequential(*layers[:-1])
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, maps: Tensor | None = None) -> Tensor:
        """Judge each patch: above 0 is "real"."""
        if (maps is None) != (self.labels is None):
            raise ValueError(
                "maps must be given if, and only if, the critic was built with labels"
            )
        seen = [images] if self.labels is None else [images, self.labels(maps)]
        return self.layers(torch.cat(seen, dim=1))
