"""What could the small model do when? Lesson 09 reads what this leaves behind."""

import functools
import json
import shutil
from pathlib import Path

from PIL import Image

from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Made, is_made, produce
from course_utils.recipes.tiny_sd import enough, tiny_sd

CARD = """# small

What the small model of `course train tiny-sd --small` could do when, in its {steps}
steps: all.jsonl, of 48 held-out captions each; sheet-MINUTES.png are its samples.

"""


def small(
    *, steps: int | None = None, seed: int = 0, root: Path = Path("build/train")
) -> Made:
    """The small model's log and samples; if it is not in `root` it is trained there."""
    place = root / "small" / "tiny-sd"  # as --small does
    return Made(
        make=functools.partial(train_small, place, steps=steps, seed=seed),
        save=keep_log,
        card=CARD,
    )


def train_small(place: Path, work: Path, *, steps: int | None, seed: int) -> Path:
    """Train the small model if it is not there; return its folder."""
    settings = dict(steps=steps or enough(True), seed=seed, small=True, without="")
    if not is_made(place / "weights", place, settings):
        options = dict(steps=steps, seed=seed, small=True, root=place.parent)
        produce(tiny_sd, place / "weights", place, **options)
    return place


def keep_log(place: Path, folder: Path) -> dict:
    """Copy what it could do when, and its sheets at half their size."""
    shutil.copy(place / "progress.jsonl", folder / "all.jsonl")
    for sheet in sorted(place.glob("sheet-*.png")):
        picture = Image.open(sheet)
        half = picture.width // 2, picture.height // 2
        picture = picture.resize(half, Image.NEAREST)
        picture.save(folder / f"sheet-{sheet.stem.split('-')[1]}.png", optimize=True)
    last = artifacts.whole_lines(folder / "all.jsonl")[-1]
    return {"steps": json.loads(last)["step"]}
