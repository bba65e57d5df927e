"""Denoising diffusion GAN: four steps, each drawn by a GAN (Xiao et al. 2022).

Over a big step q(x_s | x_t) is no Gaussian: it has a bump for each picture that may be
in x_t. So a generator draws the picture, x0 = G(x_t, z, t), its code z chooses which,
and x_s follows from both by the posterior q(x_s | x_t, x0), which is Gaussian
(section 3.2). A discriminator sees x_s, x_t and t, and compares with true pairs.

t is a step of the schedule, (B,), as everywhere; k the number of a big step, long (B,),
0 for the noisiest.
"""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion
from course_utils.images import check_floats, check_whole
from course_utils.networks.unet import Attention, timestep_embedding
from course_utils.schedules import Schedule


class BigSteps(nn.Module):
    """The few steps of a walk, and what is Gaussian in each, for a batch of many k."""

    def __init__(self, schedule: Schedule, num_steps: int = 4):
        """`num_steps` of the schedule's T, trailing: the first is the noisiest."""
        super().__init__()
        visits = diffusion.timesteps(schedule.T, num_steps, "trailing")
        self.timesteps = [*visits, -1]
        pairs = itertools.pairwise(self.timesteps)
        rows = [self._row(*pair, schedule) for pair in pairs]
        self.register_buffer("t", torch.tensor(visits), persistent=False)
        table = torch.tensor(rows).T.contiguous()
        self.register_buffer("table", table, persistent=False)

    @staticmethod
    def _row(t: int, to: int, schedule: Schedule) -> list[float]:
        one = torch.ones(1)
        from_x0, variance = diffusion.posterior(one, 0 * one, t, schedule, to)
        from_xt, _ = diffusion.posterior(0 * one, one, t, schedule, to)
        levels = schedule.signal[t], schedule.sigma[t]
        return [float(x) for x in (*levels, from_x0, from_xt, variance**0.5)]

    def _at(self, k: Tensor, x: Tensor) -> Tensor:
        return self.table[:, k].view(-1, len(x), *[1] * (x.ndim - 1))

    def noisy(self, x0: Tensor, noise: Tensor, k: Tensor) -> Tensor:
        """x_t of big step k, from the clean x0 (B, ...): Ho et al. 2020, eq. 4."""
        signal, sigma, *_ = self._at(k, x0)
        return signal * x0 + sigma * noise

    def earlier(self, x0: Tensor, x_t: Tensor, noise: Tensor, k: Tensor) -> Tensor:
        """x_s, one big step before x_t: a draw of q(x_s | x_t, x0); x0 at the last."""
        _, _, from_x0, from_xt, spread = self._at(k, x0)
        return from_x0 * x0 + from_xt * x_t + spread * noise


