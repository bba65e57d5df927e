"""Lessons side by side: as many as cores and memory allow, the longest first."""

import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from course_utils import session
from course_utils.commands import runner
from course_utils.commands.costs import Cost
from course_utils.commands.interrupt import interrupts_noted
from course_utils.commands.kernel import Watch
from course_utils.commands.status import Status

UNKNOWN_MB = 1500  # of a lesson that neither ran here nor says what it needs


class Job(NamedTuple):
    """One lesson to run, and what it will probably take."""

    source: Path
    out: Path
    values: dict[str, Any]
    cost: Cost


def how_many(lessons: int, asked: int | None = None) -> tuple[int, int]:
    """Return how many lessons may run side by side, and the threads of each.

    Side by side each has one thread (or OMP_NUM_THREADS), because what two threads gain
    in one lesson is less than what a second lesson gains. Raises ValueError for
    `asked` below 1.
    """
    if asked is not None and asked < 1:
        raise ValueError(f"jobs={asked} must be at least 1: so many run side by side")
    each = session.threads() if os.environ.get("OMP_NUM_THREADS") else 1
    most = min(lessons, asked or session.cores() // each)
    return (most, each) if most > 1 else (1, session.threads())


def run_all(
    jobs: list[Job], most: int, threads: int, free_mb: float, status: Status
) -> Iterator[tuple[Job, runner.Result]]:
    """Run the jobs, at most `most` at a time; yield each with its result as it ends.

    One more starts only if what the running ones take, by their costs, leaves it room
    in `free_mb`; one always runs. Whatever stops this loop (Ctrl-C, a kill, an error)
    leaves no kernel behind: use it within `contextlib.closing`.
    """
    waiting = sorted(jobs, key=lambda job: -job.cost.seconds) if most > 1 else [*jobs]
    running: dict[Future, tuple[Job, Watch]] = {}
    with interrupts_noted() as noted, ThreadPoolExecutor(most) as pool:
        try:
            while waiting or running:
                if noted:
                    raise KeyboardInterrupt
                while job := _next(waiting, running, most, free_mb):
                    watch = Watch()
                    future = pool.submit(_run, job, threads, watch)
                    running[future] = waiting.pop(waiting.index(job)), watch
                status.now({job.source.stem: w for job, w in running.values()})
                ended = [*wait(running, 0.5, FIRST_COMPLETED).done]
                yield from ((running.pop(f)[0], f.result()) for f in ended)
        finally:
            for _, watch in running.values():
                watch.end()
            status.clear()


def _next(waiting: list[Job], running: dict, most: int, free_mb: float) -> Job | None:
    if len(running) >= most:
        return None
    taken = sum(_mb(job) for job, _ in running.values())
    fits = (job for job in waiting if not running or taken + _mb(job) <= free_mb)
    return next(fits, None)


def _mb(job: Job) -> float:
    return job.cost.peak_mb or UNKNOWN_MB


def _run(job: Job, threads: int, watch: Watch) -> runner.Result:
    try:
        return runner.run(job.source, job.out, job.values, watch=watch, threads=threads)
    except runner.LessonFailed as failed:
        return failed.result
