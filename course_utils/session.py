"""One lesson's run: device, seed, threads, size, and the scores it leaves behind."""

import json
import math
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from filelock import FileLock, Timeout

SIZES = ("quick", "laptop", "full")

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
size = "laptop"
scores: list[dict] = []  # the rows recorded since `start`

Choice = TypeVar("Choice")


def start(lesson: str, run: str = "laptop", seed: int = 0) -> None:
    """Begin a lesson: set the run size, the threads and every seed; say so in a line.

    `run` is "quick" (a smoke test), "laptop" (two cores, about a minute) or "full".
    The environment variable COURSE_RUN overrides it where no parameter can be passed.
    """
    global size
    run = os.environ.get("COURSE_RUN", run)
    if run not in SIZES:
        raise ValueError(f"run must be one of {', '.join(SIZES)}, not {run!r}")
    size = run
    scores.clear()
    torch.set_num_threads(threads())
    reseed(seed)
    place = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    count = torch.get_num_threads()
    print(
        f"lesson {lesson} | run {size} | seed {seed} | {place}, {count} "
        f"thread{'s' * (count > 1)} | torch {torch.__version__.split('+')[0]}"
    )


def reseed(seed: int) -> torch.Generator:
    """Seed Python, numpy and torch; return a fresh CPU generator with that seed."""
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed!r} must be a whole number from 0 to 2**32 - 1")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def pick(quick: Choice, laptop: Choice, full: Choice) -> Choice:
    """Return the value that belongs to this run's size."""
    return {"quick": quick, "laptop": laptop, "full": full}[size]


def threads(share: float = 0.5) -> int:
    """How many threads torch should use: a share of the cores we may use, 1 to 4.

    OMP_NUM_THREADS decides if it is set. Half, because two logical cores are often one
    real one, and because threads wait for each other: where a browser takes a core
    from small networks like ours, two threads are several times slower than one. A
    long training of a larger network, alone on its machine, takes them all: share=1.
    """
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return max(1, int(os.environ["OMP_NUM_THREADS"]))
    return min(4, cores(share))


def cores(share: float = 1.0) -> int:
    """How many cores we may use, at least 1: a share of those that this process sees.

    The container's CPU quota counts too; the host's cores, which we may not use, don't.
    """
    if hasattr(os, "sched_getaffinity"):
        seen = len(os.sched_getaffinity(0))
    else:  # macOS and Windows have no affinity call
        seen = os.cpu_count() or 1
    return max(1, min(int(seen * share), math.floor(cpu_quota() or seen)))


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the container's CPU quota in cores (cgroup v2, then v1), or None."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return max(1.0, int(quota) / int(period))


