"""The one training loop of the course.

A recipe is two functions. `batch(generator)` draws everything random: the pictures, the
steps t, the noise. `loss(model, *batch)` is then a plain function. So step k of a run
depends on nothing but the weights and k: a run that was killed goes on as if it had
not been, and two processes that share a batch take the same step as one.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

Batch = Callable[[torch.Generator], tuple[Tensor, ...]]
Loss = Callable[..., Tensor]
STRIDE = 1_000_003  # between the generators of one seed and the next


@dataclass
class State:
    """Where a training run stands, after `step` steps."""

    step: int
    loss: float  # of this step's batch, averaged over processes
    lr: float
    model: nn.Module  # the raw weights
    ema: nn.Module  # a copy with averaged weights: usually the better one


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
) -> Iterator[State]:
    """Train `model` for `steps` steps with AdamW, yielding the State after each.

    batch    draws a tuple of tensors, all with the batch first, from a generator
    loss     loss(model, *tensors) -> scalar, the mean over the batch
    lr       the peak: reached after `warmup` steps and kept
    decay    the last share of the steps, in which lr falls to 0 by a cosine: 1 is all
             of them, 0 none
    ema      the averaged weights' memory; 0 keeps no memory
    save_to  a .safetensors file: written every `save_every` steps and at the end; a run
             that finds it goes on from there, to the same weights as one that never
             stopped
    Runs on one GPU, many, or none: Hugging Face Accelerate decides. `accelerate launch`
    spreads a recipe over GPUs, torchrun with ACCELERATE_USE_CPU=true over CPUs. A model
    with dropout draws its masks from torch's global stream, so those do not repeat.
    """
    accelerator = Accelerator()
    if optimizer is None:
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=lr, weight_decay=0.0, fused=True
        )
    peaks = [group["lr"] for group in optimizer.param_groups]
    average = deepcopy(model).to(accelerator.device).eval().requires_grad_(False)
    model.to(accelerator.device)
    state = State(0, math.nan, 0.0, model, average)
    if save_to and _resume(save_to, state, optimizer) and state.step >= steps:
        yield state  # it was finished already
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    for step in range(state.step, steps):
        factor = min(1.0, (step + 1) / max(1, warmup)) * _cosine(step, steps, decay)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        model.train()
        share = [_share(x, accelerator) for x in batch(_generator(seed, step))]
        error = loss(wrapped, *share)
        value = accelerator.reduce(error.detach(), "mean").item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {step}: lower lr")
        optimizer.zero_grad()
        accelerator.backward(error)
        optimizer.step()
        update_ema(average, model, min(ema, (step + 1) / (step + 10)))
        state = State(step + 1, value, peaks[0] * factor, model, average)
        due = (step + 1) % save_every == 0 or step + 1 == steps
        if save_to and due and accelerator.is_main_process:
            _save(save_to, state, optimizer)
        yield state


def update_ema(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights: average = decay * average + (1 - decay) * model.

    Buffers, such as a batch norm's statistics, are copied.
    """
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)
        for ours, theirs in zip(average.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)


def _generator(seed: int, step: int) -> torch.Generator:
    """Return a generator for this step alone: no state has to be carried along."""
    return torch.Generator().manual_seed(seed * STRIDE + step)


def step_of(generator: torch.Generator) -> int:
    """The step that `train` made this generator for: a batch may change with time."""
    return generator.initial_seed() % STRIDE


def _cosine(step: int, steps: int, decay: float) -> float:
    left = (steps - step) / steps  # 1 to 0
    return 1.0 if left >= decay else 0.5 * (1 - math.cos(math.pi * left / decay))


def _share(x: Tensor, accelerator: Accelerator) -> Tensor:
    """Every process draws the whole batch and keeps each num_processes-th row."""
    if len(x) % accelerator.num_processes:
        raise ValueError(
            f"a batch of {len(x)} cannot be shared by {accelerator.num_processes} "
            "processes: make the batch size a multiple of their number"
        )
    mine = x[accelerator.process_index :: accelerator.num_processes]
    return mine.to(accelerator.device)


def _save(
    path: str | os.PathLike, state: State, optimizer: torch.optim.Optimizer
) -> None:
    """Write everything a resumed run needs, first beside the file, then in its place.

    safetensors holds tensors only, so that loading a checkpoint can never run code.
    """
    tensors = {f"model.{name}": x for name, x in state.model.state_dict().items()}
    tensors |= {f"ema.{name}": x for name, x in state.ema.state_dict().items()}
    for index, entries in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{key}": torch.as_tensor(x) for key, x in entries.items()
        }
    tensors = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    where = json.dumps({"step": state.step, "loss": state.loss, "lr": state.lr})
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    save_file(tensors, unfinished, metadata={"state": where})
    os.replace(unfinished, path)  # a kill leaves the old file or the new, never half


def _resume(
    path: str | os.PathLike, state: State, optimizer: torch.optim.Optimizer
) -> bool:
    """Load what `_save` wrote into state and optimizer; False if there is no file."""
    if not Path(path).exists():
        return False
    try:
        with safe_open(path, "pt") as file:
            where = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        state.model.load_state_dict(_part(tensors, "model."))
        state.ema.load_state_dict(_part(tensors, "ema."))
    except Exception as error:
        raise ValueError(
            f"{path} is no checkpoint of this model ({error}): "
            "delete it to start afresh, or name another file in save_to"
        ) from error
    state.step, state.loss, state.lr = where["step"], where["loss"], where["lr"]
    entries: dict[int, dict[str, Tensor]] = {}
    for name, x in _part(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        entries.setdefault(int(index), {})[key] = x
    optimizer.load_state_dict(optimizer.state_dict() | {"state": entries})
    return True


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: x for name, x in tensors.items() if name.startswith(prefix)
    }
