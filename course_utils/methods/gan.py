"""Generative adversarial networks: the two losses, three cures, small networks.

A discriminator answers with logits, one number a picture (B, 1): above 0 it says real,
below 0 forged, and sigmoid(logit) is its probability of real. A generator turns noise
z (B, Z) into pictures (B, C, H, W) in [-1, 1].
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as spectral_norm

from course_utils.images import check_floats, check_tensor, check_whole


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Punish calling a real picture forged, and a forged one real.

    -E log D(x) - E log(1 - D(G(z))), D = sigmoid(logit)  (Goodfellow et al. 2014,
    eq. 1, with the sign of a loss). log 4 = 1.386 for one who can only guess.
    softplus(-l) is -log sigmoid(l), and stays finite where the logarithm does not.
    """
    check_floats(real_logits, "real_logits")
    check_floats(fake_logits, "fake_logits")
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Reward a forgery that passes for real: the non-saturating loss, -E log D(G(z)).

    Goodfellow et al. 2014, section 3, last paragraph. Strong where D is sure.
    """
    check_floats(fake_logits, "fake_logits")
    return F.softplus(-fake_logits).mean()


def saturating_loss(fake_logits: Tensor) -> Tensor:
    """Play the game as it is written: minimise E log(1 - D(G(z)))  (eq. 1).

    Its gradient by the logit is -D(G(z)): nothing is left of it where D is sure.
    """
    check_floats(fake_logits, "fake_logits")
    return -F.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """How steep D is at real pictures: E |dD(x)/dx|^2 / 2.

    Mescheder et al. 2018, eq. 9, without gamma: add gamma times this to D's loss.
    `real_logits` are D's answers to `real`, which needs requires_grad. D must look at
    pictures one by one, so without batch norm.
    """
    check_tensor(real, "real")
    check_floats(real_logits, "real_logits")
    if not real.requires_grad:
        raise ValueError("real has no gradient: call real.requires_grad_() before D")
    (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return slope.square().sum() / real_logits.numel() / 2


def play(
    generator: nn.Module,
    discriminator: nn.Module,
    real: Callable[[], Tensor],
    noise: Callable[[], Tensor],
    steps: int,
    gamma: float = 0.0,
    m: int = 1,
    **adam: object,
) -> Iterator[tuple[float, float]]:
    """Play the game for `steps` turns, yielding both losses after each.

    real, noise   draw a batch of pictures and of z
    gamma         the weight of the R1 penalty; 0 is none
    m             how many samples the discriminator sees at once; see pack
    adam          options of both optimizers, such as lr=1e-3, betas=(0.5, 0.999)
    Goodfellow et al. 2014, Algorithm 1, with one step each.
    """
    players = generator, discriminator
    settings = {"lr": 1e-3, "betas": (0.5, 0.999), "fused": True} | adam
    g_step, d_step = (torch.optim.Adam(p.parameters(), **settings) for p in players)
    for _ in range(steps):
        x = pack(real(), m).requires_grad_(gamma > 0)
        fake = pack(generator(noise()), m)
        real_logits, fake_logits = discriminator(x), discriminator(fake.detach())
        d_loss = discriminator_loss(real_logits, fake_logits)
        if gamma:
            d_loss = d_loss + gamma * r1_penalty(real_logits, x)
        d_step.zero_grad()
        d_loss.backward()
        d_step.step()

        g_loss = generator_loss(discriminator(fake))  # the same, seen with new eyes
        g_step.zero_grad()
        g_loss.backward(inputs=list(generator.parameters()))  # G must not move D
        g_step.step()
        yield d_loss.item(), g_loss.item()


def pack(x: Tensor, m: int = 2) -> Tensor:
    """Join every m samples, so that D judges m at once (PacGAN, Lin et al. 2018).

    Pictures (B, C, H, W) -> (B/m, m*C, H, W), points (..., B, 2) -> (..., B/m, m*2).
    """
    check_floats(x, "x")
    if x.ndim < 2:
        raise ValueError(f"x must be (..., B, D) or (B, C, H, W), not {x.shape}")
    batch = -4 if x.ndim == 4 else -2
    if x.shape[batch] % m:
        raise ValueError(f"m={m} must divide the batch of {x.shape[batch]}, that of x")
    return x.unflatten(batch, (-1, m)).flatten(batch, batch + 1)


class StackedLinear(nn.Module):
    """`games` linear layers side by side: (games, B, inputs) -> (games, B, outputs).

    So that several seeds are trained at once. `lipschitz` divides each weight by its
    greatest singular value and multiplies by this number (spectral normalisation,
    Miyato et al. 2018, eq. 8; one step of power iteration a call).
    """

    def __init__(
        self, games: int, inputs: int, outputs: int, lipschitz: float | None = None
    ):
        """Draw weights as nn.Linear does, for each game its own."""
        super().__init__()
        reach = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(games, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(games, 1, outputs))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -reach, reach)
        self.lipschitz = lipschitz
        left = torch.ones(games, inputs, 1) * inputs**-0.5
        self.register_buffer("left", left)

    def forward(self, x: Tensor) -> Tensor:
        """Each game's points through its own layer."""
        weight = self.weight
        if self.lipschitz:
            weight = weight * (self.lipschitz / self.greatest_singular_value())
        return torch.baddbmm(self.bias, x, weight)

    def greatest_singular_value(self) -> Tensor:
        """Of each game's weight (games, 1, 1), by one step of power iteration."""
        with torch.no_grad():
            right = F.normalize(self.weight.mT @ self.left, dim=1)
            self.left = F.normalize(self.weight @ right, dim=1)
        return self.left.mT @ self.weight @ right