def duration(seconds: float) -> str:
    """Return seconds as a person would say them: 0.4 s, 41 s, 2 min 05 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def uses(weight: str) -> None:
    """Note that this lesson opened a shipped weight: `course doctor` will know it."""
    _note("COURSE_WEIGHTS", weight)


def _note(variable: str, *lines: str) -> None:
    """Add lines to the file that an environment variable names, if there is one."""
    if path := os.environ.get(variable):
        with open(path, "a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))


@contextmanager
def lock(folder: str | Path, doing: str) -> Iterator[None]:
    """Keep `folder` (made if missing) to this process, for as long as the block runs.

    `doing` says what for, as in "course run". Raises ValueError if another process is
    at work there, with what it does, its number and since when; also if the folder
    cannot be written. The system holds the lock: a killed process leaves none behind.
    """
    folder = Path(folder)
    held, note = FileLock(folder / ".lock"), folder / ".locked-by"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=0)
        note.write_text(
            f"{doing}, process {os.getpid()}, since {time.strftime('%H:%M')}"
        )
    except Timeout:
        with suppress(OSError):
            doing = note.read_text()
        raise ValueError(
            f"folder {folder} is in use ({doing}): wait for its end, or stop it"
        ) from None
    except OSError as error:
        held.release()
        raise ValueError(
            f"folder {folder} cannot be written ({error.strerror}): mend its rights, "
            "free some space, or choose another"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        held.release()


def record(
    lesson: str,
    *,
    floor: float | dict[str, float],
    ceiling: float | dict[str, float],
    seeds: int = 1,
    n: int | None = None,
    better: str = "higher",
    **metrics: float,
) -> None:
    """Record the scores of a section beside their floor and ceiling; print one line.

    `record("05", readable_until=412, floor=0, ceiling=1000)`, or several at once:
    `record("08", gan_fid=28.6, vae_fid=20.0, floor=88, ceiling=1.6, better="lower")`.
    `floor` is what no skill reaches (chance, untouched input), `ceiling` the best
    possible; where they differ between the metrics, a dict metric -> number. `better`
    says which way is up: "higher" or "lower". Raises ValueError for a value that is not
    finite and for a floor on the wrong side of its ceiling. The course's runner
    collects the rows in scores.json.
    """
    if not metrics:
        raise ValueError("record takes at least one metric, as in accuracy=0.9")
    if better not in ("higher", "lower"):
        raise ValueError(f'better must be "higher" or "lower", not {better!r}')
    rows = []
    for name, value in metrics.items():
        ends = _end_of("floor", floor, name), _end_of("ceiling", ceiling, name)
        row = dict(lesson=lesson, metric=name) | _checked(name, value, *ends, better)
        rows.append(row | dict(seeds=seeds, n=n, better=better, run=size))
    scores.extend(rows)
    _note("COURSE_SCORES", *map(json.dumps, rows))
    print(_in_a_line(rows))


def claim(lesson: str, words: str, holds: bool) -> None:
    """Record a conclusion of the lesson, and whether this run bears it out; print both.

    `claim("08", "DPM-Solver++ ends nearer than DDIM after 8 calls", dpm > ddim)`: the
    words are the same in every run, what was measured decides. `course claims` runs the
    lessons with other seeds and counts how often each claim holds. Raises ValueError
    for words that are no single line, and for a `holds` that is not True or False.
    """
    if not words.strip() or "\n" in words:
        raise ValueError(f"a claim is one line of words, not {words!r}")
    if not isinstance(holds, (bool, np.bool_)):
        raise ValueError(f"holds must be True or False, as in a > b, not {holds!r}")
    row = dict(lesson=lesson, claim=words, holds=bool(holds), run=size)
    _note("COURSE_CLAIMS", json.dumps(row))
    print(f"claim: {words}: {'holds' if holds else 'does not hold in this run'}")


def _end_of(which: str, given: float | dict[str, float], name: str) -> float:
    if not isinstance(given, dict):
        return given
    if name not in given:
        raise ValueError(f"{which} has no entry for {name!r}; it has {list(given)}")
    return given[name]


def _checked(name: str, value, floor, ceiling, better: str) -> dict[str, float]:
    """The three numbers of a row as floats, or a ValueError that says what is wrong."""
    if not (name.isidentifier() and name == name.lower()):
        raise ValueError(f"metric names are snake_case; {name!r} is not")
    numbers = dict(value=float(value), floor=float(floor), ceiling=float(ceiling))
    for key, x in numbers.items():
        if not math.isfinite(x):
            said = name if key == "value" else f"the {key} of {name}"
            raise ValueError(f"{said} is {x}: a score must be a finite number")
    if (numbers["floor"] > numbers["ceiling"]) == (better == "higher"):
        if numbers["floor"] != numbers["ceiling"]:
            raise ValueError(
                f"{name}: {better} is better, but the floor, {floor:.4g}, lies on the "
                f"other side of the ceiling, {ceiling:.4g}: exchange them, or `better`"
            )
    return numbers


def _in_a_line(rows: list[dict]) -> str:
    """What was recorded, with floor and ceiling once if all share them."""
    ends = {(row["floor"], row["ceiling"]) for row in rows}
    shared = len(ends) == 1
    said = []
    for row in rows:
        own = "" if shared else f" ({row['floor']:.4g} to {row['ceiling']:.4g})"
        said.append(f"{row['metric']}: {row['value']:.4g}{own}")
    first = rows[0]
    how = f"floor {first['floor']:.4g}, ceiling {first['ceiling']:.4g}, "
    how = how if shared else "(floor to ceiling), "
    how += f"{first['better']} is better, seeds={first['seeds']}"
    how += f", n={first['n']}" if first["n"] else ""
    return f"{', '.join(said)}  ({how})" if shared else f"{', '.join(said)}; {how}"
