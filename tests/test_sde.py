"""Continuous time against closed forms, diffusers, and planted errors."""

import math

import pytest
import torch
from diffusers import ScoreSdeVeScheduler

from course_utils import diffusion, models, networks, schedules
from course_utils.diffusion import likelihood, sde
from course_utils.diffusion.mixtures import Mixture

PROCESSES = [sde.VP(), sde.SubVP(), sde.VE(0.01, 10), sde.VP(0.2, 5), sde.VE(0.02, 3)]
NAMES = [repr(process) for process in PROCESSES]
BELLS = Mixture(
    torch.tensor([[-1.0, 0.5], [1.0, 0.0], [0.0, -1.0]]),
    torch.tensor([0.2, 0.4, 0.3]),
    weights=torch.tensor([1.0, 2.0, 1.0]),
)


@pytest.fixture(params=PROCESSES, ids=NAMES)
def process(request):
    return request.param


# The processes


def test_drift_and_diffusion_are_the_slopes_of_signal_and_sigma(process):
    """Of any linear SDE: a' = rate a, and (sigma^2)' = 2 rate sigma^2 + g^2."""
    t = torch.linspace(0.01, 1, 50, dtype=torch.float64).requires_grad_()
    signal, power = process.signal(t), process.sigma(t) ** 2
    rate, g = process.rate(t), process.diffusion(t)
    if signal.requires_grad:  # VE's is constant
        (slope,) = torch.autograd.grad(signal.sum(), t)
        torch.testing.assert_close(slope, rate * signal)
    (slope,) = torch.autograd.grad(power.sum(), t)
    torch.testing.assert_close(slope, 2 * rate * power + g**2)


def test_vp_preserves_the_variance_and_sub_vp_has_less():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    vp, sub = sde.VP(), sde.SubVP()
    torch.testing.assert_close(vp.signal(t) ** 2 + vp.sigma(t) ** 2, torch.ones_like(t))
    torch.testing.assert_close(sub.sigma(t), vp.sigma(t) ** 2)
    assert (sub.sigma(t)[1:] < vp.sigma(t)[1:]).all()


def test_a_thousand_betas_of_ddpm_are_nearly_the_continuous_ones():
    t = torch.arange(1, 1001) / 1000
    bars = schedules.linear(1000).alpha_bar
    torch.testing.assert_close(bars, sde.VP().signal(t) ** 2, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sde.VP(20, 0.1), "first=20 must be above 0 and below last=0.1"),
        (lambda: sde.VE(0, 10), "sigma_min=0 must be above 0"),
        (lambda: sde.VP().sigma(500), "of a step number of T take t / T"),
    ],
)
def test_a_process_that_makes_no_sense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


# Scores


def test_the_score_of_a_mixture_is_the_gradient_of_its_density(process):
    """At time t the bells are at signal times their centres, and wider."""
    t = 0.4
    a, s = float(process.signal(t)), float(process.sigma(t))
    then = Mixture(a * BELLS.centres, (a**2 * BELLS.std**2 + s**2) ** 0.5,
                   weights=BELLS.weights)  # fmt: skip
    x = torch.randn(20, 2).requires_grad_()
    (slope,) = torch.autograd.grad(then.log_density(x).sum(), x)
    score = sde.score_of_mixture(BELLS, process)(x, torch.full((20,), t))
    torch.testing.assert_close(score, slope, rtol=1e-3, atol=1e-4)


def test_a_network_of_ddpm_is_the_score_of_any_process(process):
    """A perfect network on a schedule says, in other units, what the mixture says."""
    plan = schedules.cosine(1000)
    fine = plan.sigma / plan.signal

    def network(x, step):  # the levels in between, as a network knows them
        low, share = step.floor().long(), step % 1
        high = (low + 1).clamp(max=plan.T - 1)
        ratio = fine[low] ** (1 - share) * fine[high] ** share
        bar = 1 / (1 + ratio**2)
        return -((1 - bar) ** 0.5)[:, None] * BELLS.score(x, bar)

    x, t = torch.randn(50, 2), torch.linspace(0.05, 0.9, 50)
    ours = sde.score_of_noise(network, plan, process)(x, t)
    true = sde.score_of_mixture(BELLS, process)(x, t)
    torch.testing.assert_close(ours, true, rtol=2e-3, atol=2e-3)


