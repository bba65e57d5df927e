"""Every lesson, alone in an empty folder, at size quick, with the network refused."""

import math
import os
import shutil
from pathlib import Path

import nbformat
import pytest

from course_utils.commands import runner

ROOT = Path(__file__).resolve().parent.parent

LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def run_alone(tmp_path, monkeypatch):
    """A function that copies a lesson into an empty folder and runs it there."""
    blocked = [str(ROOT / "tests" / "no_network"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, blocked)))
    monkeypatch.chdir(tmp_path)

    def run(path, **parameters):
        alone = tmp_path / "alone"
        alone.mkdir()
        copy = shutil.copy(path, alone)
        out = tmp_path / "out" / path.name
        return runner.run(copy, out, {"run": "quick"} | parameters, timeout=300)

    return run


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_runs_alone_and_offline(path, run_alone, tmp_path):
    result = run_alone(path)
    nb = nbformat.read(result.notebook, as_version=4)
    names = [o.name for c in nb.cells for o in c.get("outputs", []) if "name" in o]
    assert "stderr" not in names
    left = os.listdir(tmp_path / "alone")
    assert left == [path.name], "the lesson leaves files behind"
    for score in result.scores:
        assert score["lesson"] == path.stem[:2] and score["run"] == "quick"
        assert all(math.isfinite(score[k]) for k in ("value", "floor", "ceiling"))
    metrics = [score["metric"] for score in result.scores]
    assert len(metrics) == len(set(metrics)), "each metric once"


def takes_fashion(path):
    nb = nbformat.read(path, as_version=4)
    return "data" in runner.parameters(nb, path.name)


FASHION = list(filter(takes_fashion, LESSONS))


@pytest.mark.parametrize("path", FASHION, ids=lambda path: path.stem)
def test_the_lesson_runs_on_fashion_too(path, run_alone):
    run_alone(path, data="fashion")
