"""Run lessons; leave pages that open anywhere, and the scores."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import nbformat

from course_utils import session
from course_utils.commands import (
    choice,
    costs,
    guide,
    index,
    page,
    parallel,
    runner,
    tidy,
)
from course_utils.commands.findings import free_memory
from course_utils.commands.parallel import Job
from course_utils.commands.status import Status
from course_utils.training import write_json, write_whole

SPARE = 0.9  # lessons may take this of the free memory; the rest is for a browser


def course(
    chosen: tuple[str, ...] = (),
    settings: dict[str, str] | None = None,
    jobs: int | None = None,
) -> bool:
    """Run the chosen lessons (all if none) side by side; return True if all went well.

    settings  parameters as texts, {"run": "laptop"} if not given
    jobs      how many side by side; if not given, as many as cores and memory allow

    Leaves in build/course the executed notebooks, a page each, index.html and
    scores.json. Lessons that are not run now keep their pages and rows. Raises
    ValueError before anything runs if a lesson, size or setting cannot be meant, or if
    another run is at work there.
    """
    folder = choice.root() / "build" / "course"
    tasks = _tasks(chosen, settings or {"run": "laptop"}, folder)
    most, threads = parallel.how_many(len(tasks), jobs)
    free = SPARE * free_memory() if jobs is None else float("inf")
    machine = f"threads: {threads}, {platform.system()} {platform.machine()}"
    machine += f", {most} lessons side by side" if most > 1 else ""
    began, rows = time.monotonic(), {}
    running = _rows(tasks, most, threads, free)
    with session.lock(folder, "course run"), closing(running):
        done = _read(folder)
        nth = 1 + max((row.get("nth", 0) for row in done.values()), default=0)
        try:
            for job, row in running:
                rows[job.source.stem] = row | {"machine": machine, "nth": nth}
                rows[job.source.stem]["began"] -= began
                nb = nbformat.read(job.out, as_version=4)
                text = page.lesson(nb, row, job.source)
                write_whole(job.out.with_suffix(".html"), text)
                _write(folder, done | rows)
        except KeyboardInterrupt:
            print(f"{len(rows)} of {index.count(len(tasks), 'lesson')} had ended, kept")
            raise
    took = session.duration(time.monotonic() - began)
    place = os.path.relpath(folder / "index.html")
    print(f"{index.count(len(rows), 'lesson')} in {took}; open {place}")
    return not any(row["error"] for row in rows.values())


def in_place(chosen: tuple[str, ...] = ()) -> bool:
    """Run the chosen lessons at laptop size; save in place those that succeed.

    One at a time: the seconds that a title promises are those of a lesson alone. The
    guide of the instructors, which says them too, is kept up to date.
    """
    folder = choice.root() / "build" / "notebooks"
    tasks = _tasks(chosen, {}, folder)
    fine, running = True, _rows(tasks, 1, session.threads(), free_memory())
    with session.lock(folder, "course notebooks"), closing(running):
        for job, row in running:
            fine = fine and not row["error"]
            if not row["error"]:
                nb = nbformat.read(job.out, as_version=4)
                tidy.dress(nb, row["seconds"], row["peak_mb"], row["weights"])
                tidy.save_notebook(tidy.strip_notebook(nb), job.source)
    guide.refresh()
    return fine


def _tasks(chosen: tuple[str, ...], given: dict[str, str], folder: Path) -> list[Job]:
    size = given.get("run", "laptop")
    return [
        Job(path, folder / path.name, choice.typed(path, given), costs.of(path, size))
        for path in choice.lessons(chosen)
    ]


def _rows(
    tasks: list[Job], most: int, threads: int, free_mb: float
) -> Iterator[tuple[Job, dict]]:
    """Run the tasks; yield each with its row as it ends, and say it in a line."""
    status = Status(len(tasks))
    width = max(len(job.source.stem) for job in tasks)
    with closing(parallel.run_all(tasks, most, threads, free_mb, status)) as results:
        for job, result in results:
            status.end(f"{job.source.stem:<{width}} {_told(result)}")
            title = page.title(nbformat.read(job.source, as_version=4), job.source.stem)
            yield (
                job,
                {
                    "title": title,
                    "run": job.values.get("run", "laptop"),
                    "began": result.began,
                    "seconds": round(result.seconds, 1),
                    "peak_mb": round(result.peak_mb),
                    "error": result.error,
                    "warnings": result.warnings,
                    "weights": result.weights,
                    "scores": result.scores,
                },
            )


def _told(result: runner.Result) -> str:
    """How a lesson ended: what it took, its scores, and what went wrong."""
    took = f"{result.seconds:6.1f} s {result.peak_mb:6.0f} MB  "
    if result.error:
        return f"{took}FAILED {result.error}"
    scores = ", ".join(f"{s['metric']} {_score(s)}" for s in result.scores)
    said = [scores] if scores else []
    if result.warnings:
        cells = index.count(len(result.warnings), "cell")
        said.append(f"WARNED in {cells}, first {result.warnings[0]}")
    return f"{took}{'; '.join(said)}"


def _score(score: dict) -> str:
    keys = ("value", "floor", "ceiling")
    value, floor, ceiling = (index.rounded(score[key]) for key in keys)
    return f"{value} (floor {floor}, ceiling {ceiling})"


def _read(folder: Path) -> dict[str, dict]:
    """Return what earlier runs left about the lessons that are still here."""
    names = {path.stem for path in choice.lessons()}
    return {k: row for k, row in costs.last_runs(folder).items() if k in names}


def _write(folder: Path, done: dict[str, dict]) -> None:
    done = dict(sorted(done.items()))
    write_json(folder / "lessons.json", done)
    write_whole(folder / "index.html", index.index(done))
    rows = [row for name in done for row in _flat(name, done[name])]
    lines = ",\n".join(map(json.dumps, rows))
    write_whole(folder / "scores.json", f"[\n{lines}\n]\n")


def _flat(name: str, row: dict) -> list[dict]:
    """Return a lesson's flat rows for scores.json: its scores, seconds and peak_mb."""
    cost = {"lesson": name[:2], "floor": None, "ceiling": None, "seeds": 1, "n": None}
    cost |= {"better": "lower", "run": row["run"]}
    return row["scores"] + [
        cost | {"metric": metric, "value": row[metric]}
        for metric in ("seconds", "peak_mb")
    ]
