import functools
import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from PIL import Image

from course_utils import diffusion, schedules
from course_utils.diffusion import solvers

SHAPES = [(1, 1, 8, 8), (3, 3, 8, 8), (2, 1, 6, 10), (4, 2)]
PREDICTS = {"noise": "epsilon", "x0": "sample", "v": "v_prediction"}
close = torch.testing.assert_close


def draw(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x0 = torch.rand(shape, generator=generator) * 2 - 1
    return x0, torch.randn(shape, generator=generator), generator


# Forwards


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("T", [20, 1000])
def test_add_noise_and_velocity_equal_diffusers(shape, T):
    x0, noise, generator = draw(shape)
    t = torch.randint(T, shape[:1], generator=generator)
    library, plan = DDPMScheduler(T), schedules.linear(T)
    ours = diffusion.add_noise(x0, noise, t, plan)
    close(ours, library.add_noise(x0, noise, t), rtol=1e-5, atol=1e-5)
    ours = diffusion.velocity(x0, noise, t, plan)
    close(ours, library.get_velocity(x0, noise, t), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_and_picture_come_back(shape):
    x0, noise, generator = draw(shape)
    plan = schedules.cosine(100)
    t = torch.randint(80, shape[:1], generator=generator)
    x_t = diffusion.add_noise(x0, noise, t, plan)
    close(diffusion.predict_x0(x_t, noise, t, plan), x0, rtol=1e-4, atol=1e-4)
    close(diffusion.predict_noise(x_t, x0, t, plan), noise, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("predicts", PREDICTS)
def test_all_three_predictions_say_the_same(predicts):
    x0, noise, _ = draw((3, 1, 4, 4))
    plan, t = schedules.linear(100), torch.tensor([0, 50, 99])
    target = diffusion.target(x0, noise, t, plan, predicts)
    x_t = diffusion.add_noise(x0, noise, t, plan)
    both = diffusion.x0_and_noise(target, x_t, t, plan, predicts)
    close(both, (x0, noise), rtol=1e-3, atol=1e-3)


def test_the_long_way_and_the_shortcut_agree_in_mean_and_spread():
    plan, (x0, _, generator) = schedules.linear(50, 1e-3, 0.1), draw((1, 4))
    x = x0.expand(20_000, -1)
    for beta in plan.beta:
        step = torch.randn(x.shape, generator=generator)
        x = (1 - beta) ** 0.5 * x + beta**0.5 * step
    bar = plan.alpha_bar[-1]
    close(x.mean(0), bar**0.5 * x0[0], rtol=0, atol=0.03)
    close(x.var(0), (1 - bar).expand(4), rtol=0.05, atol=0)


def test_first_step_is_almost_the_picture_last_almost_noise():
    x0, noise, _ = draw((1, 1, 8, 8))
    plan = schedules.linear()
    first, last = (
        diffusion.add_noise(x0, noise, torch.tensor([t]), plan) for t in (0, 999)
    )
    close(first, x0, rtol=0, atol=0.05)
    close(last, noise, rtol=0, atol=0.05)


# One step back


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("T, num_steps", [(1000, 1000), (1000, 50), (40, 40), (50, 7)])
@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("predicts", PREDICTS)
@pytest.mark.parametrize("clip", [True, False])
def test_ddpm_step_equals_diffusers(shape, T, num_steps, variance, predicts, clip):
    library = DDPMScheduler(
        T,
        variance_type=variance,
        prediction_type=PREDICTS[predicts],
        clip_sample=clip,
    )
    library.set_timesteps(num_steps)
    plan, (x_t, prediction, _) = schedules.linear(T), draw(shape)
    path = diffusion.timesteps(T, num_steps)
    assert path == library.timesteps.tolist()
    for i in (0, num_steps // 2, num_steps - 1):
        t, to = path[i], (path + [-1])[i + 1]
        drawn = torch.Generator().manual_seed(i)
        theirs = library.step(prediction, t, x_t, generator=drawn).prev_sample
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(i))
        ours = diffusion.ddpm_step(
            prediction,
            x_t,
            t,
            plan,
            noise=noise,
            predicts=predicts,
            variance=variance,
            clip=clip,
            to=to,
        )
        close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("predicts", PREDICTS)
@pytest.mark.parametrize("clip", [True, False])
def test_ddim_step_equals_diffusers(eta, predicts, clip):
    library = DDIMScheduler(1000, clip_sample=clip, prediction_type=PREDICTS[predicts])
    library.set_timesteps(20)
    plan, (x_t, prediction, _) = schedules.linear(), draw((2, 1, 6, 10))
    path = library.timesteps.tolist()
    for t, to in zip(path, path[1:] + [-1], strict=True):
        noise = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(t))
        # after clipping, diffusers keeps the model's direction unless asked
        theirs = library.step(
            prediction,
            t,
            x_t,
            eta=eta,
            variance_noise=noise,
            use_clipped_model_output=True,
        ).prev_sample
        ours = diffusion.ddim_step(
            prediction,
            x_t,
            t,
            plan,
            to=to,
            eta=eta,
            noise=noise,
            predicts=predicts,
            clip=clip,
        )
        close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


def test_the_posterior_is_bayes_rule():
    """q(x_{t-1} | x_t, x0) against the two Gaussians multiplied by hand."""
    plan, t = schedules.linear(10, 0.01, 0.3), 6
    x0, x_t = torch.tensor([[0.7]]), torch.tensor([[-0.4]])
    mean, variance = diffusion.posterior(x0, x_t, t, plan)
    prior_var = 1 - plan.alpha_bar[t - 1]
    precision = 1 / prior_var + plan.alpha[t] / plan.beta[t]
    weighted = plan.alpha_bar[t - 1] ** 0.5 * x0 / prior_var
    weighted = weighted + plan.alpha[t] ** 0.5 * x_t / plan.beta[t]
    close(variance, 1 / precision)
    close(mean, weighted / precision)


def test_the_last_step_adds_no_noise():
    plan, (x_t, prediction, _) = schedules.linear(10), draw((2, 1, 4, 4))
    once, again = (diffusion.ddpm_step(prediction, x_t, 0, plan) for _ in range(2))
    assert torch.equal(once, again)


# All the way


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("num_steps", [10, 100])
@pytest.mark.parametrize("size", [(8, 8), (8, 12)])
def test_the_whole_run_equals_the_pipeline(variance, num_steps, size):
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=size,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    ).eval()
    pipe = DDPMPipeline(unet, DDPMScheduler(100, variance_type=variance))
    pipe.set_progress_bar_config(disable=True)
    drawn = torch.Generator().manual_seed(5)
    theirs = pipe(
        batch_size=3, generator=drawn, num_inference_steps=num_steps, output_type="np"
    ).images
    generator = torch.Generator().manual_seed(5)
    ours = diffusion.sample(
        lambda x, t: unet(x, t).sample,
        torch.randn(3, 1, *size, generator=generator),
        schedules.linear(100),
        num_steps=num_steps,
        generator=generator,
        variance=variance,
        clip=True,
    )
    ours = (ours / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    close(ours, torch.from_numpy(theirs), rtol=1e-5, atol=1e-5)


def optimal_denoiser(mean, std, plan):
    """E[noise | x_t] for Gaussian data: what a perfect network would predict."""

    def model(x_t, t):
        bar = plan.alpha_bar[t][:, None]
        variance = bar * std**2 + 1 - bar
        return (1 - bar) ** 0.5 * (x_t - bar**0.5 * mean) / variance

    return model


@pytest.mark.parametrize(
    "step, options",
    [
        (diffusion.ddpm_step, dict(variance="fixed_small")),
        (diffusion.ddpm_step, dict(variance="fixed_large")),
        (diffusion.ddim_step, dict(eta=0.0)),
        (diffusion.ddim_step, dict(eta=1.0)),
    ],
)
def test_a_perfect_denoiser_brings_back_the_datas_mean_and_spread(step, options):
    mean, std, plan = 0.6, 0.3, schedules.linear()
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(20_000, 1, generator=generator)
    x0 = diffusion.sample(
        optimal_denoiser(mean, std, plan),
        x_T,
        plan,
        step=step,
        generator=generator,
        **options,
    )
    assert x0.mean().item() == pytest.approx(mean, abs=0.01)
    assert x0.std().item() == pytest.approx(std, abs=0.01)


def test_ddim_forgets_nothing_and_ddpm_repeats_with_its_generator():
    plan = schedules.linear(100)
    model = optimal_denoiser(0.0, 1.0, plan)
    x_T = torch.randn(5, 1)

    def run(**options):
        generator = torch.Generator().manual_seed(1)
        return diffusion.sample(model, x_T, plan, generator=generator, **options)

    assert torch.equal(run(), run())
    assert torch.equal(run(step=diffusion.ddim_step), run(step=diffusion.ddim_step))


def test_the_trajectory_starts_at_noise_and_ends_clean():
    plan, x_T = schedules.linear(20), torch.randn(2, 1, 4, 4)
    walk = list(diffusion.trajectory(lambda x, t: 0 * x, x_T, plan, num_steps=5))
    assert [t for t, _ in walk] == [16, 12, 8, 4, 0, -1]
    assert torch.equal(walk[0][1], x_T)


def test_the_trajectory_goes_where_it_is_sent_and_stops_there():
    plan, x_T = schedules.linear(20), torch.randn(2, 1, 4, 4)
    options = dict(timesteps=[19, 11, 7], step=diffusion.ddim_step)
    walk = list(diffusion.trajectory(lambda x, t: 0 * x, x_T, plan, **options))
    assert [t for t, _ in walk] == [19, 11, 7]
    shrunk = (plan.alpha_bar[7] / plan.alpha_bar[19]) ** 0.5  # there is no noise
    close(walk[-1][1], shrunk * x_T)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("T, num_steps", [(1000, 1), (1000, 7), (1000, 1000), (50, 8)])
def test_all_spacings_go_down_by_equal_steps(spacing, T, num_steps):
    path = diffusion.timesteps(T, num_steps, spacing)
    gaps = {a - b for a, b in zip(path, path[1:], strict=False)}
    assert len(path) == num_steps and max(gaps, default=0) - min(gaps, default=0) <= 1
    assert path[0] == T - 1 or spacing == "leading"
    assert len(set(path)) == num_steps


def test_a_step_of_ones_own_joins_the_loop():
    plan, x_T = schedules.linear(20), torch.randn(2, 4)

    def step(prediction, x_t, t, schedule, *, to, generator=None, pull=0.5):
        return x_t + pull * (prediction - x_t)

    options = dict(step=functools.partial(step, pull=0.1), num_steps=4)
    x0 = diffusion.sample(lambda x, t: 0 * x, x_T, plan, **options)
    close(x0, 0.9**4 * x_T)


@pytest.mark.parametrize(
    "step, options",
    [(diffusion.ddpm_step, {}), (diffusion.ddim_step, dict(eta=0.5))],
)
def test_a_partial_step_draws_from_the_generator_too(step, options):
    plan, x_T = schedules.linear(20), torch.randn(2, 4)

    def run(**how):
        generator = torch.Generator().manual_seed(3)
        walk = dict(generator=generator, num_steps=5)
        return diffusion.sample(lambda x, t: 0.1 * x, x_T, plan, **walk, **how)

    plain = run(step=step, **options)
    before = torch.get_rng_state()
    assert torch.equal(run(step=functools.partial(step, **options)), plain)
    assert torch.equal(before, torch.get_rng_state())  # nothing drawn behind its back


def test_an_unknown_spacing_lists_the_known():
    with pytest.raises(ValueError, match='"trailing" or "linspace", not \'karras\''):
        diffusion.timesteps(1000, 10, "karras")


def test_guidance_scale_one_is_off_and_zero_ignores_the_condition():
    conditional, unconditional = torch.randn(2, 3), torch.randn(2, 3)
    close(diffusion.guidance(conditional, unconditional, 1.0), conditional)
    close(diffusion.guidance(conditional, unconditional, 0.0), unconditional)


# Schedules that do not preserve the variance


def flow(T=100):
    """Rectified flow, by hand: a straight line from picture to noise."""
    t = (torch.arange(T) + 1) / (T + 1)
    return schedules.Schedule(signal=1 - t, sigma=t, name="flow")


def exploding(T=400):
    sigma = torch.logspace(-2, 1, T)
    return schedules.Schedule(signal=torch.ones(T), sigma=sigma, name="exploding")


@pytest.mark.parametrize("make", [flow, exploding])
def test_noise_and_picture_come_back_on_any_schedule(make):
    plan, (x0, noise, _) = make(), draw((3, 1, 4, 4))
    t = torch.tensor([0, 40, 90])
    x_t = diffusion.add_noise(x0, noise, t, plan)
    shape = -1, 1, 1, 1
    by_hand = plan.signal[t].view(shape) * x0 + plan.sigma[t].view(shape) * noise
    assert torch.equal(x_t, by_hand)
    close(diffusion.predict_x0(x_t, noise, t, plan), x0, rtol=1e-4, atol=1e-4)
    close(diffusion.predict_noise(x_t, x0, t, plan), noise, rtol=1e-3, atol=1e-3)


def test_ddim_on_flow_is_eulers_step():
    """x_s = x_t + (s - t) (noise - x0), the straight line that flow matching walks."""
    plan, (x_t, noise, _) = flow(), draw((2, 1, 4, 4))
    t, to = torch.tensor([60, 60]), 20
    x0 = diffusion.predict_x0(x_t, noise, t, plan)
    euler = x_t + (plan.sigma[to] - plan.sigma[60]) * (noise - x0)
    close(diffusion.ddim_step(noise, x_t, 60, plan, to=to), euler)


def test_ddim_on_an_exploding_schedule_is_eulers_step():
    """x_s = x_t + (sigma_s - sigma_t) noise: Karras et al. 2022, Algorithm 1."""
    plan, (x_t, noise, _) = exploding(), draw((2, 1, 4, 4))
    euler = x_t + (plan.sigma[20] - plan.sigma[60]) * noise
    close(diffusion.ddim_step(noise, x_t, 60, plan, to=20), euler)


@pytest.mark.parametrize("eta", [None, 0.0, 1.0])
@pytest.mark.parametrize("make", [flow, exploding])
def test_all_steps_bring_a_gaussian_back_on_any_schedule(make, eta):
    """By ddim_step with its eta, and for None by ddpm_step."""
    mean, std, plan = 0.6, 0.3, make()

    def model(x_t, t):  # E[noise | x_t]
        a, s = plan.signal[t][:, None], plan.sigma[t][:, None]
        return s * (x_t - a * mean) / (a**2 * std**2 + s**2)

    generator = torch.Generator().manual_seed(0)
    x_T = plan.sigma[-1] * torch.randn(20_000, 1, generator=generator)
    x_T = x_T + plan.signal[-1] * mean
    options = {} if eta is None else dict(step=diffusion.ddim_step, eta=eta)
    x0 = diffusion.sample(model, x_T, plan, generator=generator, **options)
    assert x0.mean().item() == pytest.approx(mean, abs=0.02)
    assert x0.std().item() == pytest.approx(std, abs=0.02)


def test_what_a_schedule_has_not_is_named():
    x, t = torch.zeros(2, 4), torch.tensor([1, 2])
    with pytest.raises(ValueError, match="v needs a schedule with signal"):
        diffusion.velocity(x, x, t, flow())
    with pytest.raises(ValueError, match="v needs a schedule with signal"):
        diffusion.x0_and_noise(x, x, t, exploding(), "v")
    end = schedules.Schedule(
        signal=torch.tensor([0.9, 0.5, 0]), sigma=torch.tensor([0.1, 0.5, 1])
    )
    with pytest.raises(ValueError, match="signal is 0.*earlier t"):
        diffusion.predict_x0(x, x, t, end)


# Messages


CALLS = {
    "add_noise": lambda a, b: diffusion.add_noise(a, b, T, PLAN),
    "predict_x0": lambda a, b: diffusion.predict_x0(a, b, T, PLAN),
    "predict_noise": lambda a, b: diffusion.predict_noise(a, b, T, PLAN),
    "velocity": lambda a, b: diffusion.velocity(a, b, T, PLAN),
    "target": lambda a, b: diffusion.target(a, b, T, PLAN),
    "x0_and_noise": lambda a, b: diffusion.x0_and_noise(b, a, T, PLAN, "v"),
    "posterior": lambda a, b: diffusion.posterior(b, a, 5, PLAN),
    "ddpm_step": lambda a, b: diffusion.ddpm_step(b, a, 5, PLAN),
    "ddim_step": lambda a, b: diffusion.ddim_step(b, a, 5, PLAN, to=2),
    "ddpm_step's noise": lambda a, b: diffusion.ddpm_step(a, a, 5, PLAN, noise=b),
    "ddim_step's noise": lambda a, b: diffusion.ddim_step(
        a, a, 5, PLAN, to=2, eta=1, noise=b
    ),
    "guidance": lambda a, b: diffusion.guidance(b, a, 3.0),
    "dpm_step": lambda a, b: solvers.dpm_step(b, a, 5, PLAN, to=2),
    "dpm_step's before": lambda a, b: solvers.dpm_step(
        a, a, 5, PLAN, to=2, before=(7, b)
    ),
}
PLAN, T = schedules.linear(10), torch.tensor([3, 5])
X = torch.zeros(2, 1, 4, 4)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (1, 1, 4, 4), (2, 1, 4, 1), (4, 4)])
def test_nothing_is_broadcast(name, shape):
    CALLS[name](X, X)
    with pytest.raises(ValueError, match=r"must have the shape of \w+, \(2, 1, 4, 4\)"):
        CALLS[name](X, torch.zeros(shape))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "what", [[0.0], np.zeros((2, 1, 4, 4)), Image.new("L", (4, 4))]
)
def test_what_is_no_tensor_is_named_with_its_cure(name, what):
    for pair in ((X, what), (what, X)):
        with pytest.raises(
            ValueError, match=r"must be a torch.Tensor, not a .*: .*torch\."
        ):
            CALLS[name](*pair)


