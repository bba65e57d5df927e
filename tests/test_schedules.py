import pytest
import torch
from diffusers import DDPMScheduler

from course_utils import schedules

PLANS = [
    make(T)
    for make in (schedules.linear, schedules.scaled_linear, schedules.cosine)
    for T in (10, 100, 1000)
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_alpha_bar_falls_from_almost_one_and_stays_above_zero(plan):
    assert (plan.alpha_bar.diff() < 0).all()
    assert 0 < plan.alpha_bar[-1] < plan.alpha_bar[0] < 1


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_the_parts_fit_together(plan):
    assert plan.T == len(plan.beta) == len(plan.alpha_bar)
    torch.testing.assert_close(plan.alpha + plan.beta, torch.ones(plan.T))
    torch.testing.assert_close(plan.alpha_bar[1:], plan.alpha_bar[:-1] * plan.alpha[1:])
    torch.testing.assert_close(plan.snr, plan.alpha_bar / (1 - plan.alpha_bar))


@pytest.mark.parametrize("T", [10, 200, 1000])
@pytest.mark.parametrize(
    "ours, theirs",
    [
        (schedules.linear, dict(beta_schedule="linear")),
        (schedules.cosine, dict(beta_schedule="squaredcos_cap_v2")),
        (
            schedules.scaled_linear,
            dict(beta_schedule="scaled_linear", beta_start=8.5e-4, beta_end=0.012),
        ),
    ],
)
def test_equal_to_diffusers(ours, theirs, T):
    library = DDPMScheduler(T, **theirs)
    torch.testing.assert_close(ours(T).beta, library.betas, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(
        ours(T).alpha_bar, library.alphas_cumprod, rtol=1e-4, atol=1e-6
    )


def test_cosine_is_the_square_in_closed_form():
    u = torch.arange(1, 501) / 1000
    expected = torch.cos((u + 0.008) / 1.008 * torch.pi / 2) ** 2
    expected = expected / torch.cos(torch.tensor(0.008 / 1.008 * torch.pi / 2)) ** 2
    torch.testing.assert_close(
        schedules.cosine(1000).alpha_bar[:500], expected, rtol=1e-4, atol=1e-5
    )


def test_known_ends_of_the_chain():
    assert schedules.linear().alpha_bar[-1] == pytest.approx(4.0e-5, rel=0.02)
    assert schedules.scaled_linear().alpha_bar[-1] == pytest.approx(4.66e-3, rel=0.01)


@pytest.mark.parametrize("T", [1, 0, -5, 10.0, "10"])
def test_too_few_steps_are_refused(T):
    with pytest.raises(ValueError, match="T must be an integer of at least 2"):
        schedules.linear(T)


@pytest.mark.parametrize("beta", [[0.1, 1.0], [0.0, 0.1], [[0.1, 0.2]], []])
def test_impossible_betas_are_refused(beta):
    with pytest.raises(ValueError, match="between 0 and 1"):
        schedules.Schedule(torch.tensor(beta))


# Signal and sigma


def exploding(T=50):
    """Variance exploding, by hand: the picture stays, the noise grows over it."""
    return schedules.Schedule(
        signal=torch.ones(T), sigma=torch.logspace(-2, 1.7, T), name="exploding"
    )


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_signal_and_sigma_are_the_roots_of_alpha_bar_and_the_rest(plan):
    assert plan.variance_preserving
    assert torch.equal(plan.signal, plan.alpha_bar**0.5)
    assert torch.equal(plan.sigma, (1 - plan.alpha_bar) ** 0.5)


def test_a_preserving_schedule_given_by_its_levels_has_the_same_betas():
    plan = schedules.linear(100)
    again = schedules.Schedule(signal=plan.signal, sigma=plan.sigma)
    torch.testing.assert_close(again.beta, plan.beta, rtol=1e-2, atol=1e-6)
    torch.testing.assert_close(again.alpha_bar, plan.alpha_bar)
    torch.testing.assert_close(again.snr, plan.snr, rtol=1e-3, atol=0)


def test_a_schedule_without_betas_says_so():
    plan = exploding()
    assert not plan.variance_preserving and plan.T == 50
    torch.testing.assert_close(plan.snr, plan.sigma**-2)
    assert repr(plan) == "Schedule(exploding, T=50, sigma=0.01..50)"
    for name in ("beta", "alpha", "alpha_bar"):
        with pytest.raises(ValueError, match="exploding has no beta.*schedule.sigma"):
            getattr(plan, name)


def test_impossible_levels_are_refused():
    one, up = torch.ones(3), torch.tensor([0.1, 0.2, 0.3])
    make = schedules.Schedule
    for options in (dict(), dict(beta=up, signal=one, sigma=up)):
        with pytest.raises(ValueError, match="either beta, or both signal and sigma"):
            make(**options)
    with pytest.raises(ValueError, match="give both"):
        make(signal=one)
    with pytest.raises(ValueError, match=r"both be \(T,\)"):
        make(signal=torch.ones(2), sigma=up)
    with pytest.raises(ValueError, match="sigma above 0"):
        make(signal=one, sigma=up - 0.1)
    with pytest.raises(ValueError, match="both finite"):
        make(signal=one / 0, sigma=up)
    with pytest.raises(ValueError, match="must fall with t.*sigma.flip"):
        make(signal=one, sigma=up.flip(0))
