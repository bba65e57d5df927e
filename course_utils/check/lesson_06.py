"""Exercises of lesson 06: the way back."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, schedules
from course_utils.check import Exercise

SHAPES = [(1, 1, 8, 8), (3, 1, 8, 8), (2, 3, 4, 6), (5, 2)]
PLANS = [schedules.linear(1000), schedules.linear(50, 1e-3, 0.2), schedules.cosine(200)]


def _drawn(shape: tuple[int, ...], schedule: schedules.Schedule) -> tuple:
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    x0 = torch.rand(shape, generator=generator) * 2 - 1
    noise = torch.randn(shape, generator=generator)
    t = torch.randint(schedule.T, shape[:1], generator=generator)
    t[0] = schedule.T // 2
    return x0, noise, t, schedule


# 06.1: the mean of q(x_{t-1} | x_t, x_0)


def _posterior_mean(x0, x_t, t, schedule):
    return diffusion.posterior(x0, x_t, t, schedule)[0]


def _mean_with(share_x0, share_xt):
    """A posterior mean whose two factors are given as functions of alpha and bars."""

    def mean(x0, x_t, t, schedule):
        alpha, bar = schedule.alpha[t], schedule.alpha_bar[t]
        before = schedule.alpha_bar[t - 1] if t else torch.ones(())
        return share_x0(alpha, bar, before) * x0 + share_xt(alpha, bar, before) * x_t

    return mean


def _right_x0(alpha, bar, before):
    return before**0.5 * (1 - alpha) / (1 - bar)


def _right_xt(alpha, bar, before):
    return alpha**0.5 * (1 - before) / (1 - bar)


def _posterior_cases() -> list[tuple]:
    cases = []
    for plan in PLANS:
        for shape in SHAPES:
            x0, noise, t, _ = _drawn(shape, plan)
            x_t = diffusion.add_noise(x0, noise, t[:1].expand(len(x0)), plan)
            cases.append((x0, x_t, int(t[0]), plan))
    return [*cases, (x0, x_t, 1, plan)]


# 06.2: one step of training


def _toy(channels: int) -> nn.Module:
    """A small model on the last axis, with weights that are always the same."""
    generator = torch.Generator().manual_seed(1)
    layer = nn.Linear(channels, channels)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return layer


class _Timed(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layer = _toy(channels)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = torch.as_tensor(t).float().reshape(-1, *[1] * (x.ndim - 1))
        return self.layer(x) * (1 + t / 1000)


def _trained(answer, x0, noise, t, schedule):
    """What a training step leaves behind: the loss and all gradients."""
    model = _Timed(x0.shape[-1])
    loss = answer(model, x0, noise, t, schedule)
    if loss is None:
        return None
    grads = [p.grad for p in model.parameters()]
    return [
        torch.as_tensor(loss).detach(),
        *(torch.zeros(1) if g is None else g for g in grads),
    ]


def _step(model, x0, noise, t, schedule, *, target="noise", detach=False, times=1):
    prediction = model(diffusion.add_noise(x0, noise, t, schedule), t)
    prediction = prediction.detach() if detach else prediction
    loss = F.mse_loss(prediction, {"noise": noise, "x0": x0}[target])
    (loss * times).backward()
    return loss


def _train_step(model, x0, noise, t, schedule):
    return _step(model, x0, noise, t, schedule)


def _target_x0(model, x0, noise, t, schedule):
    return _step(model, x0, noise, t, schedule, target="x0")


def _detached(model, x0, noise, t, schedule):
    return _step(model, x0, noise, t, schedule, detach=True)


def _one_t_for_all(model, x0, noise, t, schedule):
    return _step(model, x0, noise, t[:1].expand(len(x0)), schedule)


def _backward_of_loss(model, x0, noise, t, schedule):
    loss = F.mse_loss(model(diffusion.add_noise(x0, noise, t, schedule), t), noise)
    loss.backward(loss)
    return loss


def _no_backward(model, x0, noise, t, schedule):
    return F.mse_loss(model(diffusion.add_noise(x0, noise, t, schedule), t), noise)


def _sees_clean(model, x0, noise, t, schedule):
    loss = F.mse_loss(model(x0, t), noise)
    loss.backward()
    return loss


def _no_roots(model, x0, noise, t, schedule):
    bar = schedule.alpha_bar[t].view(-1, *[1] * (x0.ndim - 1))
    loss = F.mse_loss(model(bar * x0 + (1 - bar) * noise, t), noise)
    loss.backward()
    return loss


# 06.3: the whole walk, with a model that predicts the clean picture


def _model(x: Tensor, t: Tensor) -> Tensor:
    """A stand-in that says "the clean picture is a little of what I see"."""
    t = torch.as_tensor(t).float().reshape(-1, *[1] * (x.ndim - 1))
    return 0.8 * torch.tanh(x + 0.001 * t)


def _walk(model, x_T, schedule, *, predicts="x0", last=0.0, power=0.5, small=False,
          again=False, upwards=False, quiet=False):  # fmt: skip
    x = x_T
    for t in range(schedule.T) if upwards else reversed(range(schedule.T)):
        steps = torch.full((len(x),), t)
        for _ in range(2 if again else 1):
            x0, _ = diffusion.x0_and_noise(
                model(x, steps), x, steps, schedule, predicts
            )
            mean, variance = diffusion.posterior(x0, x, t, schedule)
            variance = variance if small else schedule.beta[t]
            share = (1.0 if t else last) * (0.0 if quiet else 1.0)
            x = mean + share * variance**power * torch.randn_like(x)
    return x


def _walk_back(model, x_T, schedule):
    return _walk(model, x_T, schedule)


def _walks(**wrong):
    return lambda model, x_T, schedule: _walk(model, x_T, schedule, **wrong)


def _walk_cases() -> list[tuple]:
    plans = [schedules.linear(20, 0.01, 0.3), schedules.linear(7, 0.05, 0.5)]
    return [
        (_model, torch.randn(shape, generator=torch.Generator().manual_seed(3)), plan)
        for plan in plans
        for shape in SHAPES
    ]


EXERCISES = {
    "06.1": Exercise(
        reference=_posterior_mean,
        cases=_posterior_cases,
        mistakes={
            "Your x0 gets the root of beta. Both factors come from multiplying two "
            "Gaussians: beta stands there as a variance, without a root.": _mean_with(
                lambda a, bar, b: b**0.5 * (1 - a) ** 0.5 / (1 - bar), _right_xt
            ),
            "Your x_t gets the root of alpha_bar. One step lies between x_{t-1} and "
            "x_t, so it is the root of alpha[t], not of the product.": _mean_with(
                _right_x0, lambda a, bar, b: bar**0.5 * (1 - b) / (1 - bar)
            ),
            "In front of x_t stands alpha[t]; it should be its root: one step shrinks "
            "the picture by sqrt(alpha).": _mean_with(
                _right_x0, lambda a, bar, b: a * (1 - b) / (1 - bar)
            ),
            "The factor sqrt(alpha[t]) is missing in front of x_t.": _mean_with(
                _right_x0, lambda a, bar, b: (1 - b) / (1 - bar)
            ),
            "Your x0 gets the root of alpha_bar[t]. We go to t - 1, so it is the root "
            "of alpha_bar[t - 1].": _mean_with(
                lambda a, bar, b: bar**0.5 * (1 - a) / (1 - bar), _right_xt
            ),
            "The two factors are swapped: late in the chain x_t should count for "
            "almost everything, at t = 1 x0.": _mean_with(_right_xt, _right_x0),
        },
        hint="Eq. 7, term by term. alpha_bar[t - 1] is the bar one step earlier.",
        praise="Right for every t, batch and schedule that we tried.",
        tolerance=1e-4,  # eq. 11 is as right as eq. 7, and rounds otherwise
    ),
    "06.2": Exercise(
        reference=_train_step,
        cases=lambda: [_drawn(shape, plan) for plan in PLANS for shape in SHAPES],
        outcome=_trained,
        mistakes={
            "You compare the prediction with x0. This network predicts the noise.": (
                _target_x0
            ),
            "Every picture in the batch has its own t; you use the first one's for "
            "all. Hand the whole t to add_noise and to the model.": _one_t_for_all,
            "The prediction is cut off from the network: no `.detach()`, no "
            "`torch.no_grad()` on the way to the loss.": _detached,
            "The loss is right, the gradients are not: loss.backward(loss) multiplies "
            "them by the loss. Write loss.backward().": _backward_of_loss,
            "The loss is right, but no gradient has arrived in the network: call "
            "loss.backward() before you return.": _no_backward,
            "The network saw the clean pictures. Give it x_t.": _sees_clean,
            "The square roots are missing in your x_t (eq. 4).": _no_roots,
        },
        hint="Three lines: x_t by add_noise, the loss between prediction and noise, "
        "backward. Return the loss.",
        praise="Right: the loss and all gradients are ours.",
    ),
    "06.3": Exercise(
        reference=_walk_back,
        cases=_walk_cases,
        mistakes={
            "There is noise in your pictures: at the last step, t = 0, add none.": (
                _walks(last=1.0)
            ),
            "You multiply the noise by the variance. The standard deviation is its "
            "square root.": _walks(power=1.0),
            "You take two steps for each t: the network is asked once a step, and "
            "then it is t - 1.": _walks(again=True),
            "You go from t = 0 upwards. The walk starts at the noisiest step: "
            "reversed(range(T)).": _walks(upwards=True),
            "You read the prediction as noise. This model predicts the clean picture, "
            "so it goes into the posterior as it is.": _walks(predicts="noise"),
            "You never add noise. Then every walk ends in the middle.": (
                _walks(quiet=True)
            ),
            "That is fixed_small, the posterior's own variance. This exercise asks for "
            "fixed_large: beta[t].": _walks(small=True),
        },
        hint="For each t from T - 1 down to 0: ask the model, take the mean of "
        "diffusion.posterior, and add schedule.beta[t] ** 0.5 * torch.randn_like(x) "
        "unless t is 0.",
        praise="Right: from the same noise to the same pictures as ours.",
    ),
    "06.4": Exercise(
        reference="zero",
        mistakes={
            "No. Every step pulls x_t towards the likely pictures, and the noise is "
            "what pushes it apart again. Without it the pull is all there is.": "same",
            "It is smaller, and there are a thousand steps, each of which makes it "
            "smaller again. Go to the end.": "smaller",
            "It cannot grow: the mean of each step lies nearer to the middle than what "
            "it started from.": "larger",
        },
        hint="The forward step shrinks and then adds noise, so that the variance "
        "stays. What if you go back a thousand times and only undo one of the two?",
        praise="Right. The mean alone is an average, and averages huddle together.",
    ),
}
