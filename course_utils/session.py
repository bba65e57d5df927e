"""One lesson's run: device, seed, threads, size, and the scores it leaves behind."""

import json
import math
import os
import random
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

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
    The container's CPU quota counts too; the host's cores, which we may not use, don't.
    """
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return max(1, int(os.environ["OMP_NUM_THREADS"]))
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS and Windows have no affinity call
        cores = os.cpu_count() or 1
    return max(1, min(4, int(cores * share), math.floor(cpu_quota() or cores)))


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


def record(
    lesson: str,
    *,
    floor: float,
    ceiling: float,
    seeds: int = 1,
    n: int | None = None,
    better: str = "higher",
    **metric: float,
) -> None:
    """Record one score beside its floor and ceiling, and print it.

    Call it with exactly one metric: `record("05", readable_until=412, floor=0,
    ceiling=1000)`. `floor` is what no skill reaches (chance, untouched input),
    `ceiling` the best possible. `better` says which way is up: "higher" or "lower".
    The course's runner collects the rows in scores.json.
    """
    if len(metric) != 1:
        raise ValueError(
            f"record takes exactly one metric, as in accuracy=0.9; got {list(metric)}"
        )
    if better not in ("higher", "lower"):
        raise ValueError(f'better must be "higher" or "lower", not {better!r}')
    ((name, value),) = metric.items()
    if not (name.isidentifier() and name == name.lower()):
        raise ValueError(f"metric names are snake_case; {name!r} is not")
    value, floor, ceiling = (float(x) for x in (value, floor, ceiling))
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}: a score must be a finite number")
    row = dict(lesson=lesson, metric=name, value=value, floor=floor, ceiling=ceiling)
    row |= dict(seeds=seeds, n=n, better=better, run=size)
    scores.append(row)
    if path := os.environ.get("COURSE_SCORES"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    count = f", n={n}" if n else ""
    print(
        f"{name}: {value:.4g}  (floor {floor:.4g}, ceiling {ceiling:.4g}, "
        f"{better} is better, seeds={seeds}{count})"
    )