@pytest.mark.parametrize("name", CALLS)
def test_bytes_are_no_pictures(name):
    with pytest.raises(ValueError, match="must be floats, not torch.uint8: of bytes"):
        CALLS[name](X, X.to(torch.uint8))


def test_none_is_no_tensor():
    with pytest.raises(ValueError, match="x_t must be a torch.Tensor, not None"):
        diffusion.ddpm_step(X, None, 5, PLAN)
    with pytest.raises(ValueError, match="t must be a torch.Tensor, not None"):
        diffusion.add_noise(X, X, None, PLAN)
    with pytest.raises(ValueError, match="before must be a tuple"):
        solvers.dpm_step(X, X, 5, PLAN, to=2, before=7)
    with pytest.raises(ValueError, match="noise must be a torch.Tensor, not None"):
        diffusion.add_noise(X, None, T, PLAN)
    with pytest.raises(ValueError, match="x_T must be a torch.Tensor, not None"):
        diffusion.sample(lambda x, t: x, None, PLAN)
    with pytest.raises(ValueError, match="prediction must be a torch.Tensor, not None"):
        diffusion.sample(lambda x, t: None, X, PLAN)


@pytest.mark.parametrize("eta", [-0.1, 1.5, math.nan, math.inf, None, "1"])
def test_an_eta_beyond_ddpm_is_refused(eta):
    with pytest.raises(ValueError, match="eta must lie between 0"):
        diffusion.ddim_step(X, X, 5, PLAN, to=2, eta=eta)


