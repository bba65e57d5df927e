"""The networks that lessons share: a small U-Net for pictures, an MLP for points.

Every network is called as ``network(x_t, t)`` with ``t`` long ``(B,)`` and answers in
the shape of ``x_t``. Shapes: B pictures, C channels, H and W pixels, D features.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.images import check_tensor


def timestep_embedding(t: Tensor, dim: int) -> Tensor:
    """Turn each step number into a row of sines and cosines: (B,) -> (B, dim).

    Slow waves tell early from late, fast ones tell neighbours apart (Vaswani et al.
    2017, section 3.5; the frequencies of Ho et al. 2020). ``dim`` is even, at least 4.
    """
    check_tensor(t, "t")
    if t.ndim != 1:
        raise ValueError(f"t must be (B,), one step a picture, not {tuple(t.shape)}")
    if not isinstance(dim, int) or dim < 4 or dim % 2:
        raise ValueError(f"dim must be even and at least 4, got {dim}")
    half = dim // 2
    wave = torch.arange(half, dtype=torch.float32, device=t.device)
    frequency = (-math.log(10_000) * wave / (half - 1)).exp()  # from 1 to 1/10000
    angle = t.float()[:, None] * frequency  # (B, dim/2)
    return torch.cat([angle.sin(), angle.cos()], dim=1)  # (B, dim)


def _zero(layer: nn.Module) -> nn.Module:
    """Start a layer at zero, so that its block begins as "change nothing"."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with groups of eight channels (batch norm would mix noise levels)."""
    return nn.GroupNorm(max(channels // 8, 1), channels)


class ResBlock(nn.Module):
    """Two convolutions, the time added in between, and a way around them.

    x (B, C_in, H, W), embedding (B, D) -> (B, C_out, H, W)
    """

    def __init__(self, c_in: int, c_out: int, dim: int, dropout: float = 0.0):
        super().__init__()
        self.norm1, self.norm2 = _group_norm(c_in), _group_norm(c_out)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(dim, c_out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = _zero(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Add what the block has to say to what came in."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(embedding))[:, :, None, None]  # one shift a channel
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.skip(x) + h


class Attention(nn.Module):
    """Every pixel asks all others: one head over the H*W positions.

    softmax(Q K^T / sqrt(C)) V (Vaswani et al. 2017, eq. 1), added to the input.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = _group_norm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = _zero(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        h = self.norm(x).flatten(2).transpose(1, 2)  # (B, H*W, C)
        q, k, v = self.qkv(h).chunk(3, dim=2)
        h = self.out(F.scaled_dot_product_attention(q, k, v))
        return x + h.transpose(1, 2).reshape(x.shape)  # (B, C, H, W)


class UNet(nn.Module):
    """Down to a small picture, attention, and up again with the skipped details.

    The U-Net of Ho et al. 2020 (appendix B), small. Each entry of ``multipliers`` is
    a level with ``width * multiplier`` channels, and half the size of the one before;
    H and W must divide by 2 ** (levels - 1).
    With ``classes=K`` it takes ``labels`` (B,), 0..K; K, or no labels, is "any class".
    """

    def __init__(
        self,
        channels: int = 1,  # of the picture
        width: int = 32,  # channels at full size
        multipliers: tuple[int, ...] = (1, 2),
        classes: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.width, self.classes, dim = width, classes, 4 * width
        self.embed = nn.Sequential(
            nn.Linear(width, dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        self.label = nn.Embedding(classes + 1, dim) if classes else None
        self.first = nn.Conv2d(channels, width, 3, padding=1)

        sizes = [width * m for m in multipliers]
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for c, deeper in zip(sizes, [*sizes[1:], None], strict=True):
            self.down.append(ResBlock(c, c, dim, dropout))
            self.up.append(ResBlock(2 * c, c, dim, dropout))
            if deeper:
                self.shrink.append(nn.Conv2d(c, deeper, 2, stride=2))
                self.grow.append(nn.ConvTranspose2d(deeper, c, 2, stride=2))
        self.middle = ResBlock(c, c, dim, dropout)
        self.attention = Attention(c)
        self.last = nn.Sequential(
            _group_norm(width),
            nn.SiLU(),
            _zero(nn.Conv2d(width, channels, 3, padding=1)),
        )
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Predict the noise in x (B, C, H, W) at the steps t (B,), whole or between."""
        self._check(x, labels)
        embedding = self.embed(timestep_embedding(t, self.width))  # (B, 4 * width)
        if self.label is not None:
            labels = self._any_class(t) if labels is None else labels
            embedding = embedding + self.label(labels)
        h, skips = self.first(x), []
        for level, block in enumerate(self.down):
            if level:
                h = self.shrink[level - 1](h)  # (B, 2C, H/2, W/2)
            h = block(h, embedding)
            skips.append(h)
        h = self.attention(self.middle(h, embedding))
        for level, block in reversed(list(enumerate(self.up))):
            h = block(torch.cat([h, skips[level]], dim=1), embedding)
            if level:
                h = self.grow[level - 1](h)  # (B, C/2, 2H, 2W)
        return self.last(h)

    def _any_class(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.classes, dtype=torch.long)  # t may be fractional

    def _check(self, x: Tensor, labels: Tensor | None) -> None:
        factor = 2 ** len(self.shrink)
        if x.shape[2] % factor or x.shape[3] % factor:
            raise ValueError(
                f"x is {x.shape[2]}x{x.shape[3]}; height and width must divide by "
                f"{factor}, for they are halved {len(self.shrink)} times"
            )
        if labels is not None and self.label is None:
            raise ValueError("this network takes no labels: build it with classes=K")


class PointDenoiser(nn.Module):
    """The same job on points in the plane: x (B, 2), t (B,) -> (B, 2).

    An MLP alone draws fine curves badly: it also gets sines and cosines of x (Tancik
    et al. 2020, section 4), as it does of t.
    """

    def __init__(self, width: int = 128, dim: int = 32, points: int = 2):
        super().__init__()
        self.dim = dim
        self.register_buffer("frequency", torch.tensor([1.0, 2.0, 4.0, 8.0]), False)
        self.layers = nn.Sequential(
            nn.Linear(points * 9 + dim, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, points),
        )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in the points x at the steps t."""
        angle = (x[:, :, None] * self.frequency).flatten(1)  # (B, 4 * points)
        time = timestep_embedding(t, self.dim)
        return self.layers(torch.cat([x, angle.sin(), angle.cos(), time], dim=1))
