"""Every lesson, alone in an empty folder, at size quick, with the network refused.

One run serves two purposes. papermill executes the lesson, and nbval's own comparison,
with its sanitizer, holds the outputs of the cells tagged `nbval-check-output` against
those that are committed.
"""

import math
import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbval import plugin as nbval

from course_utils import data
from course_utils.commands import choice, runner

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


@pytest.fixture
def unlike(request):
    """A function that returns how a run's outputs differ from the committed ones."""

    def look(path, run):
        file = nbval.IPyNbFile.from_parent(request.session, path=path)
        file.compare_outputs = False  # as --nbval-lax: only cells that are tagged
        rules = (ROOT / "tests" / "nbval_sanitize.cfg").read_text("utf-8")
        file.sanitize_patterns = dict(nbval.get_sanitize_patterns(rules))
        cells = [cell for cell in run.cells if cell.cell_type == "code"]
        injected = "injected-parameters"  # the cell that papermill puts in
        cells = [c for c in cells if injected not in c.metadata.get("tags", [])]
        for item, cell in zip(file.collect(), cells, strict=True):
            new, old = map(nbval.coalesce_streams, (cell.outputs, item.cell.outputs))
            if item.options["check"] and not item.compare_outputs(new, old):
                yield "\n".join([cell.source, *item.comparison_traceback])

    return lambda path, run: list(look(path, run))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_runs_alone_and_as_committed(path, run_alone, unlike, tmp_path):
    result = run_alone(path)
    nb = nbformat.read(result.notebook, as_version=4)
    assert not (differences := unlike(path, nb)), "\n".join(differences)
    names = [o.name for c in nb.cells for o in c.get("outputs", []) if "name" in o]
    assert "stderr" not in names
    left = os.listdir(tmp_path / "alone")
    assert left == [path.name], "the lesson leaves files behind"
    for score in result.scores:
        assert score["lesson"] == path.stem[:2] and score["run"] == "quick"
        assert all(math.isfinite(score[k]) for k in ("value", "floor", "ceiling"))
    metrics = [score["metric"] for score in result.scores]
    assert len(metrics) == len(set(metrics)), "each metric once"


def test_only_tagged_cells_are_compared_and_seconds_are_not(notebook, unlike):
    path = notebook("05_x", "print(1, 'took 3 s')", "print(2)")
    committed, run = nbformat.read(path, 4), nbformat.read(path, 4)
    committed.cells[2].metadata["tags"] = ["nbval-check-output"]
    for nb, texts in (committed, ["1, 3 s", "2"]), (run, ["1, 8.1 s", "3"]):
        for cell, text in zip(nb.cells[2:], texts, strict=True):
            cell.outputs = [nbformat.v4.new_output("stream", text=text)]
    nbformat.write(committed, path)
    assert unlike(path, run) == []
    run.cells[2].outputs[0].text = "7, 3 s"
    [difference] = unlike(path, run)
    assert "print(1" in difference and "7, TIME" in difference


def takes_fashion(path):
    nb = nbformat.read(path, as_version=4)
    return "data" in choice.parameters(nb, path.name)


FASHION = list(filter(takes_fashion, LESSONS))


@pytest.mark.parametrize("path", FASHION, ids=lambda path: path.stem)
def test_the_lesson_runs_on_fashion_too(path, run_alone):
    try:
        data.fashion_folder()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    run_alone(path, data="fashion")
