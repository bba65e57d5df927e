"""editing: what each way of changing pictures can do, of 105 edits, three times.

The rows of `course bench editing`, which lesson 18 and the README show. It takes about
an hour on two cores, and goes on where it was stopped.
"""

import json
import shutil
from pathlib import Path

from course_utils.measure.editing import as_markdown, edit_pictures, overview
from course_utils.recipes.recipe import Made

CARD = """# editing

The rows of `course bench editing`: {n} edits that no training saw, {seeds} seeds.

{table}
"""


def editing(*, steps: int | None = None, seed: int = 0) -> Made:
    """The bench's rows; `steps`, if given, are the edits of a trial with one seed."""
    if seed:
        raise ValueError(f"seed={seed}: the bench's edits are fixed, seed is 0")
    n, seeds = (steps, 1) if steps else (105, 3)

    def make(work: Path) -> Path:
        edit_pictures(n=n, seeds=seeds, into=work / "editing.json")
        return work / "editing.json"

    def save(rows: Path, folder: Path) -> dict:
        shutil.copy(rows, folder / "editing.json")
        return {"table": as_markdown(overview(json.loads(rows.read_text("utf-8"))))}

    facts = dict(n=n, seeds=seeds)
    return Made(make=make, save=save, card=CARD, facts=facts, choices=facts)
