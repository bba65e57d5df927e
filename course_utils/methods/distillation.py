"""Few steps: the equations of distilled samplers, and a critic of latents.

Progressive distillation (Salimans and Ho 2022), SDXL-Lightning (Lin, Wang and Yang
2024) and latent consistency models (Luo et al. 2023). Letters are diffusion's, and each
row of a batch may be at a step of its own: t and s are long (B,), s = -1 is the clean
picture, where signal is 1 and sigma 0. All of it runs on any device.
"""

import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.forward import check_same
from course_utils.images import check_floats, check_list, check_positive, check_tensor
from course_utils.schedules import Schedule, check_schedule


def trailing(steps: int, T: int = 1000) -> list[int]:
    """The steps t that a sampler of so many `steps` visits: 999 first, equal strides.

    diffusers' `timestep_spacing="trailing"` (Lin et al. 2024, table 2); 4 of 1000 are
    999, 749, 499, 249. Raises ValueError for a number of steps outside 1..T.
    """
    if not isinstance(steps, int) or not 1 <= steps <= T:
        raise ValueError(f"steps must be a whole number in 1..{T}, not {steps!r}")
    return [round(T - k * T / steps) - 1 for k in range(steps)]


def noise_levels(
    t: Tensor, x: Tensor, schedule: Schedule, name: str = "t"
) -> tuple[Tensor, Tensor]:
    """Signal and sigma at the steps t (B,), shaped to multiply x (B, ...).

    Where t is -1 they are 1 and 0.
    """
    check_schedule(schedule)
    check_steps(t, x, name)
    column = -1, *[1] * (x.ndim - 1)
    return tuple(level[t].view(column) for level in _levels_there(schedule, t.device))


def check_steps(t: Tensor, x: Tensor, name: str = "t") -> None:
    """Refuse what is not long (B,), one step for each row of x; looks at no value.

    So that a CUDA graph can be made of it.
    """
    check_floats(x, "x_t")
    check_tensor(t, name)
    if t.shape != x.shape[:1] or t.is_floating_point() or t.is_complex():
        raise ValueError(
            f"{name} must be whole numbers ({len(x)},), one step a row, not "
            f"{t.dtype} of shape {tuple(t.shape)}"
        )


