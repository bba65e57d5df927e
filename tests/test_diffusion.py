import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel

from course_utils import diffusion, schedules

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
    target = dict(noise=noise, x0=x0, v=diffusion.velocity(x0, noise, t, plan))
    x_t = diffusion.add_noise(x0, noise, t, plan)
    both = diffusion.x0_and_noise(target[predicts], x_t, t, plan, predicts)
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


def test_an_unknown_spacing_lists_the_known():
    with pytest.raises(ValueError, match='"trailing" or "linspace", not \'karras\''):
        diffusion.timesteps(1000, 10, "karras")


def test_guidance_scale_one_is_off_and_zero_ignores_the_condition():
    conditional, unconditional = torch.randn(2, 3), torch.randn(2, 3)
    close(diffusion.guidance(conditional, unconditional, 1.0), conditional)
    close(diffusion.guidance(conditional, unconditional, 0.0), unconditional)


# Messages


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
