"""Exercises of lesson 02: generative adversarial networks."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check import Exercise
from course_utils.methods import gan


def _logits(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return 3 * torch.randn(shape, generator=generator)


def _pairs() -> list[tuple]:
    extreme = torch.tensor([[200.0], [-200.0]])  # there a logarithm is infinite
    shapes = [((7, 1), (5, 1)), ((1, 1), (2, 1)), ((3, 4, 1), (3, 5, 1))]
    return [(_logits(*a), _logits(*b)) for a, b in shapes] + [(extreme, -extreme)]


def _labels_swapped(real_logits, fake_logits):
    return gan.discriminator_loss(fake_logits, real_logits)


def _only_real(real_logits, fake_logits):
    return F.softplus(-real_logits).mean()


def _logarithm(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return -torch.log(real).mean() - torch.log(1 - fake).mean()


def _sum_for_mean(real_logits, fake_logits):
    return F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum()


def _sigmoid_twice(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return gan.discriminator_loss(real, fake)


def _helps_discriminator(fake_logits):
    return F.softplus(fake_logits).mean()


def _players(case: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """Two small networks whose weights depend on the case's numbers only."""
    torch.manual_seed(len(case))
    generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    discriminator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    return generator, discriminator


def _two_steps(step, real, z) -> list[torch.Tensor]:
    """Take the step twice; return D's weights, and how much reached the generator."""
    generator, discriminator = _players(real)
    before = torch.cat([p.detach().flatten() for p in generator.parameters()])
    optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.3)
    step(generator, discriminator, optimizer, real, z)
    step(generator, discriminator, optimizer, real.flip(1), z.flip(0))
    after = torch.cat([p.detach().flatten() for p in generator.parameters()])
    leaks = [p.grad.abs().sum() for p in generator.parameters() if p.grad is not None]
    weights = [p.detach() for p in discriminator.parameters()]
    return [*weights, after - before, sum(leaks, torch.zeros(()))]


def _discriminator_step(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    loss = gan.discriminator_loss(discriminator(real), discriminator(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _no_detach(generator, discriminator, optimizer, real, z):
    fake = generator(z)
    loss = gan.discriminator_loss(discriminator(real), discriminator(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _backward_of_loss(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    loss = gan.discriminator_loss(discriminator(real), discriminator(fake))
    optimizer.zero_grad()
    loss.backward(loss.detach())
    optimizer.step()


def _gradients_pile_up(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    gan.discriminator_loss(discriminator(real), discriminator(fake)).backward()
    optimizer.step()


def _zero_after_backward(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    gan.discriminator_loss(discriminator(real), discriminator(fake)).backward()
    optimizer.zero_grad()
    optimizer.step()


def _real_for_fake(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    loss = gan.discriminator_loss(discriminator(fake), discriminator(real))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _generators_loss(generator, discriminator, optimizer, real, z):
    optimizer.zero_grad()
    gan.generator_loss(discriminator(generator(z).detach())).backward()
    optimizer.step()


def _batches() -> list[tuple]:
    return [(_logits(6, 2), _logits(6, 3)), (_logits(1, 2), _logits(1, 3))]


EXERCISES = {
    "02.1": Exercise(
        reference=gan.discriminator_loss,
        cases=_pairs,
        mistakes={
            "You reward the wrong side: D should say real (large logits) to the real "
            "pictures and forged to the forgeries. Swap them.": _labels_swapped,
            "Half of it: D is never told about the forgeries, so it may call "
            "everything real.": _only_real,
            "Right where it is finite. But for a logit of 200, 1 - sigmoid is exactly "
            "0 and its logarithm is infinite. Write it with softplus.": _logarithm,
            "You sum over the batch. E means the mean, else a bigger batch takes a "
            "bigger step.": _sum_for_mean,
            "Your logits go through a sigmoid and then through another one, the "
            "softplus. Leave the first out.": _sigmoid_twice,
        },
        hint="-log sigmoid(l) = softplus(-l) and -log(1 - sigmoid(l)) = softplus(l). "
        "Which of the two belongs to the real pictures?",
        praise="Right, and finite even where D is very sure.",
    ),
    "02.2": Exercise(
        reference=gan.generator_loss,
        cases=lambda: [(real,) for real, _ in _pairs()],
        mistakes={
            "That is the saturating loss, log(1 - D(G(z))). It has hardly a gradient "
            "when D wins. Which loss keeps pushing?": gan.saturating_loss,
            "You minimise -log(1 - D(G(z))). That is D's own wish: it makes G forge so "
            "badly that D sees it at once.": _helps_discriminator,
            "Right, but for the sign: this way G learns to be caught.": (
                lambda fake_logits: -gan.generator_loss(fake_logits)
            ),
            "You sum over the batch. E means the mean.": (
                lambda fake_logits: F.softplus(-fake_logits).sum()
            ),
            "Right where it is finite. For a sure D the sigmoid is 0 and its logarithm "
            "infinite: write -log sigmoid(l) as softplus(-l).": (
                lambda fake_logits: -torch.sigmoid(fake_logits).log().mean()
            ),
            "You take -D(G(z)) itself. Its gradient vanishes for a sure D just as the "
            "saturating loss does: take the logarithm.": (
                lambda fake_logits: -torch.sigmoid(fake_logits).mean()
            ),
        },
        hint="G wants D to say *real* to a forgery. Take the half of D's loss that is "
        "about real pictures, and show it the forgeries.",
        praise="Right: it pulls hardest when G is losing.",
    ),
    "02.3": Exercise(
        reference=_discriminator_step,
        cases=_batches,
        outcome=_two_steps,
        mistakes={
            "D is right, but the gradient ran on into the generator: it now holds the "
            "gradient of *D's* wish. Detach the forgeries.": _no_detach,
            "You wrote loss.backward(loss). That multiplies every gradient by the "
            "loss. Write loss.backward().": _backward_of_loss,
            "The first step is right, the second holds both gradients: call "
            "optimizer.zero_grad() before backward.": _gradients_pile_up,
            "D does not move. Either optimizer.step() is missing, or zero_grad wipes "
            "the gradient out before it: the order is zero_grad, backward, "
            "step.": _zero_after_backward,
            "D learns to call forgeries real: real and fake are swapped in the "
            "loss.": _real_for_fake,
            "That is the generator's loss; D has to see the real pictures "
            "too.": _generators_loss,
        },
        hint="Five lines: forge and detach, loss, zero_grad, backward, step.",
        praise="Right: D took its step, and the generator felt nothing.",
    ),
    "02.4": Exercise(
        reference=0.5,
        mistakes={
            "That would be a D that always finds the real one. But where both are "
            "equally likely there is nothing to find.": 1.0,
            "That would be a D that is always wrong. It could turn its answers round "
            "and be always right.": 0.0,
            "You compared two pictures with each other. D compares real with forged, "
            "for one picture at a time.": 100 / 101,
            "That is log 4 over 2, its loss per picture. The question is what it "
            "answers.": 0.6931,
            "log 4 is its loss. The question is what it answers.": 1.3863,
        },
        hint="Put p = q into p / (p + q).",
        praise="Right: it can only guess, everywhere, for a likely picture as for an "
        "unlikely one.",
    ),
}
