"""The recipes of lesson 03: a few steps of each, and what they leave behind."""

import pytest
import torch

from course_utils import models, recipes
from course_utils.recipes import translators as painting
from course_utils.recipes import upscalers as enlarging
from course_utils.tiny.translators import build_translators
from course_utils.tiny.upscalers import build_upscalers

BUILD = {"upscalers": build_upscalers, "translators": build_translators}


@pytest.fixture(autouse=True)
def small_albums(monkeypatch):
    for room in (enlarging, painting):
        monkeypatch.setattr(room, "ALBUM", 16)
        monkeypatch.setattr(room, "BATCH", 4)


@pytest.mark.parametrize("name", BUILD)
def test_a_few_steps_leave_three_networks_and_a_card(name, tmp_path):
    folder = recipes.train(name, into=tmp_path / name, work=tmp_path / "w", steps=2)
    nets = models.network(folder, BUILD[name])
    assert len(nets) == 3 and not any(p.requires_grad for p in nets.parameters())
    card = (folder / "README.md").read_text("utf-8")
    assert f"# {name}" in card and "{" not in card
    assert (tmp_path / "w" / name / "then" / "state.safetensors").exists()
    first, *others = (torch.cat([p.flatten() for p in n.parameters()])
                      for n in nets.values())  # fmt: skip
    assert all(not torch.equal(first, other) for other in others)


@pytest.mark.parametrize("batch", [
    lambda: enlarging.snapshot_batch(3, 0), lambda: painting.pair_batch(0),
])  # fmt: skip
def test_a_step_draws_the_same_pictures_whenever_it_is_taken(batch):
    draws = [batch()(torch.Generator().manual_seed(7), 5) for _ in range(2)]
    assert all(map(torch.equal, *draws))
    other = batch()(torch.Generator().manual_seed(8), 6)
    assert not torch.equal(draws[0][0], other[0])
    assert draws[0][0].is_contiguous(memory_format=torch.channels_last)
