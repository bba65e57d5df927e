"""What does drawing cost, and where do the seconds go? `course bench sampling`.

The teacher with its solvers, the students of few steps (lesson 10), our own loop beside
the pipeline's: seconds a picture, alone and in a batch, and the share of each network.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import diffusion, models, session, toybox, training
from course_utils.images import check_whole
from course_utils.measure.cost import relative_seconds, seconds_per_image
from course_utils.models.pipelines import decode, draw, guided, plan_of
from course_utils.models.quiet import quiet

STUDENTS = (4, 2, 1)
PARTS = ("text_encoder", "unet", "vae")
OURS, THEIRS = "our own loop, ddim 20", "tiny, ddim 20"
REPEATS = 7


def sampling_costs(
    n: int = 16, into: str | Path = "build/bench/sampling.json"
) -> list[dict]:
    """Time every way in which `tiny` and its students draw; print and write the rows.

    n  how many pictures a batch holds, at least 2
    Each time is the median of seven, after one that is not counted, on this machine
    with its threads. Rows are like those of scores.json, with one more key, `method`:
    seconds_in_1 and seconds_in_n, a picture; share_text_encoder, share_unet, share_vae
    of a picture drawn alone; times_the_pipeline, how many times the seconds of
    diffusers' pipeline our loop takes; of `tiny` also seconds with 2, 4, 8, ... in a
    batch and with pictures 96 and 128 wide. Nobody trained for that size: only the
    seconds count.
    """
    check_whole(n, "n")
    if n < 2:
        raise ValueError(f"n={n} must be at least 2: one alone is timed anyway")
    ways, rows = ways_to_draw(), []
    width = max(map(len, ways))
    print(f"threads: {torch.get_num_threads()}; seconds a picture, alone and in {n}")
    for name, (pipe, sample) in ways.items():
        alone, many = (seconds_per_image(sample, k, REPEATS) for k in (1, n))
        shares = share_of_parts(pipe, partial(sample, 1))
        rows += [_row(name, "seconds_in_1", alone, 1)]
        rows += [_row(name, f"seconds_in_{n}", many, n)]
        rows += [_row(name, f"share_{part}", x, 1) for part, x in shares.items()]
        said = ", ".join(f"{part} {x:.0%}" for part, x in shares.items())
        print(f"{name:<{width}}  {alone:6.3f}  {many:6.3f}   {said}", flush=True)
    longer = relative_seconds(ways[OURS][1], ways[THEIRS][1])
    print(f"our own loop takes {longer:.3f} times the pipeline's seconds")
    rows += [_row(OURS, "times_the_pipeline", longer, 1)]
    rows += _growth(ways["tiny, dpm 20"][0], n)
    training.write_json(into, rows)
    print(f"{into}: {len(rows)} rows")
    return rows


def ways_to_draw() -> dict[str, tuple[Any, Callable[[int], Tensor]]]:
    """Return {name: (pipeline, sample)}; sample(k) draws k pictures of the toybox."""
    from diffusers import DDIMScheduler

    teacher = models.load("text-to-image", "tiny").to(session.device)
    teacher.set_progress_bar_config(disable=True)
    # "leading": of "linspace" diffusers' DDIM steps beside the steps that it is given
    options = dict(timestep_spacing="leading")
    plan = DDIMScheduler.from_config(teacher.scheduler.config, **options)
    ddim = _with(teacher, plan)
    ways = {f"tiny, ddim {k}": (ddim, _drawing(ddim, k)) for k in (50, 20)}
    ways |= {f"tiny, dpm {k}": (teacher, _drawing(teacher, k)) for k in (20, 10)}
    ways[OURS] = (ddim, _own_loop(ddim, 20))
    for k in STUDENTS:
        pipe = student_of(teacher, k)
        ways[f"student, {k}"] = (pipe, _drawing(pipe, k, guidance=0))
    return ways


def student_of(teacher, steps: int):
    """Return the teacher's pipeline with the U-Net that learned to draw in `steps`.

    As the checkpoints of SDXL-Lightning are used (Lin, Wang and Yang 2024): Euler,
    trailing steps, no guidance, and the picture itself as the prediction of one step.
    """
    from diffusers import EulerDiscreteScheduler, UNet2DConditionModel

    net = UNet2DConditionModel.from_pretrained(models.path(f"tiny-lightning/{steps}"))
    plan = teacher.scheduler.config
    kind = "sample" if steps == 1 else plan.prediction_type
    options = dict(timestep_spacing="trailing", prediction_type=kind)
    euler = EulerDiscreteScheduler.from_config(plan, **options)
    return _with(teacher, euler, unet=net.to(session.device))


def _row(method: str, metric: str, value: float, n: int) -> dict:
    row = dict(lesson="bench", method=method, metric=metric, value=round(value, 5))
    row |= dict(floor=None, ceiling=None, seeds=1, n=n, better="lower", run="full")
    return row


def _growth(pipe, n: int) -> list[dict]:
    """What more pictures at once and larger ones cost: rows of `tiny`, 10 steps."""
    sizes = [k for k in (1, 2, 4, 8, 16, 32) if k < n] + [n]
    ten, rows = _drawing(pipe, 10), []
    for k in sizes:
        seconds = seconds_per_image(ten, k, REPEATS)
        rows.append(_row("tiny, dpm 10", f"batch_{k}", seconds, k))
    for side in (64, 96, 128):
        options = dict(num_inference_steps=10, height=side, width=side)

        def one(k: int, options: dict = options) -> Tensor:
            return pipe(_captions(k), output_type="pt", **options).images

        seconds = seconds_per_image(one, 1, REPEATS)
        rows.append(_row("tiny, dpm 10", f"side_{side}", seconds, 1))
    for row in rows:
        print(f"{row['method']}, {row['metric'].replace('_', ' ')}: {row['value']:.3f}")
    return rows


def _with(pipe, scheduler, **parts):
    """The same pipeline with another scheduler, and with other parts if given."""
    with quiet():
        other = type(pipe).from_pipe(pipe, scheduler=scheduler, **parts)
    other.set_progress_bar_config(disable=True)
    return other


def _captions(k: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [toybox.sample(rng, "test", things=1).caption for _ in range(k)]


def _drawing(pipe, steps: int, guidance: float = 3.0) -> Callable[[int], Tensor]:
    return lambda k: draw(pipe, _captions(k), steps, guidance)


def _own_loop(pipe, steps: int) -> Callable[[int], Tensor]:
    """The same walk by the course's own loop, of lessons 08 and 09."""
    schedule, predicts = plan_of(pipe)

    @torch.no_grad()
    def sample(k: int) -> Tensor:
        model = guided(pipe, _captions(k), 3.0)
        side = pipe.unet.config.sample_size
        start = torch.Generator().manual_seed(0)
        noise = torch.randn(k, 4, side, side, generator=start)
        pipe.scheduler.set_timesteps(steps)
        path = [*pipe.scheduler.timesteps.tolist(), -1]  # the same steps
        options = dict(step=diffusion.ddim_step, timesteps=path, predicts=predicts)
        x = diffusion.sample(model, noise.to(session.device), schedule, **options)
        return decode(pipe.vae, x)

    return sample


