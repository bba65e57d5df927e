"""The denoising diffusion GAN: its steps against diffusion's, its game, its cure."""

import pytest
import torch
from diffusers import DDPMScheduler

from course_utils import diffusion, schedules
from course_utils.methods import ddgan
from course_utils.tiny import ddgans, judges

PLAN = schedules.linear()


@pytest.fixture(scope="module")
def steps():
    return ddgan.BigSteps(PLAN)


@pytest.fixture(scope="module")
def eye():
    torch.manual_seed(0)
    return judges.LatentEye().eval()


def test_big_steps_are_diffusions_steps(steps):
    assert steps.timesteps == [999, 749, 499, 249, -1]
    x0, x_t, noise = torch.randn(3, 4, 2, 8, 8)
    k = torch.tensor([3, 0, 2, 1])
    noisy = steps.noisy(x0, noise, k)
    torch.testing.assert_close(noisy, diffusion.add_noise(x0, noise, steps.t[k], PLAN))
    earlier = steps.earlier(x0, x_t, noise, k)
    for i in range(4):
        t, to = steps.timesteps[k[i]], steps.timesteps[k[i] + 1]
        mean, variance = diffusion.posterior(x0[i], x_t[i], t, PLAN, to)
        torch.testing.assert_close(earlier[i], mean + variance**0.5 * noise[i])
    torch.testing.assert_close(earlier[0], x0[0])  # the last step ends at the picture


def test_a_true_pair_has_the_noise_of_both_its_steps(steps):
    signal, sigma, from_x0, from_xt, spread = steps.table
    signal_s = torch.cat([signal[1:], torch.ones(1)])
    sigma_s = torch.cat([sigma[1:], torch.zeros(1)])
    torch.testing.assert_close(from_x0 + from_xt * signal, signal_s)
    torch.testing.assert_close((spread**2 + (from_xt * sigma) ** 2) ** 0.5, sigma_s)


def test_the_walk_is_that_of_diffusers():
    torch.manual_seed(0)
    net = ddgan.DenoisingGenerator(2, 8, (16, 24), 32).eval()
    x = x_T = torch.randn(3, 2, 8, 8)
    options = dict(beta_schedule="linear", clip_sample=False)
    options |= dict(prediction_type="sample", timestep_spacing="trailing")
    library, rng = DDPMScheduler(1000, **options), torch.Generator().manual_seed(1)
    library.set_timesteps(4)
    with torch.no_grad():
        for t in library.timesteps:
            x0 = net(x, t.expand(3), torch.randn(3, 8, generator=rng))
            x = library.step(x0, t, x, generator=rng).prev_sample
    again = ddgan.denoise(net, x_T, PLAN, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(again, x, rtol=1e-4, atol=1e-4)


class TwoPictures:
    """Knows that x0 is -1 or 1, with equal chances; draws one of them, or the mean."""

    z = 1

    def __init__(self, draws):
        self.draws = draws

    def __call__(self, x_t, t, z):
        signal, sigma = PLAN.signal[t], PLAN.sigma[t]
        likely = torch.sigmoid(2 * signal[:, None] * x_t / sigma[:, None] ** 2)
        chance = (1 + torch.erf(z / 2**0.5)) / 2  # uniform
        return 2.0 * (chance < likely) - 1 if self.draws else 2 * likely - 1


def test_who_draws_the_picture_needs_four_steps_and_who_averages_does_not_arrive():
    x_T, rng = torch.randn(4000, 1), torch.Generator().manual_seed(0)
    drawn = ddgan.denoise(TwoPictures(True), x_T, PLAN, rng=rng)
    assert (drawn.abs() == 1).all() and abs(drawn.mean()) < 0.06
    mean = ddgan.denoise(TwoPictures(False), x_T, PLAN, rng=rng)
    assert (mean.abs() < 0.9).float().mean() > 0.2


def test_the_code_and_the_step_both_count():
    torch.manual_seed(0)
    net = ddgans.DenoisingGame().generator.eval()
    for block in [*net.down, net.middle, *net.up]:
        torch.nn.init.normal_(block.conv2.weight, std=0.05)
    x, t = torch.randn(2, 4, 16, 16), torch.tensor([999, 249])
    z = torch.randn(2, ddgans.CODE_SIZE)
    first = net(x, t, z)
    assert first.shape == x.shape
    assert not torch.allclose(first, net(x, t, z.flip(0)), atol=1e-3)
    assert not torch.allclose(first, net(x, t.flip(0), z), atol=1e-3)
    torch.testing.assert_close(first, net(x, t, 3 * z))  # only its direction does
    assert sum(p.numel() for p in net.parameters()) < 2.45e6


def test_the_spread_is_that_of_each_four_in_a_row():
    x = torch.randn(8, 3, 4, 4)
    x[:4] = x[0]
    spread = ddgan.batch_spread(x)
    assert spread.shape == (8, 1, 4, 4) and spread[:4].max() < 1e-3
    expected = x[4:].std(0, unbiased=False).mean()
    torch.testing.assert_close(spread[4:].mean(), expected, rtol=1e-4, atol=1e-4)
    assert ddgan.batch_spread(x[:6]).std() == 0  # one group
    with pytest.raises(ValueError, match="group=0 must be a whole number"):
        ddgan.batch_spread(x, 0)


@pytest.mark.parametrize("sees", [True, False])
def test_nobody_learns_from_anothers_loss(eye, sees):
    game = ddgans.DenoisingGame(eye if sees else None)
    assert bool(game.projected) == sees
    real, noise = torch.randn(8, 4, 16, 16), torch.randn(8, 3, 4, 16, 16)
    game(real, noise, torch.randn(8, ddgans.CODE_SIZE)).backward()
    parts = {n.split(".")[0] for n, p in game.named_parameters() if p.grad is not None}
    assert parts == {"generator", "judge"} | ({"projected"} if sees else set())
    game.zero_grad()
    x_t, t = torch.randn(8, 4, 16, 16), game.steps.t[ddgans.in_equal_parts(8)]
    game.judges(real, noise[:, 0], x_t, t).backward()
    moved = {
        n for n, p in game.named_parameters() if p.grad is not None and p.grad.any()
    }
    assert {name.split(".")[0] for name in moved} == {"judge"}


def test_the_same_seed_draws_the_same_latents():
    net = ddgans.DenoisingGame().generator.eval()
    draw = [
        ddgans.draw_denoising(net, 3, torch.Generator().manual_seed(s))
        for s in (0, 0, 1)
    ]
    assert torch.equal(draw[0], draw[1]) and not torch.equal(draw[0], draw[2])
    assert draw[0].shape == (3, 4, 16, 16)


def test_an_eye_that_looks_late_sees_the_last_step_only(eye):
    game = ddgans.DenoisingGame(eye, eye_from=3)
    shown, z = [], torch.randn(8, ddgans.CODE_SIZE)
    game.eyes = lambda *x: shown.append(x) or torch.zeros(())
    real, noise = torch.randn(8, 4, 16, 16), torch.randn(8, 3, 4, 16, 16)
    game(real, noise, z)
    ((seen, x0, t),) = shown
    assert torch.equal(seen, real[6:]) and t.tolist() == [249, 249]
    x_t = game.steps.noisy(real[6:], noise[6:, 0], torch.tensor([3, 3]))
    torch.testing.assert_close(game.generator(x_t, t, z[6:]), x0, rtol=1e-4, atol=1e-4)


def test_a_batch_has_each_big_step_as_often():
    assert ddgans.in_equal_parts(8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    with pytest.raises(ValueError, match="a batch of 6 must be a multiple of 4"):
        ddgans.in_equal_parts(6)
