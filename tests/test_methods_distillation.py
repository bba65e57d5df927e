import math

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler

from course_utils import diffusion, schedules
from course_utils.methods import distillation as few

SCHEDULE = schedules.linear()
PLAN = dict(
    beta_start=1e-4,
    beta_end=0.02,
    beta_schedule="linear",
    prediction_type="v_prediction",
)


def steps(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def some(seed: int, n: int = 3) -> torch.Tensor:
    return torch.randn(n, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def net(x: torch.Tensor, t: int) -> torch.Tensor:
    """A v that depends on place and time, as a network's does."""
    return torch.tanh(x.roll(1, -1) * (0.5 + t / 2000)) - 0.2 * x


def walk(x: torch.Tensor, grid: list[int], answers=net) -> torch.Tensor:
    for t, s in zip(grid, [*grid[1:], -1], strict=True):
        now, then = torch.full((len(x),), t), torch.full((len(x),), s)
        x0 = few.clean_of(answers(x, t), x, now, SCHEDULE)
        x = few.jump(x0, x, now, then, SCHEDULE)
    return x


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 16, 32, 50])
def test_trailing_steps_are_those_of_diffusers(n):
    plan = EulerDiscreteScheduler(**PLAN, timestep_spacing="trailing")
    plan.set_timesteps(n)
    assert few.trailing(n) == plan.timesteps.long().tolist()


@pytest.mark.parametrize("n", [0, -1, 1001, 2.0])
def test_a_number_of_steps_that_cannot_be_is_refused(n):
    with pytest.raises(ValueError, match="steps must be a whole number in 1..1000"):
        few.trailing(n)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_a_student_walks_as_euler_does(n):
    plan = EulerDiscreteScheduler(**PLAN, timestep_spacing="trailing")
    plan.set_timesteps(n)
    noise = some(0)
    x = noise * plan.init_noise_sigma
    for t in plan.timesteps:
        v = net(plan.scale_model_input(x, t), int(t))
        x = plan.step(v, t, x).prev_sample
    # at t = 999 Euler's noise is scaled by 0.99998, and that is all
    torch.testing.assert_close(walk(noise, few.trailing(n)), x, atol=2e-3, rtol=1e-3)


def test_one_step_that_predicts_x0_is_eulers_with_sample():
    options = PLAN | dict(prediction_type="sample", timestep_spacing="trailing")
    plan = EulerDiscreteScheduler(**options)
    plan.set_timesteps(1)
    made, noise = some(1), some(0) * plan.init_noise_sigma
    got = plan.step(made, plan.timesteps[0], noise).prev_sample
    torch.testing.assert_close(got, made, atol=1e-4, rtol=0)


def test_the_target_takes_a_student_where_two_steps_of_ddim_end():
    plan = DDIMScheduler(
        **PLAN, clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing"
    )
    plan.set_timesteps(8)
    x_t = x = some(2)
    for t in (499, 374):
        x = plan.step(net(x, t), t, x).prev_sample
    t, s = torch.full((3,), 499), torch.full((3,), 249)
    goal = few.jump_target(x_t, x, t, s, SCHEDULE)
    torch.testing.assert_close(
        few.jump(goal, x_t, t, s, SCHEDULE), x, atol=1e-4, rtol=1e-4
    )
    v = few.velocity_of(goal, x_t, t, SCHEDULE)
    torch.testing.assert_close(few.clean_of(v, x_t, t, SCHEDULE), goal)


def test_the_target_of_the_last_step_is_the_end_itself():
    x_t, end = some(3), some(4)
    goal = few.jump_target(x_t, end, steps(249, 124, 499), steps(-1, -1, -1), SCHEDULE)
    torch.testing.assert_close(goal, end)


def test_a_jump_is_the_ddim_step_of_the_course():
    x, v = some(5), some(6)
    t, s = steps(600, 600, 600), steps(200, 200, 200)
    got = few.jump(few.clean_of(v, x, t, SCHEDULE), x, t, s, SCHEDULE)
    want = diffusion.ddim_step(v, x, 600, SCHEDULE, to=200, predicts="v")
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_rows_may_be_at_steps_of_their_own():
    x, x0 = some(7), some(8)
    t, s = steps(999, 500, 100), steps(499, 100, -1)
    whole = few.jump(x0, x, t, s, SCHEDULE)
    for k in range(3):
        row = slice(k, k + 1)
        alone = few.jump(x0[row], x[row], t[row], s[row], SCHEDULE)
        torch.testing.assert_close(whole[row], alone)


def test_renoising_has_the_variance_of_the_later_step():
    clean = torch.zeros(1, 4, 200, 200)
    x_s = few.renoise(clean, steps(-1), steps(300), torch.randn_like(clean), SCHEDULE)
    x_t = few.renoise(x_s, steps(300), steps(700), torch.randn_like(clean), SCHEDULE)
    assert x_t.std().item() == pytest.approx(SCHEDULE.sigma[700].item(), rel=0.02)


def test_renoising_to_where_it_is_changes_nothing():
    x = some(9)
    same = few.renoise(x, steps(5, 300, -1), steps(5, 300, -1), some(1), SCHEDULE)
    torch.testing.assert_close(same, x)


def test_the_boundary_is_that_of_the_lcm_scheduler():
    plan = LCMScheduler()
    for t in (0, 1, 19, 499, 999):
        want = plan.get_scalings_for_boundary_condition_discrete(torch.tensor(t))
        got = few.boundary(steps(t))
        for ours, theirs in zip(got, want, strict=True):
            assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_a_consistency_model_returns_its_input_at_0():
    x, anything = some(10), some(11)
    got = few.consistent(anything, x, steps(0, 0, 999))
    torch.testing.assert_close(got[:2], x[:2])
    torch.testing.assert_close(got[2], anything[2], atol=1e-3, rtol=1e-3)


def test_guidance_is_told_as_the_lcm_pipeline_tells_it():
    from diffusers import LatentConsistencyModelPipeline as Pipeline

    w = torch.tensor([0.5, 2.0, 4.0])
    want = Pipeline.get_guidance_scale_embedding(None, w, 64)
    torch.testing.assert_close(few.scale_embedding(w, 64), want, atol=1e-3, rtol=0)


def test_an_undecided_critic_costs_two_log_two():
    flat = [torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 8, 8)]
    assert few.critic_doubt(flat, flat).item() == pytest.approx(2 * math.log(2))
    assert few.believed([torch.full((2,), 9.0)]).item() < 1e-3


def test_both_losses_pull_equally_hard():
    made = torch.zeros(4, requires_grad=True)
    near, real = 1e-6 * (made - 1).square().sum(), 1e6 * made[0]
    pull = torch.autograd.grad(near, made, retain_graph=True)[0]
    both = few.balanced(near, real, 0.5, made)
    assert (both - pull).norm().item() == pytest.approx(0.5 * pull.norm().item())


def test_huber_is_a_square_near_0_and_linear_far_away():
    zero = torch.zeros(5)
    assert few.huber(zero, zero).item() == pytest.approx(0, abs=1e-9)
    assert few.huber(zero + 10, zero).item() == pytest.approx(10, rel=1e-3)
