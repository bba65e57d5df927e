"""The garments: both recipes on a few steps, and what the shipped networks draw."""

import json
import math
import re
import shutil

import pytest
import torch

from course_utils import data, diffusion, measure, models, recipes, schedules
from course_utils.methods import gan
from course_utils.networks import UNet
from course_utils.recipes import garments, garments_ddpm, garments_gan

NAMES = "garments-ddpm", "garments-gan"


@pytest.fixture(scope="module", params=NAMES)
def tried(request, tmp_path_factory):
    """A recipe, tried for three steps: its name and its folder."""
    place, patch = tmp_path_factory.mktemp("garments"), pytest.MonkeyPatch()
    with patch.context() as few:
        few.setattr(garments, "SCORED", 40)  # as many as tiny-FID needs
        few.setattr(garments_ddpm, "WALK", 2)
        few.setattr(garments_ddpm, "BATCH", 8)
        few.setattr(garments_gan, "CHAPTER", 2)
        folder = recipes.train(
            request.param, into=place / "out", work=place / "work", steps=3
        )
    return request.param, folder


def test_three_steps_leave_a_network_with_a_card(tried):
    name, folder = tried
    card = (folder / "README.md").read_text("utf-8")
    assert f"# {name}" in card and ("3 steps" in card or "3 turns" in card)
    assert not re.search(r"\{\w*\}", card)  # no blank left
    scores = json.loads((folder / "config.json").read_text("utf-8"))["scores"]
    assert all(math.isfinite(x) for x in scores.values())
    assert scores["tiny_fid_real"] < scores["tiny_fid"]


def test_what_a_recipe_leaves_is_loaded_by_name(tried, tmp_path, monkeypatch):
    name, folder = tried
    shutil.copytree(folder, tmp_path / name)
    monkeypatch.setattr(models.shipped, "SHELVES", (tmp_path,))
    models.write_sums(name)
    network = models.network(name)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    models.shipped._verified.cache_clear()


def test_a_batch_leaves_out_a_tenth_of_the_classes(monkeypatch):
    monkeypatch.setattr(garments_ddpm, "BATCH", 4000)
    pictures = data.load("fashion", "test")
    draws = [
        garments_ddpm.batch(pictures, torch.Generator().manual_seed(0)) for _ in "ab"
    ]
    torch.testing.assert_close(*draws)
    x0, t, noise, labels = draws[0]
    assert x0.shape == noise.shape == (4000, 1, 28, 28) and t.max() < 1000
    assert (labels == 10).float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_a_game_that_was_killed_ends_as_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(garments_gan, "CHAPTER", 1)
    monkeypatch.setattr(garments_gan, "BATCH", 4)
    real, weights = data.load("fashion", "test").images, []
    for killed in (False, True):
        work = tmp_path / str(killed)
        run = garments_gan.play_in_chapters(real, work, steps=2, seed=0)
        if killed:
            next(run), next(run)  # dies in the second chapter
            run = garments_gan.play_in_chapters(real, work, steps=2, seed=0)
        *_, state = run
        weights.append(state.ema.state_dict())
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def test_a_game_of_another_seed_is_no_part_of_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr(garments_gan, "BATCH", 4)
    real = data.load("fashion", "test").images
    *_, _ = garments_gan.play_in_chapters(real, tmp_path, steps=1, seed=0)
    with pytest.raises(ValueError, match="was made with seed=0, not with seed=1"):
        next(garments_gan.play_in_chapters(real, tmp_path, steps=1, seed=1))


def test_the_nearest_of_copies_is_at_distance_zero():
    some = data.load("fashion", "test").images[:50]
    assert garments.nearest_distance(some[:5], some).max() < 1e-3
    assert garments.nearest_distance(some[:1], -some[:1]) == pytest.approx(
        2 * some[0].square().mean().sqrt().item(), rel=1e-4
    )


# --- what is shipped ---------------------------------------------------------------


def test_the_shipped_networks_are_those_of_the_lessons():
    unet, generator = map(models.network, NAMES)
    assert isinstance(unet, UNet) and isinstance(generator, gan.Generator)
    sizes = [(models.path(n) / "model.safetensors").stat().st_size for n in NAMES]
    assert sum(sizes) < 5_000_000


def test_a_pipeline_is_no_plain_network():
    with pytest.raises(ValueError, match="is no plain network"):
        models.network("tiny-pixel")


def test_the_cards_meet_the_bar():
    for name in NAMES:
        config = json.loads((models.path(name) / "config.json").read_text("utf-8"))
        scores = config["scores"]
        assert scores["n"] == 1000 and scores["classes"] == 10
        assert scores["nearest"] > 0.8 * scores["nearest_real"]  # nothing is copied
        if name == "garments-ddpm":
            assert scores["tiny_fid"] <= 3 * scores["tiny_fid_real"]


def test_every_class_that_is_asked_for_is_drawn():
    labels, judge = torch.arange(40) % 10, measure.judge("fashion")
    made = garments_ddpm.draw_classes(models.network("garments-ddpm"), labels, seed=1)
    assert made.shape == (40, 1, 28, 28) and made.abs().max() <= 1
    assert judge.accuracy(made, labels) > 0.75
    assert len(set(judge.labels(made).tolist())) == 10


def test_the_gan_reaches_every_class_and_is_near_garments():
    z = torch.randn(500, 64, generator=torch.Generator().manual_seed(1))
    made, judge = models.network("garments-gan")(z), measure.judge("fashion")
    assert judge.opinion(made)["classes"] == 10
    report = judge.report(made)
    assert report["tiny_fid"] < 0.1 * report["tiny_fid_noise"]


def test_lesson_06_draws_garments_by_its_own_lines():
    unet = models.network("garments-ddpm")
    x_T = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    made = diffusion.sample(
        unet, x_T, schedules.cosine(1000), num_steps=25, clip=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    static = garments.nearest_distance(x_T.tanh(), data.load("fashion").images)
    near = garments.nearest_distance(made, data.load("fashion").images)
    assert near.mean() < static.mean() / 2  # held-out ones: 0.28 of 0.71