def point_network(
    games: int,
    inputs: int,
    outputs: int,
    width: int = 64,
    activation: Callable[[], nn.Module] = nn.ReLU,
    lipschitz: float | None = None,
) -> nn.Sequential:
    """A generator or discriminator of points, one for each of `games` games.

    Two hidden layers; (games, B, inputs) -> (games, B, outputs).
    """
    for name, number in dict(games=games, inputs=inputs, outputs=outputs).items():
        check_whole(number, name)
    check_whole(width, "width")
    sizes = [inputs, width, width, outputs]
    layers: list[nn.Module] = []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layers += [StackedLinear(games, before, after, lipschitz), activation()]
    return nn.Sequential(*layers[:-1])


def _doublings(size: int) -> tuple[int, int]:
    """The side of the smallest picture, 4 or 7, and how often it is doubled to size."""
    for smallest in (4, 7):
        n = (size // smallest).bit_length() - 1
        if n > 0 and size == smallest * 2**n:
            return smallest, n
    raise ValueError(
        f"size={size} must be 4 or 7 doubled at least once (8, 14, 16, 28, 32, 56, 64 "
        "and so on): pad the pictures to the next of these"
    )


class Generator(nn.Sequential):
    """The generator of DCGAN, small: z (B, Z) -> pictures (B, channels, size, size).

    Project, reshape to 4x4, then double the size with transposed convolutions, halving
    the channels, with batch norm and ReLU; tanh at the end (Radford et al. 2016,
    figure 1). One 3x3 convolution more turns `width` channels into pixels. Pictures of
    28x28 begin at 7x7: `size` is 4 or 7 doubled at least once.
    """

    def __init__(self, size: int = 8, z: int = 32, width: int = 16, channels: int = 1):
        """`width` is the number of channels at full size."""
        side, n = _doublings(size)
        c = width * 2**n
        layers = [nn.Linear(z, c * side**2, bias=False)]
        layers += [nn.Unflatten(1, (c, side, side))]
        layers += [nn.BatchNorm2d(c), nn.ReLU()]
        for _ in range(n):
            up = nn.ConvTranspose2d(c, c // 2, 4, stride=2, padding=1, bias=False)
            c //= 2
            layers += [up, nn.BatchNorm2d(c), nn.ReLU()]  # (B, c, 2H, 2W)
        super().__init__(*layers, nn.Conv2d(c, channels, 3, padding=1), nn.Tanh())
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU


class Discriminator(nn.Sequential):
    """The discriminator of DCGAN, small: (B, channels, size, size) -> logits (B, 1).

    Strided convolutions and leaky ReLU (Radford et al. 2016, section 3), then one
    hidden layer. No batch norm: with it D tells whole batches apart instead of
    pictures, and R1 has no meaning. Weights start as He et al. 2015 advise, so that D
    has an opinion from the first step on.
    """

    def __init__(
        self,
        size: int = 8,
        width: int = 16,
        channels: int = 1,
        norm: Callable[[nn.Module], nn.Module] = lambda layer: layer,
    ):
        """`norm` wraps every layer that has weights: spectral_norm, or nothing."""
        side, n = _doublings(size)
        c, layers = channels, []
        for level in range(n):
            wider = 2 * width * 2**level
            down = nn.Conv2d(c, wider, 4, stride=2, padding=1)  # (B, wider, H/2, W/2)
            layers += [down, nn.LeakyReLU(0.2)]
            c = wider
        layers += [nn.Flatten(), nn.Linear(c * side**2, 8 * width), nn.LeakyReLU(0.2)]
        layers += [nn.Linear(8 * width, 1)]
        for layer in layers:
            if hasattr(layer, "weight"):
                nn.init.kaiming_normal_(layer.weight, 0.2)
                nn.init.zeros_(layer.bias)
        super().__init__(*(norm(x) if hasattr(x, "weight") else x for x in layers))
        self.to(memory_format=torch.channels_last)