def test_a_network_is_asked_at_its_own_steps_and_never_beyond_its_ends():
    plan, asked = schedules.linear(1000), []

    def network(x, step):
        asked.append(step)
        return x

    score = sde.score_of_noise(network, plan, sde.VP())
    x = torch.zeros(3, 1, 4, 4)
    score(x, torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(asked[0], torch.tensor([99.0, 499, 899]), rtol=0, atol=4)
    sde.score_of_noise(network, plan, sde.VE(1e-4, 1e6))(x, torch.tensor([0.0, 0.5, 1]))
    assert asked[1][0] == 0 and asked[1][2] == 999


def test_the_shipped_network_can_be_asked_between_its_steps():
    network = models.network("garments-ddpm")
    x = torch.randn(1, 1, 28, 28)
    with torch.no_grad():
        low, half, high = (network(x, torch.tensor([t])) for t in (500.0, 500.5, 501.0))
        assert torch.equal(low, network(x, torch.tensor([500])))
    assert (half - (low + high) / 2).abs().max() < 0.1 * low.abs().max()


def test_a_schedule_that_does_not_preserve_the_variance_is_refused():
    plan = schedules.Schedule(signal=torch.ones(3), sigma=torch.tensor([0.1, 1, 10]))
    with pytest.raises(ValueError, match="must preserve the variance"):
        sde.score_of_noise(networks.PointDenoiser(), plan, sde.VP())


# One step


def test_with_vp_the_step_back_is_ddpm_with_its_large_variance():
    vp, t = sde.VP(), torch.arange(1, 1001, dtype=torch.float64) / 1000
    plan = schedules.Schedule(signal=vp.signal(t), sigma=vp.sigma(t))
    score, x, z = torch.randn(3, 2, 1, 4, 4)
    noise = -vp.sigma(0.3).float() * score
    ddpm = diffusion.ddpm_step(noise, x, 299, plan, noise=z, variance="fixed_large")
    ours = sde.back_step(score, x, 0.3, vp, to=0.299, noise=z)
    torch.testing.assert_close(ours, ddpm, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("i", [0, 10, 98, 99])
def test_with_ve_both_steps_are_those_of_diffusers(i):
    ve, score, x = sde.VE(0.01, 20), *torch.randn(2, 3, 3, 8, 8)
    library = ScoreSdeVeScheduler(100, snr=0.16, sigma_min=0.01, sigma_max=20.0)
    library.set_timesteps(100)
    library.set_sigmas(100)
    rng = torch.Generator()
    theirs = library.step_pred(score, library.timesteps[i], x, rng.manual_seed(1))
    t, to = 1 - i / 99, None if i == 99 else 1 - (i + 1) / 99
    ours = sde.back_step(score, x, t, ve, to=to, generator=rng.manual_seed(1))
    expected = theirs.prev_sample_mean if i == 99 else theirs.prev_sample
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)
    theirs = library.step_correct(score, x, rng.manual_seed(2)).prev_sample
    ours = sde.langevin_step(score, x, generator=rng.manual_seed(2))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("process", PROCESSES[:3], ids=NAMES[:3])
def test_many_steps_back_draw_from_the_data(process):
    rng = torch.Generator().manual_seed(0)
    score = sde.score_of_mixture(BELLS, process)
    x = float(process.sigma(1)) * torch.randn(4000, 2, generator=rng)
    times = torch.linspace(1, 0.001, 200).tolist()
    for t, to in zip(times, [*times[1:], None], strict=True):
        s = score(x, torch.full((4000,), t))
        x = sde.back_step(s, x, t, process, to=to, generator=rng)
    true = BELLS.draw(4000, rng)
    torch.testing.assert_close(x.mean(0), true.mean(0), rtol=0, atol=0.06)
    torch.testing.assert_close(x.std(0), true.std(0), rtol=0, atol=0.06)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: sde.back_step(x, x, 0.5, sde.VP(), to=0.6), "must lie in"),
        (lambda x: sde.back_step(x[:1], x, 0.5, sde.VP(), to=0.4), "not the function"),
        (lambda x: sde.langevin_step(x, x, snr=0), "must be above 0"),
        (lambda x: likelihood.flow(x[:1], x, 0.5, sde.VP()), "not the function"),
        (
            lambda x: likelihood.log_likelihood(lambda x, t: x, x, sde.VP(), probes=0),
            "1 or more, or None",
        ),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(torch.randn(3, 2))


