from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, DPMSolverMultistepScheduler

from course_utils import diffusion, schedules
from course_utils.diffusion import solvers
from course_utils.diffusion.mixtures import Mixture
from course_utils.models.pipelines import guided
from course_utils.recipes import tiny_sd, vae
from course_utils.tiny import text, unet

PREDICTS = {"noise": "epsilon", "x0": "sample", "v": "v_prediction"}
close = torch.testing.assert_close


class Counted:
    """A model(x_t, t), and how often it was asked."""

    def __init__(self, model):
        self.model, self.calls = model, 0

    def __call__(self, x_t, t):
        self.calls += 1
        return self.model(x_t, t)


def network(seed=0):
    """A smooth function of x and t that is no denoiser of anything."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(3, 3, generator=generator) / 2

    def model(x, t):
        t = t.view(-1, 1, 1, 1) / 1000
        return torch.einsum("ij,bjhw->bihw", mix, torch.tanh(x + t)) * (1 - t / 2)

    return model


def start(seed=1):
    return torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(seed))


def walked(library, model, x, num_steps):
    """What diffusers' scheduler makes of x, and the steps it asked about."""
    library.set_timesteps(num_steps)
    for t in library.timesteps:
        x = library.step(model(x, t.expand(len(x))), t, x).prev_sample
    return x, library.timesteps.tolist()


def same(ours, theirs):
    close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


# DPM-Solver++


@pytest.mark.parametrize("predicts", PREDICTS)
@pytest.mark.parametrize("num_steps", [1, 2, 5, 10, 14, 15, 20, 50])
@pytest.mark.parametrize("order", [1, 2])
def test_dpm_equals_diffusers(predicts, num_steps, order):
    library = DPMSolverMultistepScheduler(
        beta_schedule="linear",
        prediction_type=PREDICTS[predicts],
        solver_order=order,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
    )
    theirs, asked = walked(library, network(), start(), num_steps)
    path = [*diffusion.timesteps(1000, num_steps, "linspace"), -1]
    step, plan = solvers.DPMSolver(order), schedules.linear()
    options = dict(timesteps=path, step=step, predicts=predicts)
    walk = list(diffusion.trajectory(network(), start(), plan, **options))
    assert [t for t, _ in walk] == [*asked, -1]
    same(walk[-1][1], theirs)


def test_stable_diffusions_schedule_too():
    library = DPMSolverMultistepScheduler(
        beta_start=8.5e-4, beta_end=0.012, beta_schedule="scaled_linear"
    )
    theirs, _ = walked(library, network(), start(), 20)
    plan = schedules.scaled_linear()
    same(solvers.dpm_sample(network(), start(), plan), theirs)


def test_first_order_is_ddim():
    path = [999, 700, 400, 100, -1]
    plan = schedules.linear()
    ddim = diffusion.sample(
        network(), start(), plan, timesteps=path, step=diffusion.ddim_step
    )
    same(solvers.dpm_sample(network(), start(), plan, timesteps=path, order=1), ddim)


def test_second_order_needs_one_call_a_step():
    model = Counted(network())
    solvers.dpm_sample(model, start(), schedules.linear(), num_steps=7)
    assert model.calls == 7


@pytest.mark.parametrize("order", [1, 2])
def test_the_error_falls_with_the_order(order):
    turn = torch.arange(6) * torch.pi / 3
    ring = Mixture(1.2 * torch.stack([turn.cos(), turn.sin()], 1), 0.25)
    plan = schedules.linear(20_000, 5e-6, 1e-3)
    x_T = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).double()

    def walk(n, order):
        path = [round(19_999 - 18_999 * i / n) for i in range(n + 1)]
        model = ring.noise_model(plan)
        return solvers.dpm_sample(model, x_T, plan, timesteps=path, order=order)

    true = walk(1000, 2)
    errors = [(walk(n, order) - true).norm(dim=1).mean() for n in (32, 64)]
    assert (errors[0] / errors[1]).log2().item() == pytest.approx(order, abs=0.15)


def test_constant_predictions_need_one_step():
    plan, x_T = schedules.linear(), start()
    clean = torch.full_like(x_T, 0.3)
    for num_steps in (1, 3, 20):
        options = dict(num_steps=num_steps, predicts="x0")
        x = solvers.dpm_sample(lambda x, t: clean, x_T, plan, **options)
        close(x, clean)


def test_orders_and_directions_that_do_not_exist_are_refused():
    plan, x = schedules.linear(), start()
    with pytest.raises(ValueError, match="order must be 1 or 2, not 3"):
        solvers.dpm_sample(network(), x, plan, order=3)
    with pytest.raises(ValueError, match="must go down"):
        solvers.dpm_step(x, x, 10, plan, to=20)
    with pytest.raises(ValueError, match="before must be None at the last step"):
        solvers.dpm_step(x, x, 10, plan, to=-1, before=(20, x))


