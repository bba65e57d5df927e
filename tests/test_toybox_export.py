"""The exported folder is an imagefolder that says the same as the toybox."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import toybox


def test_a_folder_holds_pictures_and_their_words(tmp_path):
    place = toybox.export(tmp_path, 5, split="test", seed=7)
    rows = [json.loads(line) for line in open(place / "metadata.jsonl")]
    assert place == tmp_path / "test"
    assert [row["file_name"] for row in rows] == [f"{k:06d}.png" for k in range(5)]
    rng = np.random.default_rng(7)
    for row, scene in zip(
        rows, [toybox.sample(rng, "test") for _ in rows], strict=True
    ):
        assert toybox.parse(row["caption"]) == scene.attributes
        assert row["caption"] == scene.caption and row["ground"] == scene.ground
        assert toybox.parse(row["text"])["toy"] == row["toy"]
        picture = torch.tensor(np.array(Image.open(place / row["file_name"])))
        expected = (toybox.render([scene])[0] + 1) * 127.5
        assert (picture.permute(2, 0, 1) - expected).abs().max() <= 0.51


def test_the_same_seed_writes_the_same_folder(tmp_path):
    one, other = (toybox.export(tmp_path / name, 3, seed=1) for name in "ab")
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_an_empty_export_is_refused(tmp_path):
    with pytest.raises(ValueError, match="n=0: export at least one picture"):
        toybox.export(tmp_path, 0)
