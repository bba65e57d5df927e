"""A difference kept as two thin matrices: the LoRA of a change that was learnt in full.

Of a student that is still near its teacher the change of a weight has few directions
that matter (Hu et al. 2021); the singular value decomposition finds them. Both factors
are bytes with a scale a row, and `difference` puts the whole together.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

LEFT, RIGHT = ".left", ".right"  # (O, r), and (r, ...) of the weight's other sides


def fold(kept: Path, whole: Path, base: Path, rank: int) -> None:
    """Replace changes in the file `kept`, of keep_difference, by factors of this rank.

    whole, base  the files of weights that it is the difference of
    A change stays as it is where factors would be no smaller. Raises ValueError for a
    rank below 1.
    """
    if rank < 1:
        raise ValueError(f"rank must be 1 or more, not {rank}")
    found, ours, theirs = load_file(kept), load_file(whole), load_file(base)
    for name, x in ours.items():
        old = theirs.get(name)
        if f"{name}.scale" not in found or old is None or old.shape != x.shape:
            continue
        change = (x.float() - old.float()).flatten(1)
        if rank * sum(change.shape) >= change.numel():
            continue
        u, s, v = torch.linalg.svd(change, full_matrices=False)
        root = s[:rank].sqrt()
        right = (root[:, None] * v[:rank]).view(rank, *x.shape[1:])
        for end, part in ((LEFT, u[:, :rank] * root), (RIGHT, right)):
            found[f"{name}{end}"], found[f"{name}{end}.scale"] = as_bytes(part)
        del found[name], found[f"{name}.scale"]
    save_file({k: x.contiguous() for k, x in found.items()}, kept)


def unfolded(kept: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights, each pair of factors multiplied to a change with scale 1."""
    found = dict(kept)
    for key in [k for k in kept if k.endswith(LEFT)]:
        name = key.removesuffix(LEFT)
        left, right = (
            found.pop(f"{name}{end}").float().flatten(1)
            * found.pop(f"{name}{end}.scale").float()
            for end in (LEFT, RIGHT)
        )
        shape = kept[f"{name}{RIGHT}"].shape[1:]
        found[name] = (left @ right).view(-1, *shape)
        found[f"{name}.scale"] = torch.ones(len(left), 1)
    return found


def as_bytes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Bytes of the shape of x (rows, ...), and what a row's are multiplied by."""
    scale = x.flatten(1).abs().amax(1, keepdim=True) / 127
    steps = (x.flatten(1) / scale.clamp(min=1e-20)).round()
    return steps.to(torch.int8).view(x.shape), scale
