"""editing: what each way of changing pictures can do, of 105 edits, three times.

The rows of `course bench editing`, which lesson 18 and the README show, and those of
measure.beyond, which lesson 16 shows. It takes about an hour on two cores, and goes on
where it was stopped.
"""

import json
import shutil
from pathlib import Path

from course_utils.measure import beyond
from course_utils.measure.editing import (
    as_markdown,
    edit_pictures,
    overview,
    pipe_for,
)
from course_utils.recipes.recipe import Made
from course_utils.training import write_json

CARD = """# editing

The rows of `course bench editing`: {n} edits that no training saw, {seeds} seeds.

{table}

`beyond.json`: DiffEdit and Imagic on {more} edits of each of the kinds of
`measure.beyond`, one seed.
"""


def editing(*, steps: int | None = None, seed: int = 0) -> Made:
    """The bench's rows; `steps`, if given, are the edits of a trial with one seed."""
    if seed:
        raise ValueError(f"seed={seed}: the bench's edits are fixed, seed is 0")
    n, seeds, more = (steps, 1, 1) if steps else (105, 3, 28)

    def make(work: Path) -> Path:
        edit_pictures(n=n, seeds=seeds, into=work / "editing.json")
        rows = beyond.rows_beyond(pipe_for("imagic", "tiny"), more)
        write_json(work / "beyond.json", rows)
        return work / "editing.json"

    def save(rows: Path, folder: Path) -> dict:
        for name in ("editing.json", "beyond.json"):
            shutil.copy(rows.with_name(name), folder / name)
        return {"table": as_markdown(overview(json.loads(rows.read_text("utf-8"))))}

    facts = dict(n=n, seeds=seeds, more=more)
    return Made(make=make, save=save, card=CARD, facts=facts, choices=facts)
