"""A training by the clock, whose whole step is recorded once on a GPU and replayed.

A small network waits for its launches: replaying a CUDA graph is five to ten times
faster than calling it. On a CPU the step is simply called.
"""

import math
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

Step = Callable[..., Tensor]
WARM = 3  # steps before the recording; they count as any other


def graph_adam(nets: Sequence[nn.Module], lr: float, betas=(0.9, 0.99)):
    """AdamW without decay, of whatever learns in `nets`; its step can be recorded."""
    weights = [p for net in nets for p in net.parameters() if p.requires_grad]
    on_gpu = weights[0].is_cuda
    rate = torch.tensor(lr, device=weights[0].device) if on_gpu else lr
    extra = dict(fused=True, capturable=True) if on_gpu else {}
    return torch.optim.AdamW(weights, lr=rate, betas=betas, weight_decay=0.0, **extra)


@torch.no_grad()
def follow_weights(average: nn.Module, net: nn.Module, memory: float) -> None:
    """Move the average towards net, all weights at once: memory 0 copies."""
    ours, theirs = (list(x.parameters()) for x in (average, net))
    torch._foreach_lerp_(ours, theirs, 1 - memory)


def captured(step: Step, example: Sequence[Tensor]) -> Step:
    """The same step(*tensors) -> losses; on a GPU replayed from a CUDA graph.

    example  a batch of the shapes that all will have; it is learnt from
    The step may draw nothing at random, and must do the optimizer's work too.
    """
    if not example[0].is_cuda:
        return step
    try:
        return _recorded(step, [x.clone() for x in example])
    except Exception:
        print("not recorded, so slower:", traceback.format_exc(limit=3), flush=True)
        torch.cuda.synchronize()
        return step


def _recorded(step: Step, held: list[Tensor]) -> Step:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            step(*held)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # others may share this GPU's driver thread, so only this thread's calls count
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        answer = step(*held)

    def replay(*tensors: Tensor) -> Tensor:
        for ours, theirs in zip(held, tensors, strict=True):
            ours.copy_(theirs)
        graph.replay()
        return answer

    return replay


def train_timed(
    step: Step,
    draw: Callable[[], tuple[Tensor, ...]],
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    steps: int | None = None,
    seconds: float = math.inf,
    log: Path | None = None,
    look: Callable[[], str] | None = None,
    every: float = 25.0,
    label: str = "",
) -> int:
    """Learn until `steps` are done or `seconds` have passed; return how many steps.

    The rates rise in the first 30 steps, stay, and fall to 0 by a cosine in the second
    half of what is given, be it steps or time.

    log    a file for lines step,loss,seconds; what it held is gone
    look   is called after `every` seconds and says in a line what was learnt
    """
    if steps is None and math.isinf(seconds):
        raise ValueError("give steps or seconds, else the training never ends")
    start = seen = time.perf_counter()
    peaks = [float(group["lr"]) for o in optimizers for group in o.param_groups]
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")
    fast, k, past = captured(step, draw()), 0, 0.0
    while past < seconds and (steps is None or k < steps):
        done = max(past / seconds, 0.0 if steps is None else k / steps)
        late = 0.5 * (1 + math.cos(math.pi * max(0.0, 2 * done - 1)))
        _set(optimizers, [peak * late * min(1.0, (k + 1) / 30) for peak in peaks])
        losses, k = fast(*draw()), k + 1
        if k % 10 == 0 or k == steps or not losses.is_cuda:
            values = losses.flatten().tolist()  # waits for the GPU: the clock is true
            past = time.perf_counter() - start
            if not all(map(math.isfinite, values)):
                raise FloatingPointError(f"{label}: the loss is {values} at step {k}")
            _note(log, k, values[0], past)
        if look and time.perf_counter() - seen > every:
            print(f"{label}: step {k}, {past:.0f} s, {values} {look()}", flush=True)
            seen = time.perf_counter()
            past = seen - start
    return k


def _set(optimizers: Sequence, rates: list[float]) -> None:
    groups = [group for o in optimizers for group in o.param_groups]
    for group, rate in zip(groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def _note(log: Path | None, k: int, loss: float, seconds: float) -> None:
    if log is not None:
        with open(log, "a", encoding="utf-8", newline="\n") as file:
            file.write(f"{k},{loss:.4f},{seconds:.1f}\n")
