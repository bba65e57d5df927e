"""What a network asks of a machine: operations, and bytes that live at once.

Both are seen call by call, while a function runs. On the meta device nothing is
computed and nothing allocated, so that networks far larger than this computer can be
counted on it: `operations(call)`, `peak_bytes(call)`.
"""

import weakref
from collections.abc import Callable, Iterable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from course_utils.images import check_kind


def operations(call: Callable[[], object]) -> int:
    """Floating-point operations of `call()`: two for a multiply-add.

    Counted are matrix products, convolutions and attention (PyTorch's FlopCounterMode),
    which are nearly all; norms and activations are not.
    """
    _check_call(call)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def peak_bytes(call: Callable[[], object], fused: bool = True) -> int:
    """The most bytes that tensors made inside `call()` take at one moment.

    fused  on the meta device: is attention one kernel that never writes its maps down
           (Dao et al. 2022)? With False it writes them, softmax and all.
    Weights and inputs, which were there before, are not in it, nor what a kernel
    takes for itself while it works. Gradients are off, as when a picture is drawn.
    """
    _check_call(call)
    scale, kernel = _Scale(), _Fused() if fused else nullcontext()
    with torch.no_grad(), kernel, scale:
        call()
    return scale.peak


def weight_bytes(nets: Iterable[nn.Module]) -> int:
    """Bytes of the weights and buffers of networks, each shared tensor once."""
    found = {}
    if isinstance(nets, nn.Module) or not isinstance(nets, Iterable):
        raise ValueError(f"nets must be a list of networks, not {nets!r:.60}")
    for net in nets:
        check_kind(net, "each of nets", nn.Module, "pipe.unet")
        for x in (*net.parameters(), *net.buffers()):
            found[id(x)] = x.numel() * x.element_size()
    return sum(found.values())


class _Fused(TorchFunctionMode):
    """Attention on the meta device as the fused kernels have it: only the result."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            found = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            query, value = found["query"], found["value"]
            if query.device.type == "meta":
                return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **kwargs)


class _Scale(TorchDispatchMode):
    """Weighs each storage when it is made, and again when it is gone."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for x in tree_leaves((args, kwargs)):
            if isinstance(x, Tensor):  # it was there before us, or we know it
                self._note(x, 0)
        out = func(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if isinstance(x, Tensor):
                self._note(x, x.untyped_storage().nbytes())
        self.peak = max(self.peak, self.now)
        return out

    def _note(self, x: Tensor, size: int) -> None:
        storage = x.untyped_storage()
        key = storage._cdata
        if key in self.known:
            return
        self.known.add(key)
        self.now += size
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def _check_call(call: object) -> None:
    if not callable(call):
        raise ValueError("call must be a function without arguments: lambda: net(x)")
