import numpy as np
import pytest
import torch

from course_utils import measure, models, oracle, recipes, toybox
from course_utils.oracle import segmenter
from course_utils.recipes.segmenter import pictures_and_masks


def scenes(n, seed=0, **options):
    rng = np.random.default_rng(seed)
    return [toybox.sample(rng, **options) for _ in range(n)]


class Knower(torch.nn.Module):
    """A perfect segmenter of these scenes."""

    def __init__(self, some):
        super().__init__()
        self.truth = toybox.masks(some).any(1, keepdim=True)

    def forward(self, images):
        return self.truth.float() * 2 - 1


def test_a_logit_for_each_pixel():
    assert segmenter.Segmenter(4)(torch.zeros(2, 3, 64, 64)).shape == (2, 1, 64, 64)


def test_silhouettes_of_a_perfect_network_are_all_masks_together():
    some = scenes(5)
    found = segmenter.silhouettes(toybox.render(some), Knower(some))
    assert torch.equal(found, toybox.masks(some).any(1))


def test_masks_come_back_toy_by_toy():
    some = scenes(30)
    truth = toybox.masks(some)
    readings = [scene.attributes for scene in some]
    found = segmenter.toy_masks(toybox.render(some), readings, Knower(some))
    assert found.shape == truth.shape
    for b, scene in enumerate(some):
        for k in range(len(scene.things)):
            assert measure.iou(found[b, k][None], truth[b, k][None]) > 0.9


def test_a_picture_without_toys_has_no_masks():
    some = scenes(2)
    nothing = {"place": []}
    images, net = toybox.render(some), Knower(some)
    found = segmenter.toy_masks(images, [nothing, some[1].attributes], net)
    assert not found[0].any() and found[1].any()
    assert segmenter.toy_masks(images, [nothing] * 2, net).shape == (2, 0, 64, 64)


def test_wrong_pictures_are_refused():
    with pytest.raises(ValueError, match=r"reads \(N, 3, 64, 64\)"):
        segmenter.silhouettes(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="clamp"):
        segmenter.silhouettes(torch.full((1, 3, 64, 64), 2.0))


def test_targets_are_where_toys_are():
    images, truth = pictures_and_masks(8, 0, torch.Generator().manual_seed(3), 3)
    assert images.shape == (8, 3, 64, 64) and truth.shape == (8, 1, 64, 64)
    assert set(truth.unique().tolist()) == {0.0, 1.0}
    assert 0.02 < truth.mean() < 0.6


def test_the_recipe_runs_and_says_what_it_scores(tmp_path):
    folder = recipes.train(
        "segmenter", into=tmp_path / "to", work=tmp_path / "work", steps=2
    )
    said = (folder / "README.md").read_text(encoding="utf-8")
    assert "as drawn" in said and "COST" not in said
    assert (folder / "model.safetensors").exists()


def test_the_shipped_one_sees_held_out_toys():
    if "segmenter" not in models.verify():
        pytest.skip("not trained yet")
    some = scenes(100, seed=5, split="test")
    images = toybox.render(some)
    found = segmenter.silhouettes(images)
    assert measure.iou(found, toybox.masks(some).any(1)).mean() > 0.97
    apart = segmenter.toy_masks(images, oracle.read(images))
    assert apart.shape[0] == 100
