import pytest
import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel

from course_utils import models
from course_utils.methods import distillation as few
from course_utils.models import difference
from course_utils.recipes import (
    artifacts,
    distilling,
    few_scores,
    few_stages,
    recipe,
    tiny_lcm,
    tiny_lightning,
    tiny_taesd,
)
from course_utils.tiny.critics import Critic
from course_utils.training.captured import captured, graph_adam, train_timed


@pytest.fixture(scope="module")
def shelf():
    return distilling.encoded_shelf([distilling.drawn_scenes(8, 0)], "cpu")


@pytest.fixture(scope="module")
def chained(tmp_path_factory):
    """The whole recipe, one step a stage; its folders put together."""
    place = tmp_path_factory.mktemp("lightning")
    recipe.produce(
        tiny_lightning.tiny_lightning, place / "kept", place / "work", steps=1
    )
    base = models.path("tiny") / "unet"
    for name in ("8", "4", "2", "1"):
        difference.put_together(place / "kept" / name, base, place / name)
    return place


@pytest.mark.parametrize("name", ["8", "4", "2", "1"])
def test_plain_diffusers_loads_each_student(chained, name):
    unet = UNet2DConditionModel.from_pretrained(chained / name)
    said = unet(torch.zeros(1, 4, 16, 16), 999, torch.zeros(1, 48, 128)).sample
    assert said.shape == (1, 4, 16, 16) and said.isfinite().all()


def test_the_chain_leaves_a_card_and_one_log(chained):
    card = (chained / "kept" / "README.md").read_text(encoding="utf-8")
    assert "course train tiny-lightning" in card and "{" not in card
    rows = artifacts.read_log(chained / "work" / "log.csv")
    assert [row["step"] for row in rows] == list(range(1, 9))  # 3 stages have halves


def test_a_finished_chain_trains_nothing_again(chained, shelf):
    def keep(name, net):
        raise AssertionError(f"{name} was trained again")

    each = dict.fromkeys(tiny_lightning.STAGES, 1)
    work = chained / "work"
    found, _ = tiny_lightning.chain(shelf, keep, work=work, steps=each, n=2, paths=2)
    assert list(found) == ["8", "4", "2", "1"]


def test_what_says_clean_says_the_x0_that_v_meant(shelf):
    unet = shelf.pipe.unet
    x, t = shelf.noise(2), torch.full((2,), 999)
    x0 = few_stages.answer_x0(unet, x, t, shelf.words[:2].float())
    clean, _ = distilling.copied(unet)
    tiny_lightning.says_clean(clean)
    with torch.no_grad():
        said = clean(x, t, shelf.words[:2].float()).sample
    torch.testing.assert_close(said, x0, atol=0.05, rtol=0)


def test_the_critic_sees_what_the_teacher_sees(shelf):
    unet, seen = shelf.pipe.unet, []
    hook = unet.mid_block.register_forward_hook(lambda *x: seen.append(x[-1]))
    x, t, words = shelf.noise(2), torch.tensor([999, 249]), shelf.words[:2].float()
    with torch.no_grad():
        unet(x, t, words)
        maps = Critic(unet).depths(x, t, words)
    hook.remove()
    torch.testing.assert_close(maps[-1], seen[0])
    assert [tuple(m.shape[1:]) for m in maps[:3]] == [
        (64, 16, 16), (96, 8, 8), (128, 4, 4)
    ]  # fmt: skip


def test_a_critic_that_may_look_at_where_it_came_from_says_something_else(shelf):
    critic = Critic(shelf.pipe.unet).eval()
    x, t, words = shelf.noise(2), torch.tensor([499, 499]), shelf.words[:2].float()
    with torch.no_grad():
        alone = critic(x, t, words)
        beside = critic(x, t, words, critic.depths(x, t, words))
    assert not torch.allclose(alone[0], beside[0])


def test_a_path_ends_where_eulers_pipeline_ends(shelf):
    x, words = shelf.noise(1), shelf.words[:1].float()
    path = few_stages.path_of(shelf, shelf.pipe.unet, x, words, [999, 499, -1])
    assert path.shape == (1, 3, 4, 16, 16)
    torch.testing.assert_close(path[:, 0], x)


def test_pairs_of_a_path_stand_at_the_students_steps(shelf):
    paths = few_stages.walked_paths(shelf, shelf.pipe.unet, 8, 2)
    assert paths[0].shape == (2, 9, 4, 16, 16)
    draw = few_stages.convincing_draws(shelf, paths, 2, 16, noisy=True)
    _, _, _, t, s, to, _, _ = draw()
    assert set(zip(t.tolist(), s.tolist(), strict=True)) <= {(999, 499), (499, -1)}
    assert ((to >= s) & (to <= t)).all() and (to > s).any()


def test_the_guidance_that_is_told_says_nothing_at_first(shelf):
    told = tiny_lcm.told_guidance(shelf.pipe.unet).eval()
    x, words = shelf.noise(1), shelf.words[:1].float()
    w = few.scale_embedding(torch.tensor([2.0]), tiny_lcm.WIDTH)
    with torch.no_grad():
        ours = told(x, 499, words, timestep_cond=w).sample
        torch.testing.assert_close(ours, shelf.pipe.unet(x, 499, words).sample)


def test_a_consistency_model_is_made_and_loads(tmp_path):
    kept, work = tmp_path / "kept", tmp_path / "work"
    recipe.produce(tiny_lcm.tiny_lcm, kept, work, steps=1)
    difference.put_together(kept, models.path("tiny") / "unet", tmp_path / "whole")
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "whole")
    assert unet.config.time_cond_proj_dim == tiny_lcm.WIDTH


def test_a_small_decoder_is_made_and_loads(tmp_path):
    kept, work = tmp_path / "kept", tmp_path / "work"
    recipe.produce(tiny_taesd.tiny_taesd, kept, work, steps=2)
    vae = AutoencoderTiny.from_pretrained(kept)
    assert vae.decode(torch.zeros(1, 4, 16, 16)).sample.shape == (1, 3, 64, 64)


def test_an_exam_says_what_is_right(shelf):
    found = few_scores.exam(shelf, 2)
    assert found.line("4", shelf.pipe.unet).startswith("all ")
    assert "dB" in found.line("taesd", tiny_taesd.build_taesd())


def test_a_training_by_the_clock_ends(tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Linear(1, 1)
    optimizer = graph_adam([net], 0.1)

    def step(x):
        loss = (net(x) - 3 * x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    assert captured(step, [torch.ones(1, 1)]) is step  # no GPU, nothing recorded
    log = tmp_path / "log.csv"
    draw = lambda: (torch.randn(8, 1),)  # noqa: E731
    done = train_timed(step, draw, [optimizer], steps=200, log=log)
    assert done == 200 and net.weight.item() == pytest.approx(3, abs=0.1)
    assert artifacts.read_log(log)[-1]["step"] == 200
    assert train_timed(step, draw, [optimizer], seconds=0.05) > 0
    with pytest.raises(ValueError, match="give steps or seconds"):
        train_timed(step, draw, [optimizer])


def test_a_loss_that_is_no_number_ends_it():
    net = torch.nn.Linear(1, 1)
    optimizer = graph_adam([net], 0.1)
    with pytest.raises(FloatingPointError, match="the loss is"):
        train_timed(
            lambda x: x.sum() * torch.nan,
            lambda: (torch.ones(1),),
            [optimizer],
            steps=1,
        )
