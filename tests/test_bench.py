import json

import pytest
import torch

from course_utils import measure, oracle, toybox
from course_utils.measure import bench
from course_utils.models.pipelines import draw, round_trip
from course_utils.recipes import vae
from course_utils.tiny import pipelines, text, unet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pipeline that has learnt nothing."""
    torch.manual_seed(0)
    tokenizer = text.build_tokenizer()
    model = unet.Trunk(unet.build_unet(), text.build_text_encoder(tokenizer), 6)
    place = tmp_path_factory.mktemp("bench") / "fresh"
    pipelines.save(pipelines.pipeline(model, vae.build_vae(), tokenizer), place)
    return place


@pytest.fixture
def reader(monkeypatch):
    torch.manual_seed(0)
    net = oracle.Reader(width=4).eval().requires_grad_(False)
    monkeypatch.setattr(oracle.reading, "reader", lambda: net)


@pytest.mark.parametrize("task", bench.TASKS)
def test_scenes_are_held_out_and_of_their_kind(task):
    scenes = bench.scenes_for(task, 20)
    assert scenes == bench.scenes_for(task, 20)
    assert {s.split for s in scenes} == {"unseen" if task == "unseen" else "test"}
    alike = [len(set(s.attributes["toy"])) == 1 for s in scenes]
    counts = {len(s.things) for s in scenes}
    assert all(alike) == (task in ("one_toy", "unseen", "counts"))
    assert counts == {"two_toys": {2}, "three_toys": {3}, "counts": {2, 3}}.get(
        task, {1}
    )


def test_a_bench_leaves_rows_like_those_of_scores(folder, reader, tmp_path, capsys):
    file = tmp_path / "deep" / "tiny.json"
    rows = bench.text_to_image(folder, n=2, steps=2, into=file)
    assert json.loads(file.read_text()) == rows
    keys = "lesson metric value floor ceiling seeds n better run method".split()
    assert all(set(row) == set(keys) for row in rows)
    methods = {row["method"] for row in rows}
    assert methods == {"fresh", "other_picture", "round_trip", "render"}
    own = {row["metric"]: row for row in rows if row["method"] == "fresh"}
    for task in bench.TASKS:
        assert 0 <= own[f"{task}_all"]["value"] <= 1
    assert {"two_toys_bound", "counts_bound"} < set(own) and "one_toy_bound" not in own
    assert own["network_rows"]["value"] == 2 * 2  # guidance asks twice a step
    assert own["seconds_in_1"]["value"] > 0 and own["megabytes"]["value"] > 10
    said = capsys.readouterr().out
    assert "three toys" in said and "round_trip" in said and "megabytes" in said


def test_a_pictures_noise_does_not_depend_on_the_others(folder):
    from course_utils import models

    pipe = models.load("text-to-image", folder)
    pipe.set_progress_bar_config(disable=True)
    said = ["a red cat", "a blue car", "a star"]
    three = draw(pipe, said, steps=2)
    assert three.shape == (3, 3, 64, 64) and three.abs().max() <= 1
    torch.testing.assert_close(
        draw(pipe, said[:2], steps=2), three[:2], atol=1e-4, rtol=0
    )


def test_colours_that_moved_to_the_wrong_toy_are_not_bound(monkeypatch):
    from test_oracle import Knower, pictures

    def pair(first, second):
        left = toybox.Thing("cat", first, place="left")
        return toybox.Scene((left, toybox.Thing("car", second, place="right")))

    asked, right, moved = pair("red", "blue"), pair("red", "blue"), pair("blue", "red")
    monkeypatch.setattr(oracle.reading, "reader", lambda: Knower([right, moved]))
    found = measure.grades(pictures(2), [asked, asked])
    assert found["bound"] == found["all"] == 0.5 and found["toy"] == 1


def test_a_round_trip_keeps_shape_and_range():
    images = toybox.render(bench.scenes_for("one_toy", 3))
    again = round_trip(vae.build_vae(), images)
    assert again.shape == images.shape and again.abs().max() <= 1


def test_columns_are_as_wide_as_their_titles():
    said = bench.in_columns({"tiny": {"all": 0.5}, "other_picture": {"toy": 1}})
    title, first, second = said.splitlines()
    assert len(title) == len(first) == len(second)
    assert first.split() == ["all", "0.500"] and second.split() == ["toy", "1.000"]


def test_a_model_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'nothing' is no model of the course"):
        bench.text_to_image("nothing", n=2)
