"""All the way from noise to data: the one loop that every step fits."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from course_utils.diffusion.forward import Model, same_step, whole
from course_utils.diffusion.steps import ddpm_step
from course_utils.images import check_callable, check_floats, check_generator
from course_utils.schedules import Schedule, check_schedule

Step = Callable[..., Tensor]  # see the signature in `steps`


def timesteps(T: int, num_steps: int, spacing: str = "leading") -> list[int]:
    """The steps to visit, from noisy to clean: num_steps of 0..T-1, evenly spaced.

    spacing   as diffusers calls it (Lin et al. 2024, table 2):
    leading   starts at T - T // num_steps, ends at 0
    trailing  starts at T - 1, ends at T / num_steps - 1
    linspace  starts at T - 1, ends at (T - 1) / num_steps: DPM-Solver's
    """
    T, num_steps = whole(T, "T"), whole(num_steps, "num_steps")
    if not 1 <= num_steps <= T:
        raise ValueError(f"num_steps must be between 1 and T={T}, not {num_steps}")
    if spacing not in ("leading", "trailing", "linspace"):
        raise ValueError(
            f'spacing must be "leading", "trailing" or "linspace", not {spacing!r}'
        )
    if num_steps == T:  # every step there is: linspace would round two to one
        return list(reversed(range(T)))
    if spacing == "leading":
        return [i * (T // num_steps) for i in reversed(range(num_steps))]
    if spacing == "trailing":
        return [round(T - i * (T / num_steps)) - 1 for i in range(num_steps)]
    return [round(i * ((T - 1) / num_steps)) for i in range(num_steps, 0, -1)]


def trajectory(
    model: Model,
    x_T: Tensor,
    schedule: Schedule,
    *,
    num_steps: int | None = None,
    timesteps: Sequence[int] | None = None,
    step: Step = ddpm_step,
    generator: torch.Generator | None = None,
    **options: object,
) -> Iterator[tuple[int, Tensor]]:
    """Walk from noise to data, yielding (t, x): Ho et al. 2020, Algorithm 2.

    The first pair is (t, x_T) at the noisiest step, the last (-1, x0). The walk goes
    through `timesteps`, both ends included; if not given they are all T of the
    schedule, or num_steps of them, evenly spaced, and then -1, the clean picture.

    x_T        standard normal noise; in general schedule.sigma[-1] times that
    step       ddpm_step, ddim_step, or anything of their signature, such as a
               functools.partial, or an object that remembers: solvers.DPMSolver()
    generator  with it all the noise is drawn from it: the walk can be repeated
    options    keywords of the step, such as predicts="v" or eta=1
    """
    check_floats(x_T, "x_T")
    check_schedule(schedule)
    check_callable(model, "model")
    check_generator(generator)
    if "noise" in options:
        raise ValueError("noise would be the same at every step: pass a generator")
    _check_step(step, schedule, options)
    path, x = _path(schedule, num_steps, timesteps), x_T
    yield path[0], x
    for t, to in pairwise(path):
        with torch.no_grad():
            prediction = model(x, same_step(t, x))
            x = step(prediction, x, t, schedule, to=to, generator=generator, **options)
        yield to, x


def sample(model: Model, x_T: Tensor, schedule: Schedule, **options: object) -> Tensor:
    """Turn noise x_T into data: the end of `trajectory`, which explains the options."""
    *_, (_, x0) = trajectory(model, x_T, schedule, **options)
    return x0


def _check_step(step: Step, schedule: Schedule, options: dict) -> None:
    """Refuse what the step does not take before the walk, not in the midst of it."""
    if not callable(step):
        raise ValueError(f"step must be a function such as ddpm_step, not {step!r}")
    signature = inspect.signature(step)
    try:
        signature.bind(None, None, 0, schedule, to=-1, generator=None, **options)
    except TypeError as error:
        known = [
            name for name, p in signature.parameters.items() if p.kind == p.KEYWORD_ONLY
        ]
        raise ValueError(
            f"{error}: the walk goes through num_steps or timesteps, and its step also "
            f"takes {', '.join(sorted({*known} - {'to', 'generator', 'noise'}))}"
        ) from None


def _path(
    schedule: Schedule, num_steps: int | None, given: Sequence[int] | None
) -> list[int]:
    """Return the steps to go through, both ends included."""
    if given is None:
        number = schedule.T if num_steps is None else num_steps
        return [*timesteps(schedule.T, number), -1]
    if num_steps is not None:
        raise ValueError("give num_steps or timesteps, not both")
    path = [whole(t, "each of timesteps") for t in given]
    if len(path) < 2:
        raise ValueError(
            f"timesteps must name at least a start and an end, not {path}: the clean "
            "end is -1, as in timesteps=[*diffusion.timesteps(1000, 10), -1]"
        )
    return path
