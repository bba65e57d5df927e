"""Recipes of what lets a picture dance, tried for two steps."""

import numpy as np
import torch

from course_utils import recipes, toybox
from course_utils.tiny.dancers import dancing_batch, some_dance


def test_the_dancers_pointer_is_saved_and_says_what_it_scores(tmp_path):
    name = "dancer-pointer"
    folder = recipes.train(name, into=tmp_path, work=tmp_path / "w", steps=2)
    assert "held-out" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_picture_that_dances_is_tried_and_kept_in_three_parts(tmp_path):
    name = "tiny-animate"
    folder = recipes.train(name, into=tmp_path, work=tmp_path / "w", steps=2)
    kept = {part.name for part in folder.iterdir() if part.is_dir()} - {"w"}
    assert kept == {"pose", "look", "motion"}
    assert "nan" not in (folder / "README.md").read_text(encoding="utf-8")


def test_a_dance_shows_one_doll_in_other_poses():
    look, row = some_dance(np.random.default_rng(0), 5)
    assert len(row) == 5 and {scene.caption for scene in row} == {look.caption}
    poses = {scene.things[0].pose for scene in [look, *row]}
    assert len(poses) == 6


def test_a_batch_has_the_poses_of_its_frames_and_drops_look_and_words_together():
    def encode(images):
        return torch.nn.functional.avg_pool2d(images, 4)[:, [0, 1, 2, 0]]

    words = torch.ones(1, 3, 2), torch.zeros(1, 3, 2)
    batch = dancing_batch(encode, words, 2, 3, 8)
    kinds = set()
    for step in range(40):
        x0, noise, t, said, looks, poses = batch(torch.Generator().manual_seed(step), 0)
        assert x0.shape == noise.shape == (2, 4, 3, 16, 16) and t.shape == (2,)
        assert poses.shape == (2, 3, 3, 64, 64)
        assert 0 <= poses.min() and poses.max() <= 1
        assert bool(said.any()) == bool(looks.any())
        kinds.add(bool(said.any()))
    assert kinds == {True, False}
    assert toybox.DANCES
