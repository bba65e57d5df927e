import pytest
import torch

from course_utils import diffusion, models, toybox
from course_utils.diffusion import ddim_step
from course_utils.methods.null_text import edit, null_text, pivots
from course_utils.methods.prompt_to_prompt import side_by_side
from course_utils.models.pipelines import encode, guided, plan_of

SCENES = [
    toybox.Scene([toybox.Thing("cat", "red", place="left")], "sand"),
    toybox.Scene([toybox.Thing("car", "blue", place="top")], "sea"),
]
BEFORE, AFTER = ["a red cat", "a blue car"], ["a red fish", "a green car"]
WALK = dict(steps=4, small=20)


@pytest.fixture(scope="module")
def pipe():
    return models.load("text-to-image", "tiny")


@pytest.fixture(scope="module")
def latents(pipe):
    return encode(pipe.vae, toybox.render(SCENES))


@pytest.fixture(scope="module")
def path(pipe, latents):
    return pivots(pipe, latents, BEFORE, **WALK)


def again(pipe, path, nothing=None, guidance=2.0):
    """Walk down a path: (B, 4, 16, 16)."""
    plan, predicts = plan_of(pipe)
    model = guided(pipe, BEFORE[: len(path[0][1])], guidance, nothing)
    steps = dict(timesteps=[t for t, _ in path], step=ddim_step, predicts=predicts)
    return diffusion.sample(model, path[0][1], plan, **steps)


def test_the_way_up_is_kept_where_the_walk_down_comes_by(path, latents):
    assert [t for t, _ in path] == [750, 500, 250, 0, -1]
    assert path[-1][1] is latents


def test_smaller_steps_up_are_ddims(pipe, latents):
    plan, predicts = plan_of(pipe)
    way = diffusion.solvers.inversion(
        guided(pipe, BEFORE), latents, plan, num_steps=4, predicts=predicts
    )
    ours = pivots(pipe, latents, BEFORE, 4, 4)
    for (t, x), (s, y) in zip(reversed(list(way)), ours, strict=True):
        assert t == s and torch.equal(x, y)


def test_it_brings_the_picture_back_under_guidance(pipe, path, latents):
    strayed = (again(pipe, path) - latents).square().mean()
    nothing = null_text(pipe, path, BEFORE, guidance=2.0, inner=5)
    back = (again(pipe, path, nothing) - latents).square().mean()
    assert back < strayed / 3


def test_without_a_step_the_empty_prompt_stays(pipe, path):
    nothing = null_text(pipe, path, BEFORE, guidance=2.0, inner=0)
    torch.testing.assert_close(again(pipe, path, nothing), again(pipe, path))


def test_what_is_near_enough_is_left(pipe, path):
    empty = null_text(pipe, path, BEFORE, guidance=2.0, inner=0)
    nothing = null_text(pipe, path, BEFORE, guidance=2.0, inner=2, enough=1e9)
    assert all(torch.equal(nothing[t], empty[t]) for t in empty)


def test_a_picture_does_not_know_of_the_others(pipe, path):
    together = null_text(pipe, path, BEFORE, guidance=2.0, inner=2)
    one = [(t, x[:1]) for t, x in path]
    alone = null_text(pipe, one, BEFORE[:1], guidance=2.0, inner=2)
    both = again(pipe, path, together)[:1], again(pipe, one, alone)
    torch.testing.assert_close(*both, atol=2e-3, rtol=2e-3)


def test_the_network_and_the_prompts_are_left_alone(pipe, path):
    before = {name: x.clone() for name, x in pipe.unet.state_dict().items()}
    null_text(pipe, path, BEFORE, guidance=2.0, inner=1)
    assert all(torch.equal(x, before[k]) for k, x in pipe.unet.state_dict().items())
    assert not any(x.grad is not None for x in pipe.text_encoder.parameters())


def test_the_first_of_a_pair_is_the_picture_itself(pipe, path):
    nothing = null_text(pipe, path, BEFORE, guidance=2.0, inner=5)
    first, second = side_by_side(
        pipe, BEFORE, AFTER, path[0][1], nothing=nothing, steps=4, guidance=2.0
    )
    torch.testing.assert_close(first, again(pipe, path, nothing), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(first, second, atol=0.1)


def test_an_edit_is_its_parts(pipe, path):
    images = toybox.render(SCENES)
    whole = edit(pipe, images, BEFORE, AFTER, steps=5, inner=1, self_=0.5)
    assert whole.shape == images.shape and whole.abs().max() <= 1
    one = edit(pipe, images[1:], BEFORE[1:], AFTER[1:], steps=5, inner=1, self_=0.5)
    assert (whole[1] - one[0]).abs().mean() < 0.01


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(images=None), "images must be a torch.Tensor"),
        (dict(before=["a cat"], after=["a dog"]), "2 images need as many prompts"),
        (dict(after=AFTER[0]), "before and after must be two lists"),
        (dict(steps=7), "small=50 steps must visit all that steps=7 visit"),
        (dict(inner=-1), "inner=-1 must be a whole number"),
        (dict(guidance=1.0), "guidance=1.0"),
        (dict(cross=2), "cross=2 must be in"),
    ],
)
def test_what_cannot_be_is_refused(pipe, wrong, message):
    said = dict(images=toybox.render(SCENES), before=BEFORE, after=AFTER) | wrong
    three = [said.pop(name) for name in ("images", "before", "after")]
    with pytest.raises(ValueError, match=message):
        edit(pipe, *three, **said)
