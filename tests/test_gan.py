"""GANs: the losses at points where they are known, the penalty in closed form."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from course_utils.methods import gan


def logits(*shape, seed=0):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_discriminator_that_can_only_guess_loses_log_4():
    undecided = torch.zeros(5, 1)
    assert_close(
        gan.discriminator_loss(undecided, undecided), torch.tensor(math.log(4))
    )


def test_the_losses_are_the_papers_logarithms():
    real, fake = logits(6, 1), logits(9, 1, seed=1)
    d_real, d_fake = real.sigmoid(), fake.sigmoid()
    value = d_real.log().mean() + (1 - d_fake).log().mean()  # eq. 1
    assert_close(gan.discriminator_loss(real, fake), -value)
    assert_close(gan.generator_loss(fake), -d_fake.log().mean())
    assert_close(gan.saturating_loss(fake), (1 - d_fake).log().mean())


def test_the_optimal_discriminator_is_p_over_p_plus_q():
    """On four points with known probabilities, free logits find it by descent."""
    p, q = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.2, 0.6]])
    free = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.1)
    softplus = nn.functional.softplus
    for _ in range(300):
        loss = (p * softplus(-free) + q * softplus(free)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert_close(free.sigmoid(), p / (p + q), atol=1e-3, rtol=0)
    m = (p + q) / 2
    js = ((p * (p / m).log()).sum() + (q * (q / m).log()).sum()) / 2
    assert_close(loss.detach(), math.log(4) - 2 * js, atol=1e-4, rtol=0)


def test_the_generators_gradients_are_those_worked_out_by_hand():
    answer = logits(8, 1).requires_grad_()
    (strong,) = torch.autograd.grad(gan.generator_loss(answer), answer)
    (weak,) = torch.autograd.grad(gan.saturating_loss(answer), answer)
    assert_close(strong, -(1 - answer.sigmoid()).detach() / 8)
    assert_close(weak, -answer.sigmoid().detach() / 8)


def test_only_the_non_saturating_loss_pulls_when_the_discriminator_wins():
    answer = torch.full((1, 1), -10.0, requires_grad=True)
    (strong,) = torch.autograd.grad(gan.generator_loss(answer), answer)
    (weak,) = torch.autograd.grad(gan.saturating_loss(answer), answer)
    assert strong.abs() > 0.99 and weak.abs() < 1e-4


def test_the_losses_stay_finite_for_a_very_sure_discriminator():
    answer = torch.tensor([[1e4], [-1e4]])
    for loss in (gan.discriminator_loss(answer, answer), gan.generator_loss(answer)):
        assert loss.isfinite()


@pytest.mark.parametrize("shape", [(4, 3), (5, 1, 8, 8), (1, 2)])
def test_r1_of_a_linear_discriminator_is_half_its_squared_weights(shape):
    x = logits(*shape).requires_grad_()
    weight = logits(x[0].numel(), seed=1)
    answer = (x.flatten(1) * weight).sum(1, keepdim=True) + 7
    assert_close(gan.r1_penalty(answer, x), weight.square().sum() / 2)


def test_r1_of_a_parabola_is_the_mean_squared_slope():
    x = logits(6, 2).requires_grad_()
    assert_close(
        gan.r1_penalty(x.square().sum(1, keepdim=True), x),
        (2 * x.detach()).square().sum(1).mean() / 2,
    )


def test_r1_reaches_the_discriminators_weights():
    x, layer = logits(4, 3).requires_grad_(), nn.Linear(3, 1)
    gan.r1_penalty(layer(x), x).backward()
    assert_close(layer.weight.grad, layer.weight.detach())


def test_r1_says_what_is_missing():
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="requires_grad_"):
        gan.r1_penalty(nn.Linear(3, 1)(x), x)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: gan.discriminator_loss(None, torch.ones(2, 1)), "real_logits"),
        (lambda: gan.discriminator_loss(torch.ones(2, 1), None), "fake_logits"),
        (lambda: gan.generator_loss(None), "fake_logits"),
        (lambda: gan.saturating_loss(None), "fake_logits"),
        (lambda: gan.r1_penalty(torch.ones(2, 1), None), "real"),
        (lambda: gan.pack(None), "x"),
    ],
)
def test_what_is_no_tensor_is_named(call, name):
    with pytest.raises(ValueError, match=f"^{name} must be a torch.Tensor, not None"):
        call()


def test_packing_lays_neighbours_side_by_side():
    images = torch.arange(4.0)[:, None, None, None].expand(4, 1, 8, 8)
    packed = gan.pack(images, 2)
    assert packed.shape == (2, 2, 8, 8)
    assert packed[:, :, 0, 0].tolist() == [[0, 1], [2, 3]]
    points = torch.arange(8.0).view(1, 4, 2)
    assert gan.pack(points, 2).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7]]]


def test_packing_needs_a_batch_that_divides():
    with pytest.raises(ValueError, match="divide the batch of 5"):
        gan.pack(torch.zeros(5, 1, 8, 8), 2)


def test_stacked_games_do_not_see_each_other():
    network = gan.point_network(3, 2, 1)
    x = logits(3, 5, 2).requires_grad_()
    network(x)[1].sum().backward()
    assert x.grad[1].abs().sum() > 0
    assert x.grad[[0, 2]].abs().sum() == 0


def test_each_stacked_layer_is_the_linear_layer_of_its_weights():
    layer, x = gan.StackedLinear(2, 3, 4), logits(2, 5, 3)
    one = nn.functional.linear(x[1], layer.weight[1].T, layer.bias[1, 0])
    assert_close(layer(x)[1], one)


def test_power_iteration_finds_the_greatest_singular_value():
    layer = gan.StackedLinear(2, 5, 4, lipschitz=1.0)
    for _ in range(200):
        found = layer.greatest_singular_value()
    exact = torch.linalg.matrix_norm(layer.weight, 2)
    assert_close(found.flatten(), exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", [8, 14, 16, 28, 32])
def test_the_image_networks_fit_each_other(size):
    generator = gan.Generator(size, z=7, width=4, channels=3)
    discriminator = gan.Discriminator(size, width=4, channels=3)
    images = generator(torch.randn(2, 7))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (2, 1)


def test_a_discriminator_takes_spectral_norm_on_every_layer():
    network = gan.Discriminator(8, width=4, norm=gan.spectral_norm)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(nn.utils.parametrize.is_parametrized(layer) for layer in layers)


@pytest.mark.parametrize("size", [7, 4, 12, 30, 0, -8])
def test_a_size_that_does_not_double_is_refused(size):
    with pytest.raises(ValueError, match="pad"):
        gan.Generator(size)


def players():
    torch.manual_seed(0)
    return gan.point_network(1, 4, 2, width=8), gan.point_network(1, 2, 1, width=8)


def test_one_turn_of_the_game_is_two_adam_steps_by_hand():
    forger, detective = players()
    real, z = torch.ones(1, 6, 2), torch.ones(1, 6, 4)
    next(gan.play(forger, detective, lambda: real, lambda: z, steps=1, lr=0.01))

    ours, theirs = players()
    optimizers = [
        torch.optim.Adam(p.parameters(), 0.01, (0.5, 0.999)) for p in (ours, theirs)
    ]
    gan.discriminator_loss(theirs(real), theirs(ours(z).detach())).backward()
    optimizers[1].step()
    gan.generator_loss(theirs(ours(z))).backward()
    optimizers[0].step()
    for played, by_hand in ((forger, ours), (detective, theirs)):
        for a, b in zip(played.parameters(), by_hand.parameters(), strict=True):
            assert_close(a, b)


@pytest.mark.parametrize("cure", [dict(gamma=1.0), dict(m=2)])
def test_a_cure_changes_the_game(cure):
    weights = []
    for options in ({}, cure):
        torch.manual_seed(0)
        m = options.get("m", 1)
        forger = gan.point_network(1, 4, 2, width=8)
        detective = gan.point_network(1, 2 * m, 1, width=8)
        real, z = torch.randn(1, 6, 2), torch.randn(1, 6, 4)
        losses = list(
            gan.play(forger, detective, lambda x=real: x, lambda x=z: x, 3, **options)
        )
        assert len(losses) == 3
        weights.append(forger[0].weight.detach())
    assert not torch.equal(*weights)
