"""Do the lessons' conclusions hold with other seeds? Run them again, and count.

A lesson says what it concludes by `session.claim`. A claim that holds once may be luck;
one that holds in at least four of five runs is kept.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from course_utils import session
from course_utils.commands import choice, costs, index, parallel, runner
from course_utils.commands.findings import free_memory
from course_utils.commands.parallel import Job
from course_utils.commands.status import Status
from course_utils.training import write_json, write_whole

ENOUGH = 0.8  # the share of runs in which a claim must hold
HEAD = """# Conclusions that hold

Each lesson ran {runs}, each time with another seed, at size {size}: its own training,
its own pictures, its own noise; the weights that the course ships stay. What does not
hold in four runs of five is measured better, or not said. `course claims` writes this
table.

| lesson | claim | held |
|---|---|---:|
"""


def try_again(
    chosen: tuple[str, ...] = (),
    seeds: int = 5,
    size: str = "laptop",
    jobs: int | None = None,
) -> bool:
    """Run the chosen lessons (all if none) with seeds 0, 1, ...; count what held.

    Leaves in build/claims a row a run, claims.json, and the table, claims.md. A run
    that is there already, of the same lesson at the same size, is not made again.
    Returns True if every run reached its end and every claim held often enough. Raises
    ValueError before anything runs for what cannot be meant.
    """
    if seeds < 1:
        raise ValueError(f"seeds={seeds} must be at least 1: so often each lesson runs")
    folder = choice.root() / "build" / "claims"
    sources = choice.lessons(chosen)
    keys = {path: [_key(path, size, k) for k in range(seeds)] for path in sources}
    tasks = [
        Job(path, folder / f"{path.stem}-{seed}.ipynb", values, costs.of(path, size))
        for path in sources
        for seed in range(seeds)
        for values in [choice.typed(path, {"run": size, "seed": str(seed)})]
    ]
    with session.lock(folder, "course claims"):
        done = _read(folder / "claims.json")
        tasks = [x for x in tasks if keys[x.source][x.values["seed"]] not in done]
        for job, claims in _runs(tasks, jobs):
            done[keys[job.source][job.values["seed"]]] = claims
            write_json(folder / "claims.json", done)
        ran = {path: [done[k] for k in keys[path] if k in done] for path in sources}
        rows = [row for path in sources for row in times_held(path.stem, ran[path])]
        write_whole(folder / "claims.md", claims_table(rows, seeds, size))
    whole = all(len(runs) == seeds for runs in ran.values())
    return _told(rows, folder / "claims.md") and whole


def times_held(lesson: str, runs: list[list[dict]]) -> list[tuple[str, str, int, int]]:
    """Return (lesson, claim, how often it held, of how many runs) of a lesson's runs.

    Every run must claim the same, else ValueError: words with a number in them change
    from run to run, and then nothing can be counted.
    """
    said = Counter(row["claim"] for rows in runs for row in rows)
    if odd := [words for words, n in said.items() if n != len(runs)]:
        raise ValueError(
            f"lesson {lesson} claims {odd[0]!r} in {said[odd[0]]} of {len(runs)} runs: "
            "the words of a claim must not depend on the run, nor whether it is made"
        )
    held = Counter(row["claim"] for rows in runs for row in rows if row["holds"])
    return [(lesson, words, held[words], len(runs)) for words in said]


def claims_table(rows: list[tuple[str, str, int, int]], seeds: int, size: str) -> str:
    """Return claims and how often they held as a page of Markdown."""
    lines = [
        f"| {lesson[:2]} | {words.replace('|', chr(92) + '|')} | {held} of {n} |\n"
        for lesson, words, held, n in rows
    ]
    return HEAD.format(runs=index.count(seeds, "time"), size=size) + "".join(lines)


def _runs(tasks: list[Job], jobs: int | None) -> Iterator[tuple[Job, list[dict]]]:
    """Run the tasks; yield each that reaches its end with its claims."""
    if not tasks:
        return
    most, threads = parallel.how_many(len(tasks), jobs)
    free = 0.9 * free_memory() if jobs is None else float("inf")
    status = Status(len(tasks))
    with closing(parallel.run_all(tasks, most, threads, free, status)) as results:
        for job, result in results:
            seed = job.values["seed"]
            status.end(f"{job.source.stem} seed {seed}: {_outcome(result)}")
            if not result.error:
                yield job, [*result.claims]


def _outcome(result: runner.Result) -> str:
    if result.error:
        return f"FAILED {result.error}"
    broken = [row["claim"] for row in result.claims if not row["holds"]]
    said = f"{result.seconds:.0f} s, {index.count(len(result.claims), 'claim')}"
    return said + "".join(f"; does not hold: {words}" for words in broken)


def _key(path: Path, size: str, seed: int) -> str:
    """A name for one run: another one as soon as the lesson's code changes."""
    nb = choice.read_notebook(path)
    code = "\n".join(c.source for c in nb.cells if c.cell_type == "code")
    return f"{path.stem} {size} {seed} {hashlib.sha256(code.encode()).hexdigest()[:12]}"


def _read(path: Path) -> dict[str, list[dict]]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # none yet, or torn: everything runs again
        return {}


def _told(rows: list[tuple[str, str, int, int]], place: Path) -> bool:
    """Say in a few lines what held; return whether all did often enough."""
    weak = [row for row in rows if row[2] < ENOUGH * row[3]]
    for lesson, words, held, n in weak:
        print(f"{lesson}: {words}: held in {held} of {n} runs")
    sure = len(rows) - len(weak)
    print(f"{sure} of {index.count(len(rows), 'claim')} held; the table is {place}")
    return not weak
