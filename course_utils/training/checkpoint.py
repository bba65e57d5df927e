"""Where a training stands, and how that is kept: in a file that a killed run finds.

safetensors holds tensors only, so that loading a checkpoint can never run code. Beside
them the file says with which settings it was made: another run may not go on from it.
"""

import json
import operator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from course_utils.training.whole import save_whole


@dataclass
class State:
    """Where a training run stands, after `step` steps."""

    step: int
    loss: float  # of this step's batch, averaged over processes
    lr: float
    model: nn.Module  # the raw weights
    ema: nn.Module  # a copy with averaged weights: usually the better one


def save_state(
    path: Path, state: State, optimizer: torch.optim.Optimizer, settings: dict
) -> None:
    """Write all that a resumed run needs."""
    tensors = {f"model.{name}": x for name, x in state.model.state_dict().items()}
    tensors |= {f"ema.{name}": x for name, x in state.ema.state_dict().items()}
    for index, entries in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{key}": torch.as_tensor(x) for key, x in entries.items()
        }
    tensors = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    where = json.dumps({"step": state.step, "loss": state.loss, "lr": state.lr})
    save_whole(tensors, path, {"state": where, "settings": json.dumps(settings)})


def resume(
    path: Path, state: State, optimizer: torch.optim.Optimizer, settings: dict
) -> bool:
    """Load what `save_state` wrote into state and optimizer; False if there is no file.

    Raises ValueError if it is of another model, or was made with other settings.
    """
    if not path.exists():
        return False
    check_settings(path, settings)
    try:
        with safe_open(path, "pt") as file:
            where = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        state.model.load_state_dict(_part(tensors, "model."))
        state.ema.load_state_dict(_part(tensors, "ema."))
        entries: dict[int, dict[str, Tensor]] = {}
        for name, x in _part(tensors, "optimizer.").items():
            index, key = name.split(".", 1)
            entries.setdefault(int(index), {})[key] = x
        optimizer.load_state_dict(optimizer.state_dict() | {"state": entries})
        state.step = operator.index(where["step"])
        state.loss, state.lr = float(where["loss"]), float(where["lr"])
    except Exception as error:
        raise _foreign(path, error) from error
    return True


def check_settings(path: Path, settings: dict) -> None:
    """Refuse a checkpoint that was not made with these settings; others may differ."""
    try:
        with safe_open(path, "pt") as file:
            made = dict(json.loads((file.metadata() or {}).get("settings", "{}")))
    except Exception as error:
        raise _foreign(path, error) from error
    wanted = json.loads(json.dumps(settings))  # a tuple comes back as a list
    other = [name for name in wanted if made.get(name) != wanted[name]]
    if other:
        was = ", ".join(f"{name}={made.get(name, 'unknown')}" for name in other)
        now = ", ".join(f"{name}={wanted[name]}" for name in other)
        raise ValueError(
            f"{path} was made with {was}, not with {now}: delete it to start afresh, "
            "or keep this run's files elsewhere"
        )


def _foreign(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is no checkpoint of this model ({error}): "
        "delete it to start afresh, or name another file in save_to"
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: x for name, x in tensors.items() if name.startswith(prefix)
    }
