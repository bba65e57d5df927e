"""The view-aware branch of tiny and the reader of views, tried for two steps."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from course_utils import models, oracle, recipes, toybox
from course_utils.models import difference
from course_utils.models.pipelines import draw
from course_utils.oracle.views import ASKED, ViewReader
from course_utils.recipes import tiny_views, view_reader
from course_utils.tiny.views import seen_toys, stays, varied_light, view_batch
from course_utils.toybox import Camera, Solid


@pytest.fixture
def few(monkeypatch):
    """Small albums, so that two steps take seconds."""
    monkeypatch.setattr(view_reader, "ALBUM", 32)
    monkeypatch.setattr(tiny_views, "ALBUM", 8)
    monkeypatch.setattr(tiny_views, "SMALL", ((2, 4), (2, 4)))
    monkeypatch.setattr(tiny_views, "HELD", 4)


def test_two_steps_of_tiny_views_leave_a_difference_that_plain_diffusers_draws_with(
    few, tmp_path
):
    options = dict(work=tmp_path / "w", steps=2, small=True)
    kept = recipes.train("tiny-views", into=tmp_path / "kept", **options)
    assert sum(f.stat().st_size for f in kept.rglob("*") if f.is_file()) < 6.2e6
    weights = load_file(kept / "unet" / "diffusion_pytorch_model.safetensors")
    assert weights["up_blocks.0.resnets.0.conv1.weight"].dtype == torch.int8
    assert "mid_block.resnets.0.conv1.weight.same" in weights
    difference.put_together(kept, models.path("tiny"), tmp_path / "whole")
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "whole")
    assert draw(pipe, ["back view of a red car"], 2).shape == (1, 3, 64, 64)
    assert "Licence" in (kept / "README.md").read_text("utf-8")


def test_two_steps_of_view_reader_leave_a_card(few, tmp_path):
    options = dict(work=tmp_path / "w", steps=2)
    kept = recipes.train("view-reader", into=tmp_path / "kept", **options)
    net = models.network(kept, ViewReader)
    said = oracle.read_views(
        toybox.render_solids([Solid("car", "red")], [Camera()]), net
    )
    assert said["toy"][0] in ASKED["toy"] and -180 <= said["azimuth"][0] <= 180
    assert "course train view-reader" in (kept / "README.md").read_text("utf-8")


def test_half_of_the_captions_say_from_where_and_they_are_right():
    toys, views, said = seen_toys(600, np.random.default_rng(0))
    told = ["view" in text for text in said]
    assert 0.42 < np.mean(told) < 0.58
    for toy, view, text, tells in zip(toys, views, said, told, strict=True):
        assert toy.toy in text
        assert not tells or view.word in text
    untold = [v.word for v, tells in zip(views, told, strict=True) if not tells]
    assert 0.6 < untold.count("front") / len(untold) < 0.8


def test_lights_are_unit_vectors_and_some_pictures_have_no_shade():
    light, ambient = varied_light([Camera()] * 300, np.random.default_rng(0))
    torch.testing.assert_close(light.norm(dim=1), torch.ones(300))
    assert 0.07 < np.mean(np.array(ambient) == 1) < 0.22


def test_batches_depend_on_the_step_alone():
    batch = view_batch(
        lambda x: x[:, :, ::4, ::4].repeat(1, 2, 1, 1)[:, :4],
        lambda said: torch.tensor([len(text) for text in said]),
        8,
        16,
    )
    rows = [batch(torch.Generator().manual_seed(5), 3) for _ in range(2)]
    for a, b in zip(*rows, strict=True):
        assert torch.equal(a, b)
    x_t, v, t, words = rows[0]
    assert x_t.shape == v.shape == (8, 4, 16, 16) and t.shape == words.shape == (8,)


def test_what_looks_stays_and_what_draws_learns():
    assert stays("mid_block.resnets.0.conv1.weight")
    assert stays("down_blocks.1.downsamplers.0.conv.bias")
    for name in ("up_blocks.0.resnets.0.conv1.weight", "conv_in.weight"):
        assert not stays(name)
    assert not stays("down_blocks.1.attentions.0.proj_in.weight")


def test_the_reader_refuses_what_is_no_picture_of_its_size():
    with pytest.raises(ValueError, match=r"this judge reads \(N, 3, 64, 64\)"):
        oracle.read_views(torch.zeros(1, 3, 32, 32))


def test_the_shipped_reader_knows_a_front_from_a_back():
    rng = np.random.default_rng(77)
    toys, views = view_reader.any_toys(96, rng)
    said = oracle.read_views(toybox.render_solids(toys, views))
    assert np.mean([a == b.toy for a, b in zip(said["toy"], toys, strict=True)]) > 0.97
    right = [a == b.word for a, b in zip(said["view"], views, strict=True)]
    assert np.mean(right) > 0.93
    off = [
        abs((a - v.azimuth + 180) % 360 - 180)
        for a, v in zip(said["azimuth"], views, strict=True)
        if v.word != "overhead"
    ]
    assert np.median(off) < 8


def test_the_shipped_branch_draws_the_side_that_is_asked_for():
    pipe = models.load("text-to-image", "tiny-views")
    toys, words = tiny_views.view_prompts(1)
    toys, words = toys[::9], words[::9]
    asked = [
        toybox.view_caption(toy, word) for toy, word in zip(toys, words, strict=True)
    ]
    found = tiny_views.view_rows(draw(pipe, asked, 10), toys, words)
    assert found["view"] > 0.8 and found["toy"] > 0.8
