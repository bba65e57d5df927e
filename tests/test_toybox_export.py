"""The exported folder is an imagefolder that says the same as the toybox."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import toybox
from course_utils.toybox.conditions import SEGMENT_COLOURS, coloured_segments


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


def rows_of(place):
    return [json.loads(line) for line in open(place / "metadata.jsonl")]


def pixels(path):
    return torch.tensor(np.array(Image.open(path))).permute(2, 0, 1).float()


def test_conditions_are_columns_of_pictures(tmp_path):
    names = ["edges", "scribble", "segmentation", "pose", "depth"]
    place = toybox.export(tmp_path, 4, conditions=names, toy="doll", things=1)
    for row in rows_of(place):
        for name in names:
            shown = pixels(place / row[f"{name}_file_name"])
            assert shown.shape == (3, 64, 64) and 0 < (shown > 0).float().mean() < 0.6


def test_a_condition_is_of_its_own_picture(tmp_path):
    place = toybox.export(tmp_path, 6, split="test", seed=7, conditions="edges")
    rng = np.random.default_rng(7)
    some = [toybox.sample(rng, "test") for _ in range(6)]
    for row, edges in zip(rows_of(place), toybox.edges(some), strict=True):
        shown = pixels(place / row["edges_file_name"])
        assert (shown - 255 * edges).abs().max() <= 0.51


def test_segments_have_a_colour_for_each_kind_of_toy():
    colours = SEGMENT_COLOURS
    assert len(set(colours)) == len(colours) == 1 + len(toybox.ATTRIBUTES["toy"])
    cat, car = (toybox.Scene([toybox.Thing(t, "red")]) for t in ("cat", "car"))
    one, other = coloured_segments([cat, car])
    assert (one[:, 32, 32] != other[:, 32, 32]).any() and not one[:, 0, 0].any()


def test_edits_come_with_their_instruction_and_both_pictures(tmp_path):
    place = toybox.export(tmp_path, 8, edits=True)
    for row in rows_of(place):
        before = toybox.parse(row["caption"])
        after = toybox.parse(row["edited_caption"])
        kind = toybox.parse_edit(row["edit_prompt"]).attribute
        assert before != after and (kind in ("add", "remove") or kind in before)
        changed = pixels(place / row["edited_image_file_name"])
        assert (changed != pixels(place / row["file_name"])).any()


def test_edits_and_conditions_leave_pictures_and_words_as_they_are(tmp_path):
    bare = rows_of(toybox.export(tmp_path / "bare", 5))
    full = rows_of(toybox.export(tmp_path / "full", 5, conditions="pose", edits=True))
    for one, other in zip(bare, full, strict=True):
        assert one.items() <= other.items()


def test_all_rows_have_the_same_columns_of_the_same_types(tmp_path):
    rows = rows_of(toybox.export(tmp_path, 60))
    kinds = [{key: type(value) for key, value in row.items()} for row in rows]
    assert all(kind == kinds[0] for kind in kinds)
    assert all(isinstance(mood, str) for row in rows for mood in row["mood"])


def test_a_subjects_folder_holds_nothing_but_its_pictures(tmp_path):
    choices = dict(things=1, toy="cat", colour=toybox.HELD_OUT["cat"])
    place = toybox.export_pictures(tmp_path / "cat", 3, split="unseen", **choices)
    rng = np.random.default_rng(0)
    expected = toybox.render([toybox.sample(rng, "unseen", **choices) for _ in "abc"])
    files = sorted(place.iterdir())
    assert [file.name for file in files] == [f"{k:06d}.png" for k in range(3)]
    for file, picture in zip(files, expected, strict=True):
        assert (pixels(file) - (picture + 1) * 127.5).abs().max() <= 0.51


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(ValueError, match="n=0 must be a whole number"):
        toybox.export(tmp_path, 0)
    with pytest.raises(ValueError, match="no 'sketch'; there are edges, scribble"):
        toybox.export(tmp_path, 1, conditions=["sketch"])
    with pytest.raises(ValueError, match="conditions must be a list of names"):
        toybox.export(tmp_path, 1, conditions=None)
    toybox.export(tmp_path, 1)
    with pytest.raises(ValueError, match="is not empty; name another"):
        toybox.export(tmp_path, 1)