@functools.lru_cache(maxsize=8)
def _levels_there(schedule: Schedule, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both (T + 1,): the clean picture's stand last, where an index of -1 finds them.

    Kept on the device: a CUDA graph cannot fetch them from elsewhere.
    """
    both = (schedule.signal, 1.0), (schedule.sigma, 0.0)
    return tuple(torch.cat([x, x.new_full((1,), end)]).to(device) for x, end in both)


def clean_of(v: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """The x0 that a prediction v (B, C, H, W) of x_t means: signal x_t - sigma v."""
    check_same("x_t", x_t, "v", v)
    signal, sigma = noise_levels(t, x_t, schedule)
    return signal * x_t - sigma * v


def velocity_of(x0: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """The v that means this x0; t above 0 or so, because sigma divides."""
    check_same("x_t", x_t, "x0", x0)
    signal, sigma = noise_levels(t, x_t, schedule)
    return (signal * x_t - x0) / sigma


def jump(x0: Tensor, x_t: Tensor, t: Tensor, s: Tensor, schedule: Schedule) -> Tensor:
    """One step of DDIM from t to s: the noise that x0 leaves in x_t, at the level of s.

    x0, x_t (B, C, H, W); t, s (B,). Song et al. 2021, eq. 12 with eta = 0. Euler's step
    of diffusers is the same step, of x_t / signal.
    """
    check_same("x_t", x_t, "x0", x0)
    signal, sigma = noise_levels(t, x_t, schedule)
    signal_s, sigma_s = noise_levels(s, x_t, schedule, "s")
    return signal_s * x0 + sigma_s / sigma * (x_t - signal * x0)


def jump_target(
    x_t: Tensor, x_s: Tensor, t: Tensor, s: Tensor, schedule: Schedule
) -> Tensor:
    """What a student must say that x0 is, to land on x_s in one step from x_t.

    The inverse of `jump`: Salimans and Ho 2022, appendix G, where x_s is where two
    steps of the teacher end. x_t, x_s (B, C, H, W); t, s (B,), t above s.
    """
    check_same("x_t", x_t, "x_s", x_s)
    signal, sigma = noise_levels(t, x_t, schedule)
    signal_s, sigma_s = noise_levels(s, x_t, schedule, "s")
    ratio = sigma_s / sigma
    return (x_s - ratio * x_t) / (signal_s - ratio * signal)


def renoise(
    x_s: Tensor, s: Tensor, to: Tensor, noise: Tensor, schedule: Schedule
) -> Tensor:
    """x_s with noise added until it is at the step `to` (B,), at or above s (B,).

    Lin et al. 2024, section 3.4: a critic that sees several levels of noise has
    something to say however bad a picture is.
    """
    check_same("x_s", x_s, "noise", noise)
    signal_s, sigma_s = noise_levels(s, x_s, schedule, "s")
    signal, sigma = noise_levels(to, x_s, schedule, "to")
    ratio = signal / signal_s
    return ratio * x_s + (sigma**2 - (ratio * sigma_s) ** 2).clamp(min=0).sqrt() * noise


def critic_doubt(on_true: Sequence[Tensor], on_made: Sequence[Tensor]) -> Tensor:
    """The critic's loss, of its heads' logits, each of any shape.

    -log D(true) - log(1 - D(made)), the mean over heads (Goodfellow et al. 2014, eq. 1;
    Lin et al. 2024, section 3.3).
    """
    check_list(on_true, "on_true", Tensor, "logits")
    check_list(on_made, "on_made", Tensor, "logits")
    return believed(on_true) + believed([-x for x in on_made])


def believed(logits: Sequence[Tensor]) -> Tensor:
    """-log D, the mean over heads: the student's loss, which does not saturate."""
    check_list(logits, "logits", Tensor, "logits")
    return torch.stack([F.softplus(-x).mean() for x in logits]).mean()


def balanced(near: Tensor, real: Tensor, share: float, made: Tensor) -> Tensor:
    """The gradient (as `made`) of two losses, the second as strong as the first.

    near, real  scalars that depend on `made`: nearness to the teacher, and `believed`
    share       how strong the second is, as a multiple of the first

    VQGAN's adaptive weight (Esser et al. 2021, eq. 7), at the student's output.
    """
    [pull] = torch.autograd.grad(near, made, retain_graph=True)
    [push] = torch.autograd.grad(real, made)
    return pull + share * pull.norm() / push.norm().clamp(min=1e-12) * push


def boundary(t: Tensor, sigma_data: float = 0.5, scale: float = 10.0) -> tuple:
    """c_skip and c_out (B, 1, 1, 1) of a consistency model, at the steps t (B,).

    f = c_skip x_t + c_out x0: at t = 0 it returns its input (Luo et al. 2023, section
    4.1, with the numbers of diffusers' LCMScheduler).
    """
    check_tensor(t, "t")
    check_positive(sigma_data, "sigma_data")
    check_positive(scale, "scale")
    time = (t.float() * scale).view(-1, 1, 1, 1)
    c_skip = sigma_data**2 / (time**2 + sigma_data**2)
    return c_skip, time / (time**2 + sigma_data**2).sqrt()


def consistent(x0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """A consistency model's answer: its x0, and at t = 0 just its input."""
    check_same("x_t", x_t, "x0", x0)
    check_steps(t, x_t)
    c_skip, c_out = boundary(t)
    return c_skip * x_t + c_out * x0


def scale_embedding(w: Tensor, width: int = 256) -> Tensor:
    """Guidance as LatentConsistencyModelPipeline tells it: w (B,) -> (B, width).

    w is the guidance scale less 1, times 1000, as sines and cosines (Luo et al. 2023).
    """
    check_floats(w, "w", 1)
    half = width // 2
    places = torch.arange(half, device=w.device) / (half - 1)
    rates = torch.exp(places * -math.log(10_000))
    angles = 1000.0 * w.float()[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


def huber(a: Tensor, b: Tensor, c: float = 1e-3) -> Tensor:
    """sqrt((a - b)^2 + c^2) - c, its mean: a square near 0, and no more than linear."""
    check_same("a", a, "b", b)
    return ((a.float() - b.float()) ** 2 + c**2).sqrt().mean() - c


def guided_v(net, x: Tensor, t: Tensor, words: Tensor, empty: Tensor, scale) -> Tensor:
    """A UNet's v with classifier-free guidance, in one call of twice the batch.

    words (B, tokens, D), empty the same for no caption; scale a number or (B, 1, 1, 1).
    """
    both = torch.cat([empty, words])
    v = net(torch.cat([x, x]), torch.cat([t, t]), both).sample.float()
    without, told = v.chunk(2)
    return without + scale * (told - without)
