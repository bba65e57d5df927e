"""Lessons in random order with random seeds, on and on: does anything give way?

Quick size, one after the other. What is looked at after each run:

    failure   of a cell, or anything on stderr
    memory    this process's own, which starts all kernels: it must not grow from run to
              run. A kernel's peak, beside that of the same lesson's earlier runs.
    files     nothing new in the course's folder outside build/, in the home folder, or
              left in the temporary one
"""

import ctypes
import gc
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from course_utils import session
from course_utils.commands import choice, runner
from course_utils.training import own_folder, write_json

GROWTH_MB = 30  # between the medians of the first and the last third of all runs
HIGHER = 1.3  # a kernel's peak, beside the median of the same lesson's other runs
IGNORED = {"build", ".git", "__pycache__", ".pytest_cache", ".ruff_cache", ".venv"}


def soak(lessons: Sequence[str] = (), times: int = 50, seed: int = 0) -> bool:
    """Run `times` lessons, chosen at random; return True if nothing went wrong.

    seed  of the choice of lessons and of their seeds: the same again with the same

    Leaves rows in build/soak/soak.json. ValueError for what is no lesson, and if
    another soak is at work there.
    """
    if times < 1:
        raise ValueError(f"times must be a whole number from 1 on, not {times}")
    folder, rng = choice.root() / "build" / "soak", random.Random(seed)
    plan, rows, began = in_random_order(lessons, times, rng), [], time.monotonic()
    with session.lock(folder, "course soak"), own_temporary() as place:
        before = files_now(place)
        try:
            for path in plan:
                row = one_run(path, folder, rng.randrange(10_000))
                row["files"] = sorted(files_now(place) - before)
                rows.append(row)
                print(as_a_line(row), flush=True)
                write_json(folder / "soak.json", rows)
        finally:  # a Ctrl-C, too, wants to know what was found so far
            took = session.duration(time.monotonic() - began)
            print("\n".join([*found_wrong(rows), summary(rows, took)]), flush=True)
    return not found_wrong(rows)


def summary(rows: list[dict], took: str) -> str:
    """All runs in a line."""
    own = [f"{row['own_mb']:.0f}" for row in rows] or ["0"]
    lessons = len({row["lesson"] for row in rows})
    return (
        f"{len(rows)} runs of {lessons} lessons in {took}: "
        f"{len(found_wrong(rows))} went wrong; own memory {own[0]} to {own[-1]} MB"
    )


def in_random_order(
    chosen: Sequence[str], times: int, rng: random.Random
) -> list[Path]:
    """All lessons in a random order, then in another one, until there are `times`."""
    plan: list[Path] = []
    while len(plan) < times:
        paths = choice.lessons(chosen)
        plan += rng.sample(paths, len(paths))
    return plan[:times]


def one_run(path: Path, folder: Path, seed: int) -> dict:
    """Run one lesson at quick size; return what it took and how it ended."""
    nb, values = choice.read_notebook(path), {"run": "quick", "seed": seed}
    known = choice.parameters(nb, path.name)
    values = {name: value for name, value in values.items() if name in known}
    try:
        result = runner.run(path, folder / path.name, values)
    except runner.LessonFailed as failed:
        result = failed.result
    return {
        "lesson": path.stem,
        "seed": seed,
        "seconds": round(result.seconds, 1),
        "peak_mb": round(result.peak_mb),
        "own_mb": round(own_mb(), 1),
        "error": result.error or next(iter(result.warnings), ""),
    }


def own_mb() -> float:
    """The memory in MB that this process holds, without what was freed.

    On Linux without the code of libraries, too: that counts as this process's own for
    as long as no other one uses the same library, and so jumps up and down.
    """
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # only glibc can be asked
        ctypes.CDLL(None).malloc_trim(0)  # it keeps what was freed, for later
    try:
        text = Path("/proc/self/smaps_rollup").read_text("ascii")
        return int(re.search(r"^Anonymous: +(\d+) kB", text, re.M)[1]) * 1024 / 1e6
    except (OSError, TypeError):  # not Linux, or an old one
        return psutil.Process().memory_full_info().uss / 1e6


def as_a_line(row: dict) -> str:
    """A run in a line."""
    line = "{lesson:<24} seed {seed:>4} {seconds:6.1f} s {peak_mb:6.0f} MB".format(
        **row
    )
    line += f", own {row['own_mb']:.0f} MB"
    line += f"  FAILED {row['error']}" if row["error"] else ""
    return line + (f"  LEFT {', '.join(row['files'][:5])}" if row["files"] else "")


def found_wrong(rows: list[dict]) -> list[str]:
    """A sentence for everything that went wrong in these runs."""
    found = [as_a_line(row) for row in rows if row["error"] or row["files"]]
    third = len(rows) // 3
    if third:
        ends = rows[:third], rows[-third:]
        first, last = (statistics.median(r["own_mb"] for r in x) for x in ends)
        if last - first > GROWTH_MB:
            found.append(f"own memory grew from {first:.0f} to {last:.0f} MB")
    for name in sorted({row["lesson"] for row in rows}):
        peaks = [row["peak_mb"] for row in rows if row["lesson"] == name]
        if len(peaks) > 1 and peaks[-1] > HIGHER * statistics.median(peaks[:-1]):
            found.append(f"{name}: its peak grew, {', '.join(map(str, peaks))} MB")
    return found


@contextmanager
def own_temporary() -> Iterator[Path]:
    """Let this process and its children use a temporary folder of their own."""
    old, before = tempfile.tempdir, os.environ.get("TMPDIR")
    with own_folder() as place:
        tempfile.tempdir = os.environ["TMPDIR"] = str(place)
        try:
            yield place
        finally:
            tempfile.tempdir = old
            del os.environ["TMPDIR"]
            if before is not None:
                os.environ["TMPDIR"] = before


def files_now(temporary: Path) -> set[str]:
    """The files of the course outside build/, of `temporary`, and the home's names."""
    found = {str(path) for path in temporary.rglob("*")}
    for folder, below, files in os.walk(choice.root()):
        below[:] = [name for name in below if name not in IGNORED]
        found |= {os.path.join(folder, name) for name in files}
    try:
        found |= {str(path) for path in Path.home().iterdir()}
    except (OSError, RuntimeError):  # none here
        pass
    return found
