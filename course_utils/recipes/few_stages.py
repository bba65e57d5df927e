"""The stages of tiny-lightning: what a step of each learns from, and how.

A step is a function of tensors that were drawn for it: it asks the teacher, learns, and
returns its losses, the first of which is logged. So it can be recorded on a GPU.
"""

import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.methods import distillation as few
from course_utils.recipes.distilling import MEMORY, Shelf
from course_utils.tiny.unet import SCHEDULE
from course_utils.training.captured import Step, follow_weights


@torch.no_grad()
def answer_x0(net: nn.Module, x: Tensor, t: Tensor, words: Tensor) -> Tensor:
    """The x0 that a UNet which predicts v says."""
    return few.clean_of(net(x, t, words).sample.float(), x, t, SCHEDULE)


def halving(shelf: Shelf, teacher, student, average, optimizer, scale: float) -> Step:
    """Two of the teacher's steps become one (Salimans and Ho 2022, algorithm 2).

    The step takes x0, noise, words and the steps t above m above s, each (B,). With a
    scale other than 1 the teacher is guided, and the student learns to need none.
    """

    def ask(x: Tensor, t: Tensor, words: Tensor, empty: Tensor) -> Tensor:
        if scale == 1:
            return answer_x0(teacher, x, t, words)
        v = few.guided_v(teacher, x, t, words, empty, scale)
        return few.clean_of(v, x, t, SCHEDULE)

    def step(x0, noise, words, t, m, s) -> Tensor:
        x_t = few.renoise(x0, torch.full_like(t, -1), t, noise, SCHEDULE)
        with shelf.half(), torch.no_grad():
            empty = shelf.empty.expand(len(words), -1, -1)
            x_m = few.jump(ask(x_t, t, words, empty), x_t, t, m, SCHEDULE)
            x_s = few.jump(ask(x_m, m, words, empty), x_m, m, s, SCHEDULE)
            goal = few.jump_target(x_t, x_s, t, s, SCHEDULE)
            goal = few.velocity_of(goal, x_t, t, SCHEDULE)
        with shelf.half():
            v = student(x_t, t, words).sample.float()
        loss = F.mse_loss(v, goal)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        follow_weights(average, student, MEMORY)
        return loss.detach()

    return step


def halving_draws(shelf: Shelf, steps: int, n: int) -> Callable[[], tuple]:
    """Batches of n for `halving`, of a student of so many steps."""
    grid = torch.tensor([*few.trailing(2 * steps), -1], device=shelf.device)

    def draw() -> tuple[Tensor, ...]:
        x0, words = shelf.rows(n)
        k = 2 * shelf.whole(n, steps)
        return x0, shelf.noise(n), words, grid[k], grid[k + 1], grid[k + 2]

    return draw


def convincing(
    shelf: Shelf,
    student,
    average,
    critic,
    optimizers: tuple,
    *,
    beside: bool,
    clean: bool,
    share: float = 1.0,
) -> Step:
    """The student's one step lands near the teacher's, and where a critic believes it.

    The step takes x_t, x_s, words, t, s, the level `to` (B,) at which the critic looks,
    and noise twice, for what the teacher and what the student made.

    beside  the critic sees x_t too: it is conditional (Lin et al. 2024, section 3.3)
    clean   the student predicts x0, not v
    share   of the critic's push, as a multiple of the pull to the teacher's x_s
    """
    own, theirs = optimizers

    def judge(x: Tensor, to: Tensor, words: Tensor, before) -> list[Tensor]:
        with shelf.half():
            return [y.float() for y in critic(x, to, words, before)]

    def before(x_t: Tensor, t: Tensor, words: Tensor):
        with shelf.half():
            return critic.depths(x_t, t, words) if beside else None

    def step(x_t, x_s, words, t, s, to, noise, other) -> Tensor:
        with shelf.half():
            said = student(x_t, t, words).sample.float()
        x0 = said if clean else few.clean_of(said, x_t, t, SCHEDULE)
        made = few.renoise(few.jump(x0, x_t, t, s, SCHEDULE), s, to, other, SCHEDULE)
        true = few.renoise(x_s, s, to, noise, SCHEDULE)
        seen = before(x_t, t, words)
        told = judge(true, to, words, seen), judge(made.detach(), to, words, seen)
        doubt = few.critic_doubt(*told)
        theirs.zero_grad(set_to_none=True)
        doubt.backward()
        theirs.step()
        goal = few.jump_target(x_t, x_s, t, s, SCHEDULE)
        goal = goal if clean else few.velocity_of(goal, x_t, t, SCHEDULE)
        near = F.mse_loss(said, goal)
        with torch.no_grad():
            seen = before(x_t, t, words)
        real = few.believed(judge(made, to, words, seen))
        push = few.balanced(near, real, share, said)
        own.zero_grad(set_to_none=True)
        said.backward(push)
        own.step()
        follow_weights(average, student, MEMORY)
        return torch.stack([near.detach(), doubt.detach(), real.detach()])

    return step


