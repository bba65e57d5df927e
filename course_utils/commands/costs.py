"""What a lesson takes: as its last run here says, else as its own text says.

Nothing heavy is imported here: the doctor asks too, and works where torch does not.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """What a lesson takes; 0 and None stand for what is not known."""

    seconds: float = 0.0
    peak_mb: float = 0.0
    weights: tuple[str, ...] | None = None  # the shipped weights that it opens


def last_runs(folder: Path) -> dict[str, dict]:
    """Return {lesson name: row} of the runs that left something in `folder`."""
    try:
        rows = json.loads((folder / "lessons.json").read_text("utf-8"))
    except (OSError, ValueError):  # none yet, or torn: a new one will be written
        return {}
    return {name: row for name, row in rows.items() if isinstance(row, dict)}


def of(path: Path, size: str = "laptop") -> Cost:
    """Return what the lesson in the file `path` takes; nothing if it is unreadable."""
    try:
        nb = json.loads(path.read_text("utf-8"))
        text = "".join("".join(cell["source"]) for cell in nb["cells"][:3])
        weights = nb["metadata"].get("course", {}).get("weights")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Cost()
    row = last_runs(path.parent.parent / "build" / "course").get(path.stem, {})
    row = {} if row.get("error") else row
    weights = row.get("weights") if weights is None else weights
    weights = None if weights is None else tuple(weights)
    if row.get("run") == size:
        return Cost(row["seconds"], row["peak_mb"], weights)
    return Cost(*promised(text), weights)


def promised(text: str) -> tuple[float, float]:
    """Read seconds and MB off "**Needs** about 1 min 30 s and 0.8 GB on one core"."""
    found = re.search(
        r"Needs\W+(?:about )?(?:([\d.]+) min)? ?(?:([\d.]+) s)?\b.*?([\d.]+) GB", text
    )
    if not found:
        return 0.0, 0.0
    minutes, seconds, gigabytes = (float(x or 0) for x in found.groups())
    return 60 * minutes + seconds, 1000 * gigabytes
