"""Right and wrong answers to the exercises of lesson 06, and what to try them on."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, schedules

SHAPES = [(1, 1, 8, 8), (3, 1, 8, 8), (2, 3, 4, 6), (5, 2)]
PLANS = [schedules.linear(1000), schedules.linear(50, 1e-3, 0.2), schedules.cosine(200)]


def drawn(shape: tuple[int, ...], schedule: schedules.Schedule) -> tuple:
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    x0 = torch.rand(shape, generator=generator) * 2 - 1
    noise = torch.randn(shape, generator=generator)
    t = torch.randint(schedule.T, shape[:1], generator=generator)
    t[0] = schedule.T // 2
    return x0, noise, t, schedule


# 06.1: the mean of q(x_{t-1} | x_t, x_0)


def posterior_mean(x0, x_t, t, schedule):
    return diffusion.posterior(x0, x_t, t, schedule)[0]


def mean_with(share_x0, share_xt):
    """A posterior mean whose two factors are given as functions of alpha and bars."""

    def mean(x0, x_t, t, schedule):
        alpha, bar = schedule.alpha[t], schedule.alpha_bar[t]
        before = schedule.alpha_bar[t - 1] if t else torch.ones(())
        return share_x0(alpha, bar, before) * x0 + share_xt(alpha, bar, before) * x_t

    return mean


def right_x0(alpha, bar, before):
    return before**0.5 * (1 - alpha) / (1 - bar)


def right_xt(alpha, bar, before):
    return alpha**0.5 * (1 - before) / (1 - bar)


beta_with_root = mean_with(
    lambda a, bar, b: b**0.5 * (1 - a) ** 0.5 / (1 - bar), right_xt
)
x_t_with_bar = mean_with(right_x0, lambda a, bar, b: bar**0.5 * (1 - b) / (1 - bar))
alpha_without_root = mean_with(right_x0, lambda a, bar, b: a * (1 - b) / (1 - bar))
alpha_missing = mean_with(right_x0, lambda a, bar, b: (1 - b) / (1 - bar))
bar_of_t = mean_with(lambda a, bar, b: bar**0.5 * (1 - a) / (1 - bar), right_xt)
factors_swapped = mean_with(right_xt, right_x0)
not_divided = mean_with(
    lambda a, bar, b: b**0.5 * (1 - a), lambda a, bar, b: a**0.5 * (1 - b)
)
divided_by_before = mean_with(
    lambda a, bar, b: b**0.5 * (1 - a) / (1 - b), lambda a, bar, b: a**0.5
)


def posterior_cases() -> list[tuple]:
    cases = []
    for plan in PLANS:
        for shape in SHAPES:
            x0, noise, t, _ = drawn(shape, plan)
            x_t = diffusion.add_noise(x0, noise, t[:1].expand(len(x0)), plan)
            cases.append((x0, x_t, int(t[0]), plan))
    return [*cases, (x0, x_t, 1, plan)]


# 06.2: one step of training


def toy(channels: int) -> nn.Module:
    """A small model on the last axis, with weights that are always the same."""
    generator = torch.Generator().manual_seed(1)
    layer = nn.Linear(channels, channels)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return layer


class Timed(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layer = toy(channels)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = torch.as_tensor(t).float().reshape(-1, *[1] * (x.ndim - 1))
        return self.layer(x) * (1 + t / 1000)


def trained(answer, x0, noise, t, schedule):
    """What a training step leaves behind: the loss, all gradients, moved weights."""
    model = Timed(x0.shape[-1])
    before = [p.detach().clone() for p in model.parameters()]
    loss = answer(model, x0, noise, t, schedule)
    if loss is None:
        return None
    grads = [p.grad for p in model.parameters()]
    pairs = zip(before, model.parameters(), strict=True)
    return [
        torch.as_tensor(loss).detach(),
        *(torch.zeros(1) if g is None else g for g in grads),
        torch.tensor(float(any(not torch.equal(a, b) for a, b in pairs))),
    ]


def step(model, x0, noise, t, schedule, *, target="noise", detach=False, times=1):
    prediction = model(diffusion.add_noise(x0, noise, t, schedule), t)
    prediction = prediction.detach() if detach else prediction
    targets = {"noise": noise, "x0": x0, "fresh": torch.randn_like(noise)}
    loss = F.mse_loss(prediction, targets[target])
    (loss * times).backward()
    return loss


def step_cases() -> list[tuple]:
    return [drawn(shape, plan) for plan in PLANS for shape in SHAPES]


def train_step(model, x0, noise, t, schedule):
    return step(model, x0, noise, t, schedule)


def target_x0(model, x0, noise, t, schedule):
    return step(model, x0, noise, t, schedule, target="x0")


def fresh_noise(model, x0, noise, t, schedule):
    return step(model, x0, noise, t, schedule, target="fresh")


def detached(model, x0, noise, t, schedule):
    return step(model, x0, noise, t, schedule, detach=True)


def one_t_for_all(model, x0, noise, t, schedule):
    return step(model, x0, noise, t[:1].expand(len(x0)), schedule)


def backward_of_loss(model, x0, noise, t, schedule):
    loss = F.mse_loss(model(diffusion.add_noise(x0, noise, t, schedule), t), noise)
    loss.backward(loss)
    return loss


def steps_too(model, x0, noise, t, schedule):
    loss = step(model, x0, noise, t, schedule)
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return loss


def no_backward(model, x0, noise, t, schedule):
    return F.mse_loss(model(diffusion.add_noise(x0, noise, t, schedule), t), noise)


def sees_clean(model, x0, noise, t, schedule):
    loss = F.mse_loss(model(x0, t), noise)
    loss.backward()
    return loss


def no_roots(model, x0, noise, t, schedule):
    bar = schedule.alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))
    loss = F.mse_loss(model(bar * x0 + (1 - bar) * noise, t), noise)
    loss.backward()
    return loss


# 06.3: the whole walk, with a model that predicts the clean picture


def model(x: Tensor, t: Tensor) -> Tensor:
    """A stand-in that says "the clean picture is a little of what I see"."""
    t = torch.as_tensor(t).float().reshape(-1, *[1] * (x.ndim - 1))
    return 0.8 * torch.tanh(x + 0.001 * t)


def walk(model, x_T, schedule, *, predicts="x0", last=0.0, power=0.5, small=False,
          again=False, upwards=False, quiet=False, swapped=False,
          until=0):  # fmt: skip
    x = x_T
    for t in range(schedule.T) if upwards else reversed(range(until, schedule.T)):
        steps = torch.full((len(x),), t)
        for _ in range(2 if again else 1):
            x0, _ = diffusion.x0_and_noise(
                model(x, steps), x, steps, schedule, predicts
            )
            known = (x, x0) if swapped else (x0, x)
            mean, variance = diffusion.posterior(*known, t, schedule)
            variance = variance if small else schedule.beta[t]
            share = (1.0 if t else last) * (0.0 if quiet else 1.0)
            x = mean + share * variance**power * torch.randn_like(x)
    return x


def walk_back(model, x_T, schedule):
    return walk(model, x_T, schedule)


def walks(**wrong):
    return lambda model, x_T, schedule: walk(model, x_T, schedule, **wrong)


def walk_cases() -> list[tuple]:
    plans = [schedules.linear(20, 0.01, 0.3), schedules.linear(7, 0.05, 0.5)]
    return [
        (model, torch.randn(shape, generator=torch.Generator().manual_seed(3)), plan)
        for plan in plans
        for shape in SHAPES
    ]
