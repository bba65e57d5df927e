"""personalization: what a subject costs, over seeds, for lesson 19 to show.

The rows of measure.personalization: DreamBooth with and without prior preservation, and
LoRAs of some ranks. It takes about half an hour on two cores.
"""

import json
import shutil
from pathlib import Path

from course_utils.measure.editing import as_markdown
from course_utils.measure.personalization import CLASS_PICTURES, last_rows, personalize
from course_utils.recipes.recipe import Made

CARD = """# personalization

How well `tiny` learns one subject, a star with a hat, wings and shoes, from five
photos: {seeds} seeds each, at the last step. Likeness is the mean cosine with true
pictures in tiny CLIP; marks and prompt are shares; drift is what the plain class loses
of its variety and of the share that shows it at all, of {pictures} pictures.

{table}
"""


def personalization(*, steps: int | None = None, seed: int = 0) -> Made:
    """The rows, in dreambooth.json; `steps`, if given, is the number of seeds."""
    if seed:
        raise ValueError(f"seed={seed}: the seeds are the first ones, seed is 0")
    seeds = steps or 3

    def make(work: Path) -> Path:
        work.mkdir(parents=True, exist_ok=True)
        personalize(seeds, into=work / "dreambooth.json")
        return work / "dreambooth.json"

    def save(rows: Path, folder: Path) -> dict:
        shutil.copy(rows, folder / "dreambooth.json")
        return {"table": as_markdown(last_rows(json.loads(rows.read_text("utf-8"))))}

    facts = dict(seeds=seeds, pictures=CLASS_PICTURES)
    return Made(make=make, save=save, card=CARD, facts=facts, choices=dict(seeds=seeds))