def test_all_thousand_steps_can_be_walked():
    plan = schedules.linear()
    x = solvers.dpm_sample(lambda x, t: 0 * x, start(), plan, num_steps=1000)
    assert x.isfinite().all()


def test_the_solver_forgets_what_did_not_end_here():
    """A second walk with the same object, even after half a walk, is a fresh one."""
    plan, step = schedules.linear(), solvers.DPMSolver()
    path = [999, 700, 400, 100, -1]
    once = diffusion.sample(network(), start(), plan, timesteps=path, step=step)
    diffusion.sample(network(), start(2), plan, timesteps=path[:3], step=step)
    again = diffusion.sample(network(), start(), plan, timesteps=path, step=step)
    assert torch.equal(once, again)


def test_a_walk_in_two_parts_is_the_walk():
    plan, step = schedules.linear(), solvers.DPMSolver()
    path = [999, 700, 400, 100, -1]
    whole = solvers.dpm_sample(network(), start(), plan, timesteps=path)
    half = diffusion.sample(network(), start(), plan, timesteps=path[:3], step=step)
    rest = diffusion.sample(network(), half, plan, timesteps=path[2:], step=step)
    assert torch.equal(rest, whole)


def test_its_first_order_is_ddim_on_a_schedule_of_flow():
    t = torch.linspace(0, 1, 101)[1:]
    plan = schedules.Schedule(signal=1 - 0.99 * t, sigma=t)
    options = dict(timesteps=[99, 60, 30, 5, -1])
    ddim = diffusion.sample(
        network(), start(), plan, step=diffusion.ddim_step, **options
    )
    same(solvers.dpm_sample(network(), start(), plan, order=1, **options), ddim)


# DDIM, forth and back


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("predicts", PREDICTS)
@pytest.mark.parametrize("num_steps", [1, 4, 20, 100])
def test_ddim_equals_diffusers(spacing, predicts, num_steps):
    library = DDIMScheduler(
        prediction_type=PREDICTS[predicts],
        timestep_spacing=spacing,
        beta_schedule="linear",
        clip_sample=False,
    )
    theirs, asked = walked(library, network(), start(), num_steps)
    path = [*diffusion.timesteps(1000, num_steps, spacing), -1]
    assert path[:-1] == asked
    ours = diffusion.sample(
        network(),
        start(),
        schedules.linear(),
        timesteps=path,
        step=diffusion.ddim_step,
        predicts=predicts,
    )
    same(ours, theirs)


@pytest.mark.parametrize("predicts", ["noise", "v"])
@pytest.mark.parametrize("num_steps", [1, 4, 20, 100])
def test_inversion_equals_diffusers(predicts, num_steps):
    library = DDIMInverseScheduler(
        prediction_type=PREDICTS[predicts], beta_schedule="linear", clip_sample=False
    )
    theirs, _ = walked(library, network(), start(), num_steps)
    options = dict(num_steps=num_steps, predicts=predicts)
    same(solvers.invert(network(), start(), schedules.linear(), **options), theirs)


def test_there_and_back_meets_the_better_the_more_steps():
    ring = Mixture(torch.tensor([[1.0, 0.0], [-0.5, 0.8], [-0.5, -0.8]]), 0.3)
    plan = schedules.linear()
    model, x0 = ring.noise_model(plan), ring.draw(50, torch.Generator().manual_seed(0))

    def error(n):
        x_T = solvers.invert(model, x0, plan, num_steps=n)
        options = dict(num_steps=n, step=diffusion.ddim_step)
        return (diffusion.sample(model, x_T, plan, **options) - x0).norm(dim=1).mean()

    few, many = error(20), error(200)
    assert many < few / 5 and many < 0.05


def test_inversion_does_not_know_x0_prediction():
    with pytest.raises(ValueError, match='"noise" or "v" here'):
        solvers.invert(network(), start(), schedules.linear(), predicts="x0")


# A pipeline's network


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_guided_walk_is_the_pipelines(scale):
    tokenizer = text.build_tokenizer()
    parts = dict(unet=unet.build_unet(), text=text.build_text_encoder(tokenizer))
    pipe = tiny_sd.pipeline(SimpleNamespace(**parts), vae.build_vae(), tokenizer)
    for net in (pipe.unet, pipe.text_encoder, pipe.vae):
        net.eval()
    prompts = ["a red cat", "two blue stars"]
    x_T = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    options = dict(num_inference_steps=3, guidance_scale=scale, output_type="latent")
    theirs = pipe(prompts, latents=x_T, **options).images
    network = Counted(guided(pipe, prompts, scale))
    options = dict(num_steps=3, predicts="v")
    ours = solvers.dpm_sample(network, x_T, schedules.linear(), **options)
    assert network.calls == 3
    close(ours, theirs, rtol=1e-4, atol=1e-4)
