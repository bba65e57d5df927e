"""The one training loop of the course.

A recipe is two functions. `batch(generator, step)` draws everything random: the
pictures, the steps t, the noise. `loss(model, *batch)` is then a plain function. So
step k of a run depends on nothing but the weights and k: a run that was killed goes on
as if it had not been, and two processes that share a batch take the same step as one.
"""

import atexit
import math
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from course_utils.images import check_kind, check_number
from course_utils.training.checkpoint import State, resume, save_state

Batch = Callable[[torch.Generator, int], tuple[Tensor, ...]]
Loss = Callable[..., Tensor]
STRIDE = 1_000_003  # between the generators of one seed and the next


def train(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    *,
    steps: int,
    lr: float = 1e-3,
    warmup: int = 100,
    decay: float = 1.0,
    ema: float = 0.999,
    seed: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
    save_to: str | os.PathLike | None = None,
    save_every: int = 500,
    settings: dict | None = None,
) -> Iterator[State]:
    """Train `model` for `steps` steps with AdamW, yielding the State after each.

    batch    batch(generator, step) draws a tuple of tensors, all with the batch first
    loss     loss(model, *tensors) -> scalar, the mean over the batch
    lr       the peak: reached after `warmup` steps and kept
    decay    the last share of the steps, in which lr falls to 0 by a cosine: 1 is all
             of them, 0 none
    ema      the averaged weights' memory; 0 keeps no memory
    save_to  a .safetensors file: written every `save_every` steps and at the end; a run
             that finds it goes on from there, to the same weights as one that never
             stopped
    settings what else the run depends on, such as the size of a batch
    Runs on one GPU, many, or none: Hugging Face Accelerate decides. `accelerate launch`
    spreads a recipe over GPUs, torchrun with ACCELERATE_USE_CPU=true over CPUs. A model
    with dropout draws its masks from torch's global stream, so those do not repeat.

    Raises ValueError for a number out of range, and for a file in save_to that is of
    another model or was made with other settings.
    """
    _check(steps=steps, warmup=warmup, decay=decay, ema=ema, save_every=save_every)
    if not 0 < lr < math.inf:
        raise ValueError(f"lr must be above 0, not {lr}")
    if optimizer is None:
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=lr, weight_decay=0.0, fused=True
        )
    peaks = [group["lr"] for group in optimizer.param_groups]
    known = dict(steps=steps, seed=seed, lr=peaks, warmup=warmup, decay=decay, ema=ema)
    keep = Path(save_to) if save_to else None
    known |= settings or {}
    return _steps(model, batch, loss, optimizer, known, keep, save_every)


def _steps(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    known: dict,
    save_to: Path | None,
    save_every: int,
) -> Iterator[State]:
    """Yield the State after each step; `known` are the settings of `train`."""
    accelerator = Accelerator()
    if accelerator.num_processes > 1:  # else a process that ends first may abort
        atexit.register(accelerator.end_training)
    average = deepcopy(model).to(accelerator.device).eval().requires_grad_(False)
    model.to(accelerator.device)
    state, steps = State(0, math.nan, 0.0, model, average), known["steps"]
    if save_to and resume(save_to, state, optimizer, known) and state.step >= steps:
        yield state  # it was finished already
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    for step in range(state.step, steps):
        lr = _set_rate(optimizer, step, known)
        model.train()
        generator = torch.Generator().manual_seed(known["seed"] * STRIDE + step)
        share = [_share(x, accelerator) for x in batch(generator, step)]
        error = loss(wrapped, *share)
        value = accelerator.reduce(error.detach(), "mean").item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step}: lower lr")
        optimizer.zero_grad()
        accelerator.backward(error)
        optimizer.step()
        update_ema(average, model, min(known["ema"], (step + 1) / (step + 10)))
        state = State(step + 1, value, lr, model, average)
        yield state  # who logs it does so before it is saved: no row can be missing
        due = (step + 1) % save_every == 0 or step + 1 == steps
        if save_to and due and accelerator.is_main_process:
            save_state(save_to, state, optimizer, known)


def _check(*, steps: int, warmup: int, decay: float, ema: float, save_every: int):
    for name, count, least in (
        ("steps", steps, 1),
        ("warmup", warmup, 0),
        ("save_every", save_every, 1),
    ):
        if not isinstance(count, int) or count < least:
            raise ValueError(
                f"{name} must be a whole number from {least} on, not {count}"
            )
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must be a share of the steps, 0 to 1, not {decay}")
    if not 0 <= ema < 1:
        raise ValueError(f"ema must be from 0 to below 1, such as 0.999, not {ema}")


def _set_rate(optimizer: torch.optim.Optimizer, step: int, known: dict) -> float:
    """Give each group its rate for this step; return the first one's."""
    warm = min(1.0, (step + 1) / max(1, known["warmup"]))
    left = (known["steps"] - step) / known["steps"]  # 1 to 0
    late, decay = left < known["decay"], known["decay"]
    factor = warm * (0.5 * (1 - math.cos(math.pi * left / decay)) if late else 1.0)
    for group, peak in zip(optimizer.param_groups, known["lr"], strict=True):
        group["lr"] = peak * factor
    return known["lr"][0] * factor


def update_ema(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights: average = decay * average + (1 - decay) * model.

    Buffers, such as a batch norm's statistics, are copied.
    """
    check_number(decay, "decay", 0, 1)
    for name, net in dict(average=average, model=model).items():
        check_kind(net, name, nn.Module, "copy.deepcopy(model)")
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)
        for ours, theirs in zip(average.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)


def chapter(seed: int, step: int, length: int) -> int:
    """The number of the `length` steps in a row that this one belongs to.

    They share what is dear to draw, such as an album of pictures; no two seeds do.
    """
    return (seed * STRIDE + step) // length


def _share(x: Tensor, accelerator: Accelerator) -> Tensor:
    """Every process draws the whole batch and keeps each num_processes-th row."""
    if len(x) % accelerator.num_processes:
        raise ValueError(
            f"a batch of {len(x)} cannot be shared by {accelerator.num_processes} "
            "processes: make the batch size a multiple of their number"
        )
    mine = x[accelerator.process_index :: accelerator.num_processes]
    return mine.to(accelerator.device)
