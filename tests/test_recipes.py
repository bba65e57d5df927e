import json
import re

import pytest
import torch
from safetensors.torch import load_file

from course_utils import data, measure, models, recipes
from course_utils.recipes import artifacts, classifiers


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The digits' recipe, tried for 100 steps."""
    place = tmp_path_factory.mktemp("recipes")
    folder = recipes.train(
        "judge-digits", into=place / "out", work=place / "work", steps=100
    )
    return place, folder


def test_every_shipped_weight_has_a_recipe():
    assert set(models.verify()) <= set(recipes.NAMES)


def test_a_recipe_writes_a_weight_that_works(tried):
    _, folder = tried
    config = json.loads((folder / "config.json").read_text())
    judge = measure.build("digits", load_file(folder / "model.safetensors"), config)
    assert judge.accuracy(*data.load("digits", "test")) > 0.5
    assert config["held_out_accuracy"] == pytest.approx(
        judge.accuracy(*data.load("digits", "test")), abs=1e-4
    )


def test_a_recipe_writes_its_card_and_its_log(tried):
    _, folder = tried
    card = (folder / "README.md").read_text()
    assert "# judge-digits" in card and "100 steps of 128" in card
    assert not re.search(r"\{\w+\}|COST", card)  # no blank left
    lines = (folder / "log.csv").read_text().splitlines()
    assert lines[0] == "step,loss,seconds"
    assert [line.split(",")[0] for line in lines[1:]] == ["50", "100"]
    assert float(lines[2].split(",")[1]) < float(lines[1].split(",")[1])


def test_weights_are_stored_in_half_precision(tried):
    _, folder = tried
    kinds = {x.dtype for x in load_file(folder / "model.safetensors").values()}
    assert kinds == {torch.float16, torch.int64}  # the counters of the batch norms


def test_a_finished_run_that_is_repeated_gives_the_same_files(tried):
    place, folder = tried
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    recipes.train("judge-digits", into=folder, work=place / "work", steps=100)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_trial_elsewhere_leaves_the_shipped_weights_alone(tried):
    assert models.verify()["judge-digits"] == "ok"


def test_an_unknown_recipe_lists_what_there_is():
    with pytest.raises(ValueError, match="one of judge-digits, .*, not 'x'"):
        recipes.train("x")


def test_augmentation_depends_on_nothing_but_its_generator():
    train = data.load("digits")
    draws = [
        classifiers.augmented(train, 16, torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    torch.testing.assert_close(draws[0], draws[1])


def test_augmented_digits_stay_digits():
    train = data.load("digits")
    generator = torch.Generator().manual_seed(0)
    images, labels = classifiers.augmented(train, 300, generator)
    assert images.shape == (300, 1, 8, 8)
    judge = measure.judge("digits")
    assert judge.accuracy(images.clamp(-1, 1), labels) > 0.98


def test_a_log_goes_on_where_it_stopped(tmp_path):
    from course_utils.training import State

    model = torch.nn.Linear(1, 1)
    first = [State(i, 1.0, 0.1, model, model) for i in range(1, 76)]  # killed at 75
    again = [State(i, 1.0, 0.1, model, model) for i in range(51, 101)]
    artifacts.follow(iter(first), tmp_path)
    artifacts.follow(iter(again), tmp_path)
    log = artifacts.read_log(tmp_path / "log.csv")
    assert [(row["step"], row["loss"]) for row in log] == [(50, 1.0), (100, 1.0)]
    assert log[1]["seconds"] >= log[0]["seconds"]
