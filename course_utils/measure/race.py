"""Trainings of one network side by side: what each could do, after how much.

A run is what `course bench training` keeps of one: {"entry": "plain", "seed": 0,
"pictures": pictures a second, "megabytes": ..., "curve": [{"seconds": ..., "step": ...,
"loss": ..., "one_toy": ..., ...}, ...]}. After the same seconds and after the same
steps are two questions, and a trick may win one of them only: what it buys a step, a
step may cost.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from course_utils import models

Run = dict
MARKS = (0.5, 0.8, 0.9)  # shares of one-toy captions whose picture is all right


def race_runs(file: str | Path | None = None) -> list[Run]:
    """The runs that the course ships, or those in a file of `course bench training`."""
    file = Path(file) if file else models.path("race-scores") / "race.json"
    return json.loads(file.read_text(encoding="utf-8"))


def value_after(run: Run, metric: str, *, seconds: float = 0, steps: float = 0):
    """The metric after so many seconds, or steps: between two looks on a line.

    None before the first look, after the last one, and for what was not measured.
    """
    if (seconds > 0) == (steps > 0):
        raise ValueError("give seconds or steps, one of them, above 0")
    along, at = ("seconds", seconds) if seconds else ("step", steps)
    looks = [look for look in run["curve"] if look.get(metric) is not None]
    places = [look[along] for look in looks]
    if not places or not places[0] <= at <= places[-1] * 1.0001:
        return None
    return float(np.interp(at, places, [look[metric] for look in looks]))


def reached(run: Run, share: float, metric: str = "one_toy") -> dict | None:
    """The first look at which the metric was at least `share`; None if it never was."""
    looks = (x for x in run["curve"] if x.get(metric) is not None)
    return next((look for look in looks if look[metric] >= share), None)


def common_ends(runs: Sequence[Run]) -> tuple[float, int]:
    """The most seconds, and the most steps, that all runs have come to."""
    if not runs:
        raise ValueError("runs is empty: a race needs at least one")
    return tuple(min(run["curve"][-1][key] for run in runs) for key in _ALONG)


_ALONG = ("seconds", "step")


def race_table(runs: Sequence[Run], metric: str = "loss") -> list[dict]:
    """A row an entry: the metric after equal seconds, and after equal steps; means.

    Keys: entry, seeds, pictures (a second), megabytes, steps (within the seconds that
    all have), same_seconds, same_steps, and spread, half of the range over the seeds of
    the first of these, None of one seed.
    """
    seconds, steps = common_ends(runs)
    rows = []
    for entry in dict.fromkeys(run["entry"] for run in runs):
        own = [run for run in runs if run["entry"] == entry]
        timed = [value_after(run, metric, seconds=seconds) for run in own]
        known = [x for x in timed if x is not None]
        row = dict(entry=entry, seeds=len(own))
        row |= {
            key: _mean(run[key] for run in own) for key in ("pictures", "megabytes")
        }
        row["steps"] = _mean(value_after(x, "step", seconds=seconds) for x in own)
        row["same_seconds"] = _mean(timed)
        row["same_steps"] = _mean(value_after(x, metric, steps=steps) for x in own)
        row["spread"] = (max(known) - min(known)) / 2 if len(known) > 1 else None
        rows.append(row)
    return rows


def _mean(values: Iterable) -> float | None:
    known = [x for x in values if x is not None]
    return sum(known) / len(known) if known else None
