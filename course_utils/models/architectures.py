"""The true sizes of real checkpoints: their networks' configs, and no weights.

Each config is the published one of that repository (configs). A network on the meta
device has shapes and no numbers, so that all is counted exactly, in seconds and in no
memory: `build_part(name, part)`, `count_parts(name)`.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from course_utils.models.configs import ARCHITECTURES as ARCHITECTURES
from course_utils.models.configs import BYTES_ON_DISK, Part


def part_class(kind: str) -> type:
    """The class of a part by its name: of diffusers, of transformers, or set aside."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        found = getattr(library, kind, None)
        if found is not None:
            return found
    if kind == "PaellaVQModel":
        from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

        return PaellaVQModel
    if kind == "StableDiffusionSafetyChecker":
        from diffusers.pipelines.stable_diffusion.safety_checker import (
            StableDiffusionSafetyChecker,
        )

        return StableDiffusionSafetyChecker
    raise ValueError(f"kind must be a class of diffusers or transformers, not {kind!r}")


def assemble(kind: str, config: dict[str, Any]) -> nn.Module:
    """A network of fresh weights by its class's name and config."""
    found = part_class(kind)
    if getattr(found, "config_class", None):  # transformers takes one object
        return found(found.config_class(**config)).eval()
    return found(**config).eval()


def build_part(
    name: str,
    part: str,
    device: str | torch.device = "meta",
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """A part of a real checkpoint in its true size, with fresh weights.

    name    one of ARCHITECTURES, such as "sd15"
    part    one of its parts, such as "unet"
    device  "meta" for shapes without numbers; "cpu" takes the full memory
    dtype   its weights are made in it, so that no larger copy ever exists
    """
    parts = _parts(name)
    if part not in parts:
        raise ValueError(f"part must be one of {', '.join(parts)}, not {part!r}")
    net = _assembled(parts[part], "meta", dtype)
    if torch.device(device).type == "meta":
        return net
    if any(True for _ in net.buffers()):  # such as the numbers of the positions
        return _assembled(parts[part], device, dtype)
    return _filled(net.to_empty(device=device))


def _assembled(part: Part, device: str | torch.device, dtype: torch.dtype) -> nn.Module:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return assemble(*part)
    finally:
        torch.set_default_dtype(before)


@torch.no_grad()
def _filled(net: nn.Module) -> nn.Module:
    """A million random numbers again and again: the usual draws take a minute."""
    noise = 0.02 * torch.randn(1 << 20)
    for weights in net.parameters():
        for piece in weights.view(-1).split(len(noise)):
            piece.copy_(noise[: len(piece)])
    return net


def count_parts(name: str) -> dict[str, int]:
    """How many weights each part of a real checkpoint has, counted on its shapes."""
    found = {part: build_part(name, part) for part in _parts(name)}
    return {part: count_weights([net]) for part, net in found.items()}


def count_weights(nets: Iterable[nn.Module]) -> int:
    """The number of weights of networks, each shared tensor once."""
    return sum({id(p): p.numel() for net in nets for p in net.parameters()}.values())


def download_bytes(name: str) -> int:
    """Bytes of a real checkpoint's weights as they lie on the hub, from its shapes."""
    counts = count_parts(name)  # refuses what is no checkpoint
    return BYTES_ON_DISK[name] * sum(counts.values())


def _parts(name: str) -> dict[str, Part]:
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"name must be one of {known}, not {name!r}")
    return ARCHITECTURES[name]
