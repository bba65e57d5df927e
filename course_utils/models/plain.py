"""Plain networks by name: an nn.Module from its config.json and model.safetensors.

Pipelines have folders that diffusers reads: see `loading`. The course's small networks
(the oracle, the judges, a GAN's generator) are two files each, and read here.
"""

import functools
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from course_utils.models.shipped import made_whole, path

Build = Callable[..., nn.Module]


def network(name: str | os.PathLike, build: Build | None = None) -> nn.Module:
    """A plain network, frozen: a shipped one by its name, or that of a Path to yours.

    build  the class or function that makes it; it is called with what config.json keeps
           under "net" or "options". If not given, config.json says it under "network",
           as a place in the course: "networks.UNet".
    Half precision on disk becomes float32. `.facts` is config.json. A shipped one is
    read once: all who ask get the same object, so copy.deepcopy it before you train it.
    Raises ValueError if `name` is not shipped, is a pipeline, or does not fit `build`.
    """
    if isinstance(name, os.PathLike):
        return _read(made_whole(Path(name)), build)
    return _read_once(path(name), build)


@functools.cache
def _read_once(folder: Path, build: Build | None) -> nn.Module:
    return _read(folder, build)


def _read(folder: Path, build: Build | None) -> nn.Module:
    files = folder / "config.json", folder / "model.safetensors"
    if not all(file.is_file() for file in files):
        raise ValueError(
            f"name={folder.name!r} is no plain network, which has config.json and "
            "model.safetensors: a pipeline is loaded by models.load(task, name)"
        )
    config = json.loads(files[0].read_text(encoding="utf-8"))
    build = build or _named(config, folder.name)
    options = config.get("options", config.get("net", {}))
    try:
        return frozen(build(**options), load_file(files[1]), config)
    except SafetensorError as error:
        raise ValueError(
            f"{files[1]} is damaged, or no safetensors file ({error}): fetch it again"
        ) from error
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"build={build.__name__} does not fit the network {folder.name!r}: {error}"
        ) from error


def _named(config: dict, name: str) -> Build:
    """What config.json says that builds the network: a place below course_utils."""
    if "network" not in config:
        raise ValueError(
            f"the config.json of {name!r} does not say its class: pass build=, the "
            "class or function that makes the network"
        )
    module, _, kind = str(config["network"]).rpartition(".")
    try:
        found = getattr(importlib.import_module(f"course_utils.{module}"), kind)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(  # it may come from anywhere: it calls no function of ours
            f"the config.json of {name!r} names {config['network']!r}, which is no "
            "network of the course, such as networks.UNet: pass build="
        )
    return found


def frozen(net: nn.Module, weights: dict[str, Tensor], config: dict) -> nn.Module:
    """Give net weights of any precision; no gradients, no dropout, config as facts."""
    net.load_state_dict(weights)  # copies into float32
    net.facts = config
    return net.eval().requires_grad_(False)