class ToldBlock(nn.Module):
    """A residual block whose norms are told the step and the code.

    x (B, c_in, H, W), told (B, dim) -> (B, c_out, H, W). Adaptive group norm: the paper
    feeds the code to every block so (Xiao et al. 2022).
    """

    def __init__(self, c_in: int, c_out: int, dim: int):
        super().__init__()
        self.tell = nn.ModuleList(nn.Linear(dim, 2 * c) for c in (c_in, c_out))
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Add what the block has to say to what came in."""
        h = self.conv1(self._normed(x, told, 0))
        h = self.conv2(self._normed(h, told, 1))
        return self.skip(x) + h

    def _normed(self, x: Tensor, told: Tensor, which: int) -> Tensor:
        scale, shift = self.tell[which](told)[:, :, None, None].chunk(2, 1)
        return F.silu(F.group_norm(x, x.shape[1] // 8) * (1 + scale) + shift)


class DenoisingGenerator(nn.Module):
    """x_t (B, C, H, W), t (B,), z (B, Z) -> a picture x0 that may be in x_t.

    A U-Net; the code z passes a mapping network first, as StyleGAN's does.
    """

    def __init__(
        self,
        channels: int = 4,
        z: int = 64,
        widths: tuple[int, ...] = (64, 96, 128),
        dim: int = 128,
    ):
        """Each of `widths` is a level of half the size; `dim` numbers are told."""
        super().__init__()
        self.z, self.width = z, widths[0]
        self.step = nn.Sequential(
            nn.Linear(widths[0], dim), nn.SiLU(), nn.Linear(dim, dim)
        )
        layers = [nn.Linear(z, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU()]
        self.code = nn.Sequential(*layers, nn.Linear(dim, dim))
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        for c, deeper in zip(widths, (*widths[1:], None), strict=True):
            self.down.append(ToldBlock(c, c, dim))
            self.up.append(ToldBlock(2 * c, c, dim))
            if deeper:
                self.shrink.append(nn.Conv2d(c, deeper, 2, stride=2))
                self.grow.append(nn.ConvTranspose2d(deeper, c, 2, stride=2))
        self.middle, self.attention = ToldBlock(c, c, dim), Attention(c)
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x_t: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Draw; unbounded, as latents are."""
        length = z.square().mean(1, keepdim=True).add(1e-8).sqrt()
        told = self.step(timestep_embedding(t, self.width)) + self.code(z / length)
        told = F.silu(told)
        h, skips = self.first(x_t), []
        for level, block in enumerate(self.down):
            h = block(self.shrink[level - 1](h) if level else h, told)
            skips.append(h)
        h = self.attention(self.middle(h, told))
        for level, block in reversed(list(enumerate(self.up))):
            h = block(torch.cat([h, skips[level]], 1), told)
            h = self.grow[level - 1](h) if level else h
        return self.last(F.silu(F.group_norm(h, self.width // 8)))


class StepDiscriminator(nn.Module):
    """Was x_s drawn by the true process? x_s and x_t (B, C, H, W), t (B,) -> (B, 1).

    Residual blocks told the step, each halving the size (Xiao et al. 2022), and the
    spread over four neighbours of the batch (Karras et al. 2018, section 3): a
    generator that always draws the same is found out.
    """

    def __init__(
        self,
        channels: int = 4,
        size: int = 16,
        widths: Sequence[int] = (64, 128, 256),
        dim: int = 128,
    ):
        """Maps of `widths` channels; H = W = `size`, halved once for each but one."""
        super().__init__()
        self.width, side = widths[0], size // 2 ** (len(widths) - 1)
        self.step = nn.Sequential(
            nn.Linear(widths[0], dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU()
        )
        self.first = nn.Conv2d(2 * channels, widths[0], 3, padding=1)
        pairs = list(zip(widths, widths[1:], strict=False))
        self.conv1 = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        self.conv2 = nn.ModuleList(nn.Conv2d(b, b, 3, padding=1) for a, b in pairs)
        self.told = nn.ModuleList(nn.Linear(dim, b) for a, b in pairs)
        self.skip = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairs)
        self.end = nn.Conv2d(widths[-1] + 1, widths[1], 3, padding=1)
        self.say = nn.Sequential(
            nn.Flatten(),
            nn.Linear(widths[1] * side**2, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, 1),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, x_s: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits, above 0 for true."""
        told = self.step(timestep_embedding(t, self.width))
        h = self.first(torch.cat([x_s, x_t], 1))
        for conv1, conv2, tell, skip in zip(
            self.conv1, self.conv2, self.told, self.skip, strict=True
        ):
            inner = conv1(F.leaky_relu(h, 0.2)) + tell(told)[:, :, None, None]
            inner = conv2(F.avg_pool2d(F.leaky_relu(inner, 0.2), 2))
            h = (inner + skip(F.avg_pool2d(h, 2))) / math.sqrt(2)
        h = torch.cat([h, batch_spread(h)], 1)
        return self.say(F.leaky_relu(self.end(h), 0.2))


def batch_spread(x: Tensor, group: int = 4) -> Tensor:
    """How unlike the maps (B, C, H, W) of each `group` in a row are: (B, 1, H, W).

    Their standard deviation, averaged over channels and places (Karras et al. 2018,
    section 3). A batch that `group` does not divide is one group.
    """
    check_floats(x, "x", 4)
    check_whole(group, "group")
    group = group if len(x) % group == 0 else len(x)
    variance = x.unflatten(0, (-1, group)).var(1, unbiased=False)
    spread = (variance + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)
    return spread.repeat_interleave(group, 0).expand(-1, 1, *x.shape[2:])


@torch.no_grad()
def denoise(
    generator: DenoisingGenerator,
    x_T: Tensor,
    schedule: Schedule,
    num_steps: int = 4,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Walk from noise x_T (B, C, H, W) to x0 in big steps, with a new code in each.

    It is DDPM's ancestral walk (diffusion.ddpm_step) with a drawn x0 for the mean one.
    """
    visits = [*diffusion.timesteps(schedule.T, num_steps, "trailing"), -1]

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        z = torch.randn(len(x_t), generator.z, generator=rng)
        return generator(x_t, t, z.to(x_t))

    options = dict(timesteps=visits, predicts="x0", generator=rng)
    return diffusion.sample(model, x_T, schedule, **options)
