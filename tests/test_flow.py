"""Flow matching: closed forms, diffusers' Euler, tiny as a flow without training."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch.testing import assert_close

from course_utils import diffusion, models
from course_utils.diffusion import flow_matching
from course_utils.models.pipelines import guided
from course_utils.tiny import flow, reflow
from course_utils.tiny.unet import SCHEDULE


def pair(n=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, n, 4, 16, 16, generator=generator).unbind()


# paths


def test_the_path_runs_from_the_picture_to_the_noise_at_the_velocity():
    x0, noise = pair()
    assert_close(diffusion.flow_path(x0, noise, torch.zeros(3)), x0)
    assert_close(diffusion.flow_path(x0, noise, torch.ones(3)), noise)
    t = torch.tensor([0.2, 0.5, 0.7])
    moved = diffusion.flow_path(x0, noise, t + 0.1) - diffusion.flow_path(x0, noise, t)
    assert_close(moved / 0.1, diffusion.flow_velocity(x0, noise), rtol=1e-4, atol=1e-4)


def test_the_path_is_what_diffusers_adds():
    x0, noise = pair()
    plan = FlowMatchEulerDiscreteScheduler(shift=1.0)
    t = plan.timesteps[[100, 500, 900]]
    theirs = plan.scale_noise(x0, t, noise)
    assert_close(diffusion.flow_path(x0, noise, t / 1000), theirs)


def test_times_are_logit_normal():
    t = diffusion.flow_times(20_000, torch.Generator().manual_seed(0))
    assert 0 < t.min() and t.max() < 1
    assert_close(t.logit().mean().item(), 0.0, rtol=0, atol=0.03)
    assert_close(t.logit().std().item(), 1.0, rtol=0, atol=0.03)
    late = diffusion.flow_times(2000, torch.Generator().manual_seed(0), mean=1.0)
    assert late.mean() > t.mean() + 0.1


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_grid_is_that_of_diffusers_for_given_sigmas(shift):
    plan = FlowMatchEulerDiscreteScheduler(shift=shift)
    plan.set_timesteps(sigmas=diffusion.flow_grid(4)[:-1])
    assert_close(torch.tensor(diffusion.flow_grid(4, shift)), plan.sigmas)


# walks


def test_a_true_velocity_leads_home_in_one_step_and_straight():
    x0, noise = pair()
    for steps in (1, 5):
        grid = diffusion.flow_grid(steps)
        path = diffusion.euler_path(lambda z, t: noise - x0, noise, grid)
        assert len(path) == steps + 1
        assert_close(path[-1], x0, rtol=1e-4, atol=1e-5)
        assert diffusion.straightness(path, grid).max() < 1e-9


def test_a_detour_is_not_straight():
    # there and back by 1 on the way: the speed is off by 2 in both halves
    path = [torch.zeros(1, 1), torch.tensor([[-1.5]]), torch.tensor([[-1.0]])]
    found = diffusion.straightness(path, [1.0, 0.5, 0.0])
    assert_close(found, torch.tensor([4.0]))


def test_eulers_walk_is_that_of_diffusers():
    _, noise = pair()

    def model(z, t):
        return torch.sin(3 * z) + t.view(-1, 1, 1, 1)

    grid, z = diffusion.flow_grid(4), noise
    plan = FlowMatchEulerDiscreteScheduler(shift=1.0)
    plan.set_timesteps(sigmas=grid[:-1])
    for t in plan.timesteps:
        v = model(z, (t / 1000).expand(len(z)))
        z = plan.step(v, t, z, return_dict=False)[0]
    assert_close(diffusion.euler_path(model, noise, grid)[-1], z)


# a diffusion as a flow


def test_of_a_perfect_v_comes_the_perfect_velocity():
    x0, noise = pair()

    def model(x_t, t):  # linear between two steps, as the fraction is
        low = t.long().clamp(max=SCHEDULE.T - 2)
        v = [diffusion.velocity(x0, noise, k, SCHEDULE) for k in (low, low + 1)]
        return torch.lerp(*v, (t - low).view(-1, 1, 1, 1))

    v = diffusion.as_flow(model, SCHEDULE)
    for t in (0.1, 0.5, 0.9):
        t = torch.full((3,), t)
        z = diffusion.flow_path(x0, noise, t)
        assert_close(v(z, t), noise - x0, rtol=0, atol=2e-2)


def test_eulers_steps_on_tiny_as_a_flow_are_those_of_ddim():
    pipe = models.load("text-to-image", "tiny")
    model = guided(pipe, ["a red cat", "two blue stars"])
    steps = [999, 700, 400, 100]
    times = flow_matching.flow_time(SCHEDULE)[steps].tolist()
    z = pair(2)[1]
    path = diffusion.euler_path(diffusion.as_flow(model, SCHEDULE), z, times)
    x = z / ((1 - times[0]) ** 2 + times[0] ** 2) ** 0.5
    for t, to in zip(steps, steps[1:], strict=False):
        v = model(x, torch.full((2,), t))
        x = diffusion.ddim_step(v, x, t, SCHEDULE, to=to, predicts="v")
    size = ((1 - times[-1]) ** 2 + times[-1] ** 2) ** 0.5
    assert_close(path[-1] / size, x, rtol=1e-3, atol=1e-3)


# refusals


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: diffusion.flow_grid(0), "steps must be a whole number"),
        (lambda: diffusion.flow_grid(2, 0.0), "shift=0.0 must be above 0"),
        (lambda: diffusion.flow_times(2, std=0.0), "std=0.0 must be above 0"),
        (lambda: diffusion.euler_path(len, pair()[0], [0.0, 1.0]), "grid must fall"),
        (lambda: diffusion.straightness([pair()[0]], [1.0, 0.0]), "as many times"),
        (lambda: diffusion.flow_path(*pair(), torch.zeros(2)), "one time for each"),
        (lambda: diffusion.flow_velocity(pair()[0], pair(2)[0]), "must have the shape"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# the transformer


@pytest.fixture(scope="module")
def tiny():
    return models.load("text-to-image", "tiny")


def test_the_transformer_is_of_the_unets_size(tiny):
    ours = sum(p.numel() for p in flow.build_flow_transformer().parameters())
    theirs = sum(p.numel() for p in tiny.unet.parameters())
    assert 0.9 < ours / theirs < 1


def test_tokens_and_maps_have_the_same_places():
    net = flow.FlowTransformer(flow.build_flow_transformer(), 96).eval()
    z, t, words = torch.zeros(1, 4, 16, 16), torch.ones(1), torch.zeros(1, 49, 128)
    seen = []
    block = net.transformer.transformer_blocks[0]
    block.register_forward_pre_hook(
        lambda layer, args, kwargs: seen.append(kwargs["hidden_states"]),
        with_kwargs=True,
    )
    for place in (None, (2, 5)):
        if place:
            z[0, :, 2 * place[0], 2 * place[1]] = 9.0
        v, maps = net(z, t, words)
        assert v.shape == z.shape and maps.shape == (1, 96, 8, 8)
    changed = (seen[1] - seen[0])[0].abs().sum(1).view(8, 8)
    assert changed.argmax() == 8 * 2 + 5 and (changed > 1e-6).sum() == 1


def test_the_loss_is_zero_for_who_knows(tiny):
    x0, noise = pair()
    maps = torch.randn(3, 96, 8, 8, generator=torch.Generator().manual_seed(1))
    options = (x0, noise, torch.full((3,), 0.5), torch.zeros(3, 49, 128), maps)
    assert flow.flow_matching_loss(lambda *_: (noise - x0, maps), *options) < 1e-6
    wrong = flow.flow_matching_loss(lambda *_: (x0 - noise, maps), *options)
    assert_close(wrong, (4 * (noise - x0).square()).mean())
    opposite = flow.flow_matching_loss(
        lambda *_: (noise - x0, -maps), *options, align=0.5
    )
    assert_close(opposite, torch.tensor(1.0))


def test_prompts_are_what_tiny_hears(tiny):
    pipe = flow.flow_pipeline(flow.build_flow_transformer(), tiny)
    said = ["a red cat", "a blue star on the grass"]
    told = flow.flow_prompts(pipe, said)
    words, nothing = tiny.encode_prompt(said, "cpu", 1, True, negative_prompt=["", ""])
    assert_close(told["prompt_embeds"], words)
    assert_close(told["negative_prompt_embeds"], nothing)
    assert told["pooled_prompt_embeds"].shape == (2, 128)
    with pytest.raises(ValueError, match="captions must be a list"):
        flow.flow_prompts(pipe, "a red cat")


def test_drawing_is_eulers_walk(tiny):
    from course_utils.models.pipelines import decode

    torch.manual_seed(0)
    pipe = flow.flow_pipeline(flow.build_flow_transformer(), tiny)
    told = flow.flow_prompts(pipe, ["a red cat"])
    words = [torch.cat([told[f"{n}prompt_embeds"] for n in ("negative_", "")])]
    words += [torch.cat([told[f"{n}pooled_prompt_embeds"] for n in ("negative_", "")])]

    @torch.no_grad()
    def model(z, t):
        both, when = torch.cat([z, z]), 1000 * torch.cat([t, t])
        without, with_it = pipe.transformer(both, *words, when).sample.chunk(2)
        return diffusion.guidance(with_it, without, 3.0)

    z = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(7))
    path = diffusion.euler_path(model, z, diffusion.flow_grid(3))
    found = flow.draw_flow(pipe, ["a red cat"], steps=3, seed=7)
    assert_close(found, decode(pipe.vae, path[-1]), rtol=1e-3, atol=1e-3)


# reflow


def test_a_student_begins_as_its_teacher(tiny):
    model = reflow.Straightened(tiny.unet)
    words = tiny.encode_prompt(["a red cat"] * 3, "cpu", 1, False)[0]
    z, t = pair()[1], torch.tensor([0.1, 0.5, 0.99])
    teacher = diffusion.as_flow(guided(tiny, ["a red cat"] * 3), SCHEDULE)
    with torch.no_grad():
        assert_close(model(z, t, words), teacher(z, t))


def test_the_loss_of_reflow_is_zero_on_the_line():
    x0, noise = pair()
    options = x0, noise, torch.rand(3), torch.zeros(3, 48, 128)
    assert reflow.reflow_loss(lambda *_: noise - x0, *options) == 0
    wrong = reflow.reflow_loss(lambda *_: x0 - noise, *options)
    assert_close(wrong, (4 * (noise - x0).square()).mean())


def test_a_batch_of_reflow_holds_walks_from_its_noise(tiny):
    batch = reflow.reflow_batch(tiny, 2, 3)
    x0, noise, t, words = batch(torch.Generator().manual_seed(0), 0)
    assert x0.shape == noise.shape == (2, 4, 16, 16) and words.shape == (2, 48, 128)
    straight = torch.nn.functional.cosine_similarity(x0.flatten(1), noise.flatten(1))
    assert straight.abs().max() < 0.5  # a picture, and no noise
    again = batch(torch.Generator().manual_seed(0), 1)
    assert torch.equal(again[0], x0)


def test_drawing_tiny_as_a_flow_is_eulers_walk_of_each(tiny):
    said = ["a red cat", "two blue stars"]
    found = flow.draw_as_flow(tiny, said, steps=2, seed=3)
    alone = flow.draw_as_flow(tiny, said[1:], steps=2, seed=4)
    assert_close(found[1:], alone, rtol=0, atol=1e-2)