def convincing_draws(
    shelf: Shelf, paths: tuple[Tensor, Tensor], steps: int, n: int, noisy: bool
) -> Callable[[], tuple]:
    """Batches of n for `convincing`, of a student of so many steps.

    paths  from `walked_paths`
    noisy  the critic looks at every second pair with noise added (section 3.4)
    """
    along, words = paths
    stride = (along.shape[1] - 1) // steps
    grid = torch.tensor([*few.trailing(along.shape[1] - 1), -1], device=shelf.device)

    def draw() -> tuple[Tensor, ...]:
        rows, k = shelf.whole(n, len(along)), stride * shelf.whole(n, steps)
        t, s = grid[k], grid[k + stride]
        more = 1 + (shelf.whole(n, 750)) * (noisy and shelf.whole(n, 2))
        to = torch.where(more > 1, torch.minimum(s.clamp(min=0) + more, t), s)
        pair = along[rows, k].float(), along[rows, k + stride].float()
        return *pair, words[rows].float(), t, s, to, shelf.noise(n), shelf.noise(n)

    return draw


@torch.no_grad()
def walked_paths(
    shelf: Shelf,
    net: nn.Module,
    steps: int,
    n: int,
    seconds: float = math.inf,
    batch: int = 256,
) -> tuple[Tensor, Tensor]:
    """Where a student of so many steps goes from noise: (n, steps + 1, 4, 16, 16).

    Half precision; also the captions' states (n, 48, 128), none of them empty. There
    are fewer if so many take longer than `seconds`.
    """
    start = time.perf_counter()
    grid, along, said = [*few.trailing(steps), -1], [], []
    for i in range(0, n, batch):
        rows = torch.arange(i, min(i + batch, n), device=shelf.device)
        words = shelf.words[rows % len(shelf.latents)]
        path = path_of(shelf, net, shelf.noise(len(rows)), words.float(), grid)
        along.append(path.half())
        said.append(words)
        along[-1].sum().item()  # waits for the GPU: the clock is true
        if time.perf_counter() - start > seconds:
            break
    return torch.cat(along), torch.cat(said)


@torch.no_grad()
def path_of(shelf: Shelf, net, x: Tensor, words: Tensor, grid: list[int]) -> Tensor:
    """All places from noise x (B, 4, 16, 16) down the grid: (B, steps + 1, 4, 16, 16).

    `net` predicts v, and needs no guidance.
    """
    path = [x]
    for t, s in zip(grid, grid[1:], strict=False):
        now, then = (torch.full((len(x),), k, device=x.device) for k in (t, s))
        with shelf.half():
            x0 = answer_x0(net, path[-1], now, words)
        path.append(few.jump(x0, path[-1], now, then, SCHEDULE))
    return torch.stack(path, 1)