@contextmanager
def seconds_inside(nets: dict[str, nn.Module]) -> Iterator[dict[str, float]]:
    """Sum the seconds that modules spend in their forward calls: {name: seconds}.

    Exact on a CPU; a GPU works on after a call has returned.
    """
    spent, began, handles = dict.fromkeys(nets, 0.0), {}, []

    def starts(name: str) -> Callable[..., None]:
        def note(*_: object) -> None:
            began[name] = time.perf_counter()

        return note

    def ends(name: str) -> Callable[..., None]:
        def note(*_: object) -> None:
            spent[name] += time.perf_counter() - began[name]

        return note

    for name, net in nets.items():
        handles.append(net.register_forward_pre_hook(starts(name)))
        handles.append(net.register_forward_hook(ends(name)))
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


def share_of_parts(pipe, call: Callable[[], object]) -> dict[str, float]:
    """Return which share of the seconds of `call` each network of the pipeline takes.

    The rest is the scheduler's and Python's.
    """
    nets = {name: getattr(pipe, name) for name in PARTS}
    nets["vae"] = pipe.vae.decoder  # the VAE itself is not called: its decoder is
    with seconds_inside(nets) as spent:
        start = time.perf_counter()
        call()
        whole = time.perf_counter() - start
    return {name: seconds / whole for name, seconds in spent.items()}