@pytest.mark.parametrize("scale", [math.nan, math.inf, -math.inf, None, "3"])
def test_a_guidance_that_is_no_number_is_refused(scale):
    with pytest.raises(ValueError, match="scale must be a finite number"):
        diffusion.guidance(X, X, scale)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(num_steps=0), "num_steps must be between 1 and T=10, not 0"),
        (dict(num_steps=5.0), "num_steps must be an integer, not 5.0"),
        (dict(timesteps=[]), "timesteps must name at least a start and an end"),
        (dict(timesteps=[9]), "timesteps must name at least a start and an end"),
        (dict(timesteps=[9.0, -1]), "timesteps must be an integer, not 9.0"),
        (dict(timesteps=[3, 7, -1]), "must go down"),
        (dict(timesteps=[9, -1], num_steps=3), "num_steps or timesteps, not both"),
        (dict(noise=X), "pass a generator"),
        (dict(visits=[]), "'visits': the walk goes through num_steps or timesteps"),
        (dict(step=diffusion.ddim_step, ets=1), "'ets': .* takes clip, eta, predicts"),
        (dict(step=None), "step must be a function such as ddpm_step"),
    ],
)
def test_a_walk_that_goes_nowhere_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        diffusion.sample(lambda x, t: x, X, PLAN, **options)


