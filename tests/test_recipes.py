import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from course_utils import data, measure, models, recipes
from course_utils.recipes import artifacts, classifiers, recipe


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
    with pytest.raises(ValueError, match="one of alignment-encoder, .*, not 'x'"):
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
    with open(tmp_path / "log.csv", "a") as file:
        file.write("100,0.")  # torn
    artifacts.follow(iter(again), tmp_path)
    log = artifacts.read_log(tmp_path / "log.csv")
    assert [(row["step"], row["loss"]) for row in log] == [(50, 1.0), (100, 1.0)]
    assert log[1]["seconds"] >= log[0]["seconds"]


def test_a_run_that_begins_anew_begins_its_log_anew(tmp_path):
    from course_utils.training import State

    model = torch.nn.Linear(1, 1)
    (tmp_path / "log.csv").write_text("50,9.0,1000.0\n100,8.0,2000.0\n")
    run = (State(i, 2.0, 0.1, model, model) for i in range(1, 101))
    artifacts.follow(run, tmp_path)
    log = artifacts.read_log(tmp_path / "log.csv")
    assert [(row["step"], row["loss"]) for row in log] == [(50, 2.0), (100, 2.0)]
    assert log[-1]["seconds"] < 1000


BAD_ROWS = [
    "step,loss,seconds",
    "50,0.1",
    "a line of text",
    "nan,1,1",
    "\x00",
    "{",
    "[]",
]


@pytest.mark.parametrize("line", BAD_ROWS)
def test_a_damaged_line_of_a_log_stops_no_training(tmp_path, line, capsys):
    from course_utils.training import State

    model, log = torch.nn.Linear(1, 1), tmp_path / "log.csv"
    damaged = f"50,0.1,3.0\r\n{line}\r\n100,0.2,6.0\r\n".encode()
    log.write_bytes(damaged)  # saved by an editor on Windows, too
    again = (State(i, 1.0, 0.1, model, model) for i in range(101, 151))
    artifacts.follow(again, tmp_path)
    assert [row["step"] for row in artifacts.read_log(log)] == [50, 100, 150]
    said = capsys.readouterr().out
    assert "line 2 cannot be read and is left out; the file as it was is kept" in said
    assert (tmp_path / "log.csv.damaged").read_bytes() == damaged
    assert b"\r" not in log.read_bytes()


@pytest.mark.parametrize("line", [*BAD_ROWS, '{"minutes": NaN, "step": 1}', '{"a": 1}'])
def test_a_damaged_line_of_the_progress_stops_no_training(tmp_path, line):
    from course_utils.recipes import monitor
    from course_utils.training import State

    model, log = torch.nn.Linear(1, 1), tmp_path / "progress.jsonl"
    log.write_text(f'{{"minutes": 7, "step": 1, "loss": 1}}\n{line}\n{{"min')
    states = (State(i, 1.0, 0.1, model, model) for i in (2, 3))
    assert len([*monitor.observed(states, lambda *_: ({}, []), tmp_path, 10)]) == 2
    rows = artifacts.read_progress(log)
    assert [row["step"] for row in rows] == [1, 3] and rows[-1]["minutes"] >= 7
    assert "after 7 min" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("steps", [0, -5, 1.5])
def test_steps_that_are_none_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be a whole number from 1 on"):
        recipes.train("oracle", steps=steps)


@pytest.mark.parametrize("other", [dict(steps=99), dict(steps=100, seed=1)])
def test_a_finished_training_is_not_taken_for_another(tried, other):
    place, folder = tried
    before = (folder / "README.md").read_text()
    with pytest.raises(ValueError, match="was made with .* delete it to start afresh"):
        recipes.train("judge-digits", into=folder, work=place / "work", **other)
    assert (folder / "README.md").read_text() == before


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Two shipped weights in a place of their own, with their sums."""
    real = models.shipped.SHELVES[0]
    for name in ("judge-digits", "oracle"):
        shutil.copytree(real / name, tmp_path / "shelf" / name)
    sums = (real / "SHA256SUMS").read_text().splitlines(keepends=True)
    kept = [x for x in sums if x.split("  ")[1].startswith(("judge-digits", "oracle"))]
    (tmp_path / "shelf" / "SHA256SUMS").write_text("".join(kept))
    monkeypatch.setattr(models.shipped, "SHELVES", (tmp_path / "shelf",))
    return tmp_path / "shelf"


def test_a_training_does_not_make_another_damaged_weight_good(shelf, tmp_path):
    (shelf / "oracle" / "config.json").write_text("{}")
    recipes.train("judge-digits", work=tmp_path / "work", steps=2)
    states = models.verify()
    assert states["judge-digits"] == "ok" and "damaged" in states["oracle"]


def never(**_):
    raise AssertionError("it trained")


@pytest.mark.parametrize("blocked", ["into", "work"])
def test_a_folder_that_is_none_is_noticed_first(tmp_path, blocked, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setitem(recipes.RECIPES, "oracle", never)
    places = dict(into=tmp_path / "out", work=tmp_path / "work")
    places[blocked] = tmp_path / "file" / "below"
    with pytest.raises(ValueError, match="cannot be written"):
        recipes.train("oracle", **places)


def test_a_full_folder_is_noticed_first(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ValueError, match="No space left on device.*free some space"):
        recipe.produce(never, tmp_path / "out", tmp_path / "work")


def test_two_trainings_do_not_work_in_one_folder(tmp_path, monkeypatch):
    def again(**_):
        recipes.train("oracle", into=tmp_path / "out", work=tmp_path)

    monkeypatch.setitem(recipes.RECIPES, "oracle", again)
    with pytest.raises(ValueError, match=r"in use \(course train again, process \d+"):
        again()


def test_a_ctrl_c_says_how_to_go_on(tmp_path, capsys):
    def interrupted(**_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe.produce(interrupted, tmp_path / "out", tmp_path / "work")
    assert "the same command goes on from what" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_a_ctrl_c_in_a_training_leaves_nothing_in_the_temporary_folder(tmp_path):
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from course_utils import recipes\n"
    code += "recipes.train('judge-digits', into='out', work='work')"
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "step     50" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert "the same command goes on from" in said and process.returncode != 0
    assert not list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "out").iterdir())


def test_two_processes_make_one_weight(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from course_utils import recipes\n"
        "recipes.train('judge-digits', into='out', work='work', steps=50)\n"
    )
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, "-m", *launch, script],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("step     50") == 1
    assert "50 steps of 128" in (tmp_path / "out" / "README.md").read_text()


def test_each_recipe_has_the_name_of_its_weight():
    assert all(recipe.name_of(make) == name for name, make in recipes.RECIPES.items())
