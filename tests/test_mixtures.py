import pytest
import torch

from course_utils import diffusion, schedules
from course_utils.diffusion.mixtures import Mixture

close = torch.testing.assert_close


def three():
    """Unequal bells; the first two are one class."""
    return Mixture(
        torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.3, -1.0]]),
        torch.tensor([0.2, 0.4, 0.3]),
        classes=torch.tensor([0, 0, 1]),
        weights=torch.tensor([1.0, 2.0, 1.0]),
    )


def points(n=40):
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(n, 2, generator=generator).double()


@pytest.mark.parametrize("label", [None, 0, 1])
@pytest.mark.parametrize("bar", [1.0, 0.7, 0.01])
def test_the_score_is_the_gradient_of_the_log_density(label, bar):
    x = points().requires_grad_()
    (slope,) = torch.autograd.grad(three().log_density(x, bar, label).sum(), x)
    close(three().score(x.detach(), bar, label), slope)


@pytest.mark.parametrize("bar", [1.0, 0.3])
def test_the_posterior_adds_up_and_is_bayes_rule(bar):
    mixture, x = three(), points()
    both = torch.stack([mixture.log_posterior(x, c, bar) for c in (0, 1)])
    close(both.exp().sum(0), torch.ones(len(x)).double())
    bayes = mixture.log_density(x, bar, 1) + torch.tensor(0.25).log()
    close(both[1], bayes - mixture.log_density(x, bar))


def test_the_density_sums_to_one_at_every_noise_level():
    axis = torch.linspace(-6, 6, 301).double()
    grid = torch.cartesian_prod(axis, axis)
    for bar in (1.0, 0.5, 1e-4):
        total = three().log_density(grid, bar).exp().sum() * (axis[1] - axis[0]) ** 2
        assert total.item() == pytest.approx(1, abs=1e-3)


def test_the_noise_model_is_the_best_guess_of_the_noise():
    """No other guess has a smaller squared error; this one's is orthogonal to x_t."""
    mixture, plan = three(), schedules.linear()
    generator = torch.Generator().manual_seed(1)
    x0 = mixture.draw(100_000, generator)
    noise = torch.randn(x0.shape, generator=generator)
    t = torch.full((len(x0),), 300)
    x_t = diffusion.add_noise(x0, noise, t, plan)
    rest = noise - mixture.noise_model(plan)(x_t, t)
    for feature in (torch.ones_like(x_t), x_t, x_t**2, torch.sin(3 * x_t)):
        assert (rest * feature).mean().abs() < 0.01


def test_the_noise_model_knows_schedules_whose_variance_explodes():
    mixture, sigma = three(), torch.logspace(-2, 1, 100)
    plan = schedules.Schedule(signal=torch.ones(100), sigma=sigma)
    generator = torch.Generator().manual_seed(1)
    x0 = mixture.draw(100_000, generator)
    noise = torch.randn(x0.shape, generator=generator)
    t = torch.full((len(x0),), 60)
    x_t = diffusion.add_noise(x0, noise, t, plan)
    rest = noise - mixture.noise_model(plan)(x_t, t)
    assert (
        max((rest * f).mean().abs() for f in (x_t, x_t**2, torch.sin(3 * x_t))) < 0.02
    )


def test_walking_back_with_it_draws_from_the_mixture():
    mixture, plan = three(), schedules.linear()
    generator = torch.Generator().manual_seed(2)
    x_T = torch.randn(4000, 2, generator=generator)
    step = diffusion.ddim_step
    model = mixture.noise_model(plan, label=1)
    x = diffusion.sample(model, x_T, plan, num_steps=200, step=step)
    close(x.mean(0), torch.tensor([0.3, -1.0]), rtol=0, atol=0.03)
    assert x.std(0).mean().item() == pytest.approx(0.3, abs=0.02)


def test_draws_have_the_right_classes_and_spread():
    x = three().draw(20_000, torch.Generator().manual_seed(3), label=0)
    far = torch.cdist(x, three().centres[:2]).argmin(1)
    assert far.double().mean().item() == pytest.approx(2 / 3, abs=0.02)
    assert x[far == 0].std(0).mean().item() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("scale", [1.0, 2.0, 5.0])
def test_the_tilted_density_is_the_one_on_a_grid(scale):
    mixture = Mixture(
        torch.tensor([[0.6, 0.0], [-0.6, 0.0]]), 0.6, torch.tensor([0, 1])
    )
    axis = torch.linspace(-4, 4, 201).double()
    grid = torch.cartesian_prod(axis, axis)
    tilt = mixture.log_density(grid) + scale * mixture.log_posterior(grid, 0)
    true = (tilt.softmax(0)[:, None] * grid).sum(0)
    drawn = mixture.tilted(20_000, 0, scale, torch.Generator().manual_seed(4))
    close(drawn.double().mean(0), true, rtol=0, atol=0.02)


def test_tilting_by_one_is_the_class_itself():
    drawn = three().tilted(20_000, 1, 1.0, torch.Generator().manual_seed(5))
    close(drawn.mean(0), torch.tensor([0.3, -1.0]), rtol=0, atol=0.02)


def test_bad_input_names_the_cure():
    with pytest.raises(ValueError, match=r"must be \(K, D\)"):
        Mixture(torch.zeros(3), 0.1)
    with pytest.raises(ValueError, match="must have 2 entries"):
        Mixture(torch.zeros(2, 2), 0.1, classes=torch.zeros(3).long())
    with pytest.raises(ValueError, match=r"label=7 is not one of the classes \[0, 1\]"):
        three().score(points(), label=7)
    with pytest.raises(ValueError, match="scale=0.5 must be 1"):
        three().tilted(10, 0, 0.5)
