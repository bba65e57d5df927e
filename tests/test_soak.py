"""What is killed at any moment ends as if it had not been, and a course can run on."""

import json
import os
import re
import sys

import pytest
from safetensors.torch import save_file

from course_utils.commands import killed, soak

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@forks
def test_a_training_killed_at_any_moment_ends_as_the_undisturbed_one():
    assert [*killed.kill(killed.tiny_training, 8, seed=1)] == []


@forks
def test_a_run_of_lessons_killed_at_any_moment_is_whole_when_it_is_said_again():
    assert [*killed.kill(killed.tiny_lesson, 1)] == []


def careless(place):
    """Writes its weight in two halves, the card between them, and believes the card."""
    import time

    card, weight = place / "out" / "README.md", place / "out" / "model.safetensors"
    card.parent.mkdir(exist_ok=True)
    (place / "work").mkdir(exist_ok=True)
    (place / "work" / "progress.jsonl").write_text('{"step": 1, "mean": 2}\n')
    if card.exists():
        return
    card.write_text("# Made")
    time.sleep(0.3)
    save_file({"x": killed.torch.zeros(3)}, weight)


@forks
def test_work_that_believes_in_half_a_file_is_found_out():
    found = [*killed.kill(careless, 6, again=1)]
    assert found and all("cannot be read" in line for line in found)


ROW = dict(lesson="05_x", seed=1, seconds=1.0, peak_mb=500, own_mb=90.0, error="")
ROW |= dict(files=[])


@pytest.mark.parametrize(
    "rows, words",
    [
        ([ROW] * 6, []),
        ([ROW, ROW | dict(error="cell [3]: 1 / 0"), ROW], ["FAILED cell .3.: 1 / 0"]),
        ([ROW, ROW | dict(files=["/home/x"])], ["LEFT /home/x"]),
        ([ROW | dict(own_mb=90.0 + 20 * k) for k in range(6)], ["own memory grew"]),
        ([ROW, ROW, ROW | dict(peak_mb=800)], ["05_x: its peak grew, 500, 500, 800"]),
    ],
)
def test_what_gives_way_is_said(rows, words):
    found = soak.found_wrong(rows)
    assert len(found) == len(words)
    assert all(re.search(word, line) for word, line in zip(words, found, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc to give back")
def test_own_memory_is_what_is_held_and_not_what_was_freed():
    before = soak.own_mb()
    held = [bytes([k % 256]) * 2000 for k in range(50_000)]
    assert soak.own_mb() > before + 80
    del held
    assert soak.own_mb() < before + 30


def test_a_soak_finds_the_run_that_leaves_a_file(notebook, tmp_path, monkeypatch):
    path = notebook("05_litter", "if seed % 2: open('litter.txt', 'w').close()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(soak.random.Random, "randrange", lambda *_: 7)
    assert soak.soak(times=1) is False
    [row] = json.loads((tmp_path / "build/soak/soak.json").read_text())
    assert row["files"] == [str(path.with_name("litter.txt"))] and not row["error"]
    with pytest.raises(ValueError, match="times must be a whole number from 1 on"):
        soak.soak(times=-1)


def test_lessons_come_in_random_order_and_none_twice_before_all_have(
    notebook, tmp_path, monkeypatch
):
    for number in ("05", "06", "07"):
        notebook(f"{number}_x", "1")
    monkeypatch.chdir(tmp_path)
    plan = [path.stem for path in soak.in_random_order((), 7, soak.random.Random(0))]
    assert sorted(plan[:3]) == sorted(plan[3:6]) == ["05_x", "06_x", "07_x"]