def test_steps_are_whole_numbers():
    with pytest.raises(ValueError, match="T must be an integer, not 1000.0"):
        diffusion.timesteps(1000.0, 10)
    with pytest.raises(ValueError, match="t must be an integer, not 5.0"):
        diffusion.ddpm_step(X, X, 5.0, PLAN)
    assert diffusion.timesteps(np.int64(10), np.int64(2)) == [5, 0]


def test_bad_input_is_named():
    plan, x = schedules.linear(10), torch.zeros(2, 1, 4, 4)
    t = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="t must lie in 0..9"):
        diffusion.add_noise(x, x, torch.tensor([0, 10]), plan)
    with pytest.raises(ValueError, match="one step per picture"):
        diffusion.add_noise(x, x, torch.tensor([0, 1, 2]), plan)
    with pytest.raises(ValueError, match="t must be a long tensor"):
        diffusion.add_noise(x, x, t / 10, plan)
    with pytest.raises(ValueError, match="noise must have the shape of x0"):
        diffusion.add_noise(x, x[:1], t, plan)
    with pytest.raises(ValueError, match='predicts must be "noise"'):
        diffusion.ddpm_step(x, x, 5, plan, predicts="epsilon")
    with pytest.raises(ValueError, match='variance must be "fixed_small"'):
        diffusion.ddpm_step(x, x, 5, plan, variance="learned")
    with pytest.raises(ValueError, match="must go down"):
        diffusion.ddim_step(x, x, 5, plan, to=5)
    with pytest.raises(ValueError, match="num_steps must be between 1 and T=10"):
        diffusion.sample(lambda x, t: x, x, plan, num_steps=11)
