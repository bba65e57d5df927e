"""Flow matching: noise and data joined by straight lines, and the way back along them.

Lipman et al. 2022; rectified flow, Liu et al. 2022; in the letters of Stable Diffusion
3 (Esser et al. 2024): z_t = (1 - t) x0 + t noise with t from 0 (data) to 1 (noise), and
the network predicts the velocity dz/dt = noise - x0.
"""

from collections.abc import Callable
from itertools import pairwise
from numbers import Real

import torch
from torch import Tensor

from course_utils.diffusion.forward import check_same
from course_utils.images import (
    check_callable,
    check_floats,
    check_generator,
    check_list,
    check_number,
    check_positive,
    check_whole,
)
from course_utils.schedules import Schedule, check_schedule

Velocity = Callable[[Tensor, Tensor], Tensor]  # v(z_t, t): t (B,) in [0, 1]


def flow_path(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """z_t = (1 - t) x0 + t noise, of the shape of x0 (Esser et al. 2024, eq. 13).

    x0, noise (B, ...); t (B,) in [0, 1]: 0 is the picture, 1 nothing but noise.
    """
    check_same("x0", x0, "noise", noise, "use torch.randn_like(x0)")
    return torch.lerp(x0, noise.to(x0), _aligned(t, x0))


def flow_velocity(x0: Tensor, noise: Tensor) -> Tensor:
    """noise - x0: how z_t moves as t grows, the same at every t (the target)."""
    check_same("x0", x0, "noise", noise, "use torch.randn_like(x0)")
    return noise - x0


def flow_times(
    n: int,
    generator: torch.Generator | None = None,
    mean: float = 0.0,
    std: float = 1.0,
) -> Tensor:
    """Times t (n,) in (0, 1), logit-normal: the sigmoid of normal numbers.

    The middle counts most, where a point lies near many lines (Esser et al. 2024, eq.
    19); SD3 takes mean 0 and std 1.
    """
    check_whole(n, "n")
    check_number(mean, "mean")
    check_positive(std, "std")
    check_generator(generator)
    return torch.sigmoid(mean + std * torch.randn(n, generator=generator))


def flow_grid(steps: int, shift: float = 1.0) -> list[float]:
    """The times 1 = t_0 > ... > t_steps = 0 between which Euler's method steps.

    shift  above 1 stays longer where there is much noise: t -> s t / (1 + (s - 1) t)
           (Esser et al. 2024, eq. 23; 3 for a megapixel, 1 for pictures this small)
    """
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number from 1 on, not {steps!r}")
    check_positive(shift, "shift")
    even = [1 - k / steps for k in range(steps + 1)]
    return [shift * t / (1 + (shift - 1) * t) for t in even]


@torch.no_grad()
def euler_path(model: Velocity, noise: Tensor, grid: list[float]) -> list[Tensor]:
    """From noise to data: z <- z + (t' - t) v(z, t) from each time to the next.

    model  v(z, t) with t (B,): predicts noise - x0
    noise  (B, ...), where the walk begins
    grid   falling times, such as those of flow_grid
    Returns all the z, the noise first: len(grid) tensors.
    """
    check_callable(model, "model")
    check_floats(noise, "noise")
    _check_falling(grid)
    path = [noise]
    for t, to in zip(grid, grid[1:], strict=False):
        v = model(path[-1], noise.new_full((len(noise),), t))
        check_same("noise", noise, "what the model answers", v)
        path.append(path[-1] + (to - t) * v)
    return path


def straightness(path: list[Tensor], grid: list[float]) -> Tensor:
    """How crooked each walk is, (B,): 0 for a straight line at constant speed.

    The mean of |v - (z_0 - z_1)|^2 over time, in parts of |z_0 - z_1|^2, with z_0 the
    start and z_1 the end (Liu et al. 2022, eq. 4, made free of units).
    """
    check_list(path, "path", Tensor, "*euler_path(model, noise, grid)")
    _check_falling(grid)
    if len(path) != len(grid):
        raise ValueError(f"path has {len(path)} points: grid must have as many times")
    chord = (path[0] - path[-1]).flatten(1)  # per unit of time, as t goes from 0 to 1
    total = torch.zeros_like(chord[:, 0])
    for k in range(len(grid) - 1):
        span = grid[k] - grid[k + 1]
        v = (path[k] - path[k + 1]).flatten(1) / span
        total += span * (v - chord).square().sum(1)
    return total / chord.square().sum(1)


def _check_falling(grid: list[float]) -> None:
    check_list(grid, "grid", Real, "*flow_grid(4)")
    if len(grid) < 2 or any(a <= b for a, b in pairwise(grid)):
        raise ValueError(f"grid must fall, such as flow_grid(4), not {grid}")


def flow_time(schedule: Schedule) -> Tensor:
    """The flow's time of each step of a diffusion, (T,): sigma / (signal + sigma).

    There z_t is x_t but for its size: both have noise and x0 in the same proportion.
    """
    check_schedule(schedule)
    return schedule.sigma / (schedule.signal + schedule.sigma)


def as_flow(model: Callable[..., Tensor], schedule: Schedule) -> Velocity:
    """A network that predicts v of a diffusion (Salimans and Ho 2022), as a flow.

    z / |(1 - t, t)| is x_t of the step with the same proportion of noise, and noise and
    x0 follow from v. Nothing is learnt: Euler's steps on it are DDIM's. The step is a
    fraction where t falls between two; networks of diffusers take such. What the flow
    is told beside z and t goes to the network.
    """
    check_callable(model, "model")
    known = {"cpu": flow_time(schedule)}  # on each device once

    def velocity_of(z: Tensor, t: Tensor, *told: object) -> Tensor:
        place = str(t.device)
        if place not in known:
            known[place] = known["cpu"].to(t.device)
        times = known[place]
        size = ((1 - t) ** 2 + t**2).sqrt()
        signal, sigma = (_aligned(x / size, z) for x in (1 - t, t))
        x_t = z / _aligned(size, z)
        v = model(x_t, _between_steps(t, times), *told)
        x0, noise = signal * x_t - sigma * v, sigma * x_t + signal * v
        return noise - x0

    return velocity_of


def _between_steps(t: Tensor, times: Tensor) -> Tensor:
    """The step, a fraction, at which the rising `times` (T,) have reached t (B,)."""
    above = torch.searchsorted(times, t.contiguous()).clamp(1, len(times) - 1)
    low, high = times[above - 1], times[above]
    share = ((t - low) / (high - low)).clamp(0, 1)
    return above - 1 + share


def _aligned(t: Tensor, like: Tensor) -> Tensor:
    """(B,) -> (B, 1, ..., 1) with as many dimensions as `like`."""
    check_floats(t, "t")
    if t.shape != like.shape[:1]:
        raise ValueError(
            f"t has shape {tuple(t.shape)}: one time for each of the {len(like)} rows"
        )
    return t.to(like).view(-1, *[1] * (like.ndim - 1))
