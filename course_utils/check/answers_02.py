"""Right and wrong answers to the exercises of lesson 02, and what to try them on."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.methods import gan


def logits(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return 3 * torch.randn(shape, generator=generator)


def pairs() -> list[tuple]:
    extreme = torch.tensor([[200.0], [-200.0]])  # there a logarithm is infinite
    shapes = [((7, 1), (5, 1)), ((1, 1), (2, 1)), ((3, 4, 1), (3, 5, 1))]
    return [(logits(*a), logits(*b)) for a, b in shapes] + [(extreme, -extreme)]


def slopes(loss, *logits):
    """What a loss leaves behind: its value, and its gradient by every logit."""
    for each in logits:
        each.requires_grad_()
    value = loss(*(each.clone() for each in logits))  # a copy may be written into
    if value is None:
        return None
    if isinstance(value, torch.Tensor) and value.requires_grad:
        value.sum().backward()
    return [value, *(torch.zeros_like(x) if x.grad is None else x.grad for x in logits)]


def number(real_logits, fake_logits):
    return gan.discriminator_loss(real_logits, fake_logits).item()


def labels_swapped(real_logits, fake_logits):
    return gan.discriminator_loss(fake_logits, real_logits)


def only_real(real_logits, fake_logits):
    return F.softplus(-real_logits).mean()


def all_real(real_logits, fake_logits):
    return F.softplus(-real_logits).mean() + F.softplus(-fake_logits).mean()


def crutch(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return -torch.log(real + 1e-8).mean() - torch.log(1 - fake + 1e-8).mean()


def logarithm(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return -torch.log(real).mean() - torch.log(1 - fake).mean()


def sum_for_mean(real_logits, fake_logits):
    return F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum()


def sigmoid_twice(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return gan.discriminator_loss(real, fake)


def helps_discriminator(fake_logits):
    return F.softplus(fake_logits).mean()


def players(case: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """Two small networks whose weights depend on the case's numbers only."""
    torch.manual_seed(len(case))
    generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    discriminator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    return generator, discriminator


def two_steps(step, real, z) -> list[torch.Tensor]:
    """Take the step twice; return D's weights, and what has changed in the generator.

    That is its weights, its gradient (which was 1 before), and what of it can learn.
    """
    generator, discriminator = players(real)
    before = torch.cat([p.detach().flatten() for p in generator.parameters()])
    for p in generator.parameters():
        p.grad = torch.ones_like(p)
    optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.3)
    step(generator, discriminator, optimizer, real, z)
    step(generator, discriminator, optimizer, real.flip(1), z.flip(0))
    after = torch.cat([p.detach().flatten() for p in generator.parameters()])
    grads = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten()
             for p in generator.parameters()]  # fmt: skip
    weights = [p.detach() for p in discriminator.parameters()]
    learns = [float(p.requires_grad) for p in generator.parameters()]
    return [*weights, after - before, torch.cat(grads), torch.tensor(learns)]


def discriminator_step(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    loss = gan.discriminator_loss(discriminator(real), discriminator(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def no_detach(generator, discriminator, optimizer, real, z):
    fake = generator(z)
    loss = gan.discriminator_loss(discriminator(real), discriminator(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def freezes(generator, discriminator, optimizer, real, z):
    generator.requires_grad_(False)
    discriminator_step(generator, discriminator, optimizer, real, z)


def wipes(generator, discriminator, optimizer, real, z):
    no_detach(generator, discriminator, optimizer, real, z)
    generator.zero_grad()


def backward_of_loss(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    loss = gan.discriminator_loss(discriminator(real), discriminator(fake))
    optimizer.zero_grad()
    loss.backward(loss.detach())
    optimizer.step()


def gradients_pile_up(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    gan.discriminator_loss(discriminator(real), discriminator(fake)).backward()
    optimizer.step()


def zero_after_backward(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    gan.discriminator_loss(discriminator(real), discriminator(fake)).backward()
    optimizer.zero_grad()
    optimizer.step()


def real_for_fake(generator, discriminator, optimizer, real, z):
    fake = generator(z).detach()
    loss = gan.discriminator_loss(discriminator(fake), discriminator(real))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def generators_loss(generator, discriminator, optimizer, real, z):
    optimizer.zero_grad()
    gan.generator_loss(discriminator(generator(z).detach())).backward()
    optimizer.step()


def batches() -> list[tuple]:
    return [(logits(6, 2), logits(6, 3)), (logits(1, 2), logits(1, 3))]
