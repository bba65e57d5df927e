"""What does a picture cost? Seconds, network calls, and memory to learn from it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from course_utils.images import check_whole


def seconds_per_image(
    sample: Callable[[int], Tensor], n: int = 64, repeats: int = 3
) -> float:
    """Time `sample(n)`, which returns n pictures: the median of `repeats`, over n.

    A first call, not counted, warms up. It depends on n: say n, device and threads.
    """
    if not callable(sample):
        raise ValueError("sample must be a function: sample(n) returns n pictures")
    check_whole(n, "n")
    check_whole(repeats, "repeats")
    sample(n)
    return median(_seconds(sample, n) for _ in range(repeats)) / n


def relative_seconds(
    sample: Callable[[int], Tensor],
    other: Callable[[int], Tensor],
    n: int = 1,
    repeats: int = 15,
) -> float:
    """How many times the seconds of `other(n)` does `sample(n)` take?

    The median of pairs, one right after the other: what slows the machine for a while
    slows both.
    """
    for name, call in dict(sample=sample, other=other).items():
        if not callable(call):
            raise ValueError(f"{name} must be a function: {name}(n) returns n pictures")
    check_whole(n, "n")
    check_whole(repeats, "repeats")
    sample(n), other(n)
    pairs = ((_seconds(sample, n), _seconds(other, n)) for _ in range(repeats))
    return median(ours / theirs for ours, theirs in pairs)


def _seconds(sample: Callable[[int], Tensor], n: int) -> float:
    start = time.perf_counter()
    sample(n)[0].cpu()  # fetching a result waits for a GPU to finish
    return time.perf_counter() - start


@dataclass
class Count:
    """How often a network was called, and how many rows it was given in all."""

    calls: int = 0
    rows: int = 0


@contextmanager
def calls(net: nn.Module) -> Iterator[Count]:
    """Count the forward calls of a module: `with calls(pipe.unet) as count: ...`.

    count.calls  how often it was called: the time that one picture has to wait
    count.rows   how many samples were passed, the first sizes of the first tensor: the
                 work. Guidance, which asks with and without the words in one batch, has
                 2 rows a picture and step
    """
    _check_module(net)
    count = Count()

    def see(module: nn.Module, args: tuple, kwargs: dict) -> None:
        first = next(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        count.calls += 1
        count.rows += len(first)

    handle = net.register_forward_pre_hook(see, with_kwargs=True)
    try:
        yield count
    finally:
        handle.remove()


def kept_bytes(net: nn.Module, *inputs: object) -> int:
    """Bytes that a forward pass, net(*inputs), keeps for its backward pass.

    The activations, and so the memory that training needs besides weights, gradients
    and the optimizer's state. It grows with the batch: divide by its size.
    """
    _check_module(net)
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    kept = {}  # what many layers need is kept only once

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.enable_grad(), saved_tensors_hooks(keep, lambda x: x):
        result = net(*inputs)  # held, so that no storage is given away and used again
    del result
    return sum(kept.values())


def _check_module(net: object) -> None:
    if not isinstance(net, nn.Module):
        raise ValueError(f"net must be a torch module, not {type(net).__name__}")