# The flow and its likelihood


@pytest.mark.parametrize(
    ("process", "worst"),
    [(sde.VP(), 0.01), (sde.SubVP(), 0.01), (sde.VE(0.01, 50), 0.05)],
    ids=["VP", "SubVP", "VE"],
)
def test_the_likelihood_is_that_of_the_closed_form(process, worst):
    x = BELLS.draw(50, torch.Generator().manual_seed(0)).double()
    found = likelihood.log_likelihood(sde.score_of_mixture(BELLS, process), x, process)
    error = (found.log_density - BELLS.log_density(x)).abs()
    assert error.mean() < 0.02 and error.max() < worst
    assert found.noise.shape == x.shape and found.calls > 20


def test_of_one_gaussian_everything_is_known_by_hand():
    """The flow of N(0, s^2 I) only scales: x_1 = x_0 std_1 / s."""
    s, vp = 0.3, sde.VP()
    one = Mixture(torch.zeros(1, 3), s)
    x = one.draw(10).double()
    found = likelihood.log_likelihood(sde.score_of_mixture(one, vp), x, vp)
    wide = float((vp.signal(1) * s) ** 2 + vp.sigma(1) ** 2) ** 0.5
    torch.testing.assert_close(found.noise, x * wide / s, rtol=1e-3, atol=1e-3)
    by_hand = -(x**2).sum(1) / (2 * s**2) - 1.5 * math.log(2 * math.pi * s**2)
    torch.testing.assert_close(found.log_density, by_hand, rtol=0, atol=2e-3)


def test_probes_are_right_on_average_and_better_in_numbers():
    x = BELLS.draw(300, torch.Generator().manual_seed(0)).double()
    score, true = sde.score_of_mixture(BELLS, sde.VP()), BELLS.log_density(x)
    errors = {}
    for probes in (1, 16):
        rng = torch.Generator().manual_seed(1)
        found = likelihood.log_likelihood(
            score, x, sde.VP(), probes=probes, tolerance=1e-4, generator=rng
        )
        errors[probes] = found.log_density - true
    assert errors[16].abs().mean() < errors[1].abs().mean() / 2
    for probes, error in errors.items():
        assert abs(error.mean()) < 4 * error.std() / 300**0.5, probes


def test_pictures_have_a_likelihood_too():
    x = torch.randn(2, 1, 4, 4)
    standard = likelihood.log_likelihood(
        lambda x, t: -x, x, sde.VP(), probes=1, tolerance=1e-3
    )
    normal = torch.distributions.Normal(0, 1).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(standard.log_density, normal, rtol=0, atol=0.01)
    torch.testing.assert_close(standard.noise, x, rtol=0, atol=0.01)


def test_a_wrong_half_would_be_seen():
    """The reverse SDE's drift taken for the flow's: the likelihood is far off."""
    score = sde.score_of_mixture(BELLS, sde.VP())
    x = BELLS.draw(30).double()
    twice = likelihood.log_likelihood(lambda x, t: 2 * score(x, t), x, sde.VP())
    assert (twice.log_density - BELLS.log_density(x)).abs().mean() > 0.5
