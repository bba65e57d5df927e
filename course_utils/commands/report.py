"""Run lessons one after the other; leave pages that open anywhere, and the scores."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import nbformat

from course_utils.commands import page, runner, tidy


def course(chosen: tuple[str, ...], size: str, settings: dict[str, str]) -> bool:
    """Run the chosen lessons (all if none) at a size; return True if all went well.

    Leaves in build/course the executed notebooks, a page each, index.html and
    scores.json. Lessons that are not run now keep their pages and rows. Raises
    ValueError before anything runs if a lesson, size or setting cannot be meant.
    """
    paths = runner.lessons(chosen)
    values = {path: _values(path, size, settings) for path in paths}
    folder = runner.root() / "build" / "course"
    done = _read(folder / "lessons.json")
    for path in paths:
        row, result = _run(path, folder / path.name, values[path])
        done[path.stem] = row | {"run": size, "machine": _machine()}
        nb = nbformat.read(result.notebook, as_version=4)
        tidy.replace_file(folder / f"{path.stem}.html", page.lesson(nb, row, path))
        _write(folder, done)
    fine = not any(done[path.stem]["error"] for path in paths)
    minutes = sum(done[path.stem]["seconds"] for path in paths) / 60
    print(f"{len(paths)} lessons in {minutes:.1f} minutes; open", end=" ")
    print(os.path.relpath(folder / "index.html"))
    return fine


def in_place(chosen: tuple[str, ...]) -> bool:
    """Run the chosen lessons at laptop size; save in place those that succeed."""
    paths = runner.lessons(chosen)
    for path in paths:
        runner.refuse(nbformat.read(path, as_version=4), {}, path.name)
    fine = True
    for path in paths:
        row, result = _run(path, runner.root() / "build" / "notebooks" / path.name, {})
        fine = fine and not row["error"]
        if not row["error"]:
            nb = nbformat.read(result.notebook, as_version=4)
            tidy.dress(nb, result.seconds, result.peak_mb)
            tidy.save_notebook(tidy.strip_notebook(nb), path)
    return fine


def _values(path: Path, size: str, settings: dict[str, str]) -> dict[str, Any]:
    nb = nbformat.read(path, as_version=4)
    runner.refuse(nb, {"run": size} | settings, path.name)
    kinds = runner.parameters(nb, path.name)
    typed = {k: runner.from_text(v, kinds[k], k) for k, v in settings.items()}
    return {"run": size} | typed


def _run(path: Path, out: Path, values: dict) -> tuple[dict, runner.Result]:
    print(f"{path.stem:<22}", end="", flush=True)
    try:
        result = runner.run(path, out, values)
    except runner.LessonFailed as failed:
        result = failed.result
    print(f"{result.seconds:6.1f} s {result.peak_mb:6.0f} MB", end="  ")
    said = [f"{s['metric']} {_told(s)}" for s in result.scores]
    print(f"FAILED {result.error}" if result.error else ", ".join(said), flush=True)
    row = {"title": page.title(nbformat.read(path, as_version=4), path.stem)}
    row |= {"seconds": round(result.seconds, 1), "peak_mb": round(result.peak_mb)}
    return row | {"error": result.error, "scores": result.scores}, result


def _told(score: dict) -> str:
    keys = ("value", "floor", "ceiling")
    value, floor, ceiling = (page.rounded(score[key]) for key in keys)
    return f"{value} (floor {floor}, ceiling {ceiling})"


def _machine() -> str:
    from course_utils import session  # late: it imports torch

    return f"threads: {session.threads()}, {platform.system()} {platform.machine()}"


def _read(file: Path) -> dict[str, dict]:
    """Return what earlier runs left about the lessons that are still here."""
    names = {path.stem for path in runner.lessons()}
    rows = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return {name: row for name, row in rows.items() if name in names}


def _write(folder: Path, done: dict[str, dict]) -> None:
    done = dict(sorted(done.items()))
    tidy.replace_file(folder / "lessons.json", json.dumps(done, indent=1) + "\n")
    tidy.replace_file(folder / "index.html", page.index(done))
    rows = [row for name in done for row in _rows(name, done[name])]
    lines = ",\n".join(map(json.dumps, rows))
    tidy.replace_file(folder / "scores.json", f"[\n{lines}\n]\n")


def _rows(name: str, row: dict) -> list[dict]:
    """Return a lesson's flat rows for scores.json: its scores, seconds and peak_mb."""
    cost = {"lesson": name[:2], "floor": None, "ceiling": None, "seeds": 1, "n": None}
    cost |= {"better": "lower", "run": row["run"]}
    return row["scores"] + [
        cost | {"metric": metric, "value": row[metric]}
        for metric in ("seconds", "peak_mb")
    ]
