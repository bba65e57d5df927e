"""What did each part of the recipe buy? The small model, with all of them and without.

Lesson 09 reads what this leaves behind.
"""

import functools
import json
import shutil
from pathlib import Path

from PIL import Image

from course_utils.recipes import artifacts
from course_utils.recipes.recipe import Made, is_made, produce
from course_utils.recipes.tiny_sd import enough, tiny_sd

SHOWN = ("alignment", "weighting")  # of tiny_sd.ABLATIONS, what lesson 09 measures

CARD = """# small

The small model of `course train tiny-sd --small`, trained three times: with all that
helps it for {steps} steps, and without one of them ({helps}) for
two thirds of that, while the rate has not begun to fall. What each could do when is in
NAME.jsonl, of 48 held-out captions each; sheet-MINUTES.png are samples of the one with
all.

"""


def small(
    *, steps: int | None = None, seed: int = 0, root: Path = Path("build/train")
) -> Made:
    """The small models' logs; those that are not there yet are trained in `root`."""
    places = {x: root / "small" / _folder(x) for x in ("", *SHOWN)}  # as --small does
    return Made(
        make=functools.partial(train_small, places, steps=steps, seed=seed),
        save=keep_logs,
        card=CARD,
        facts={"helps": ", ".join(SHOWN)},
    )


def _folder(without: str) -> str:
    return f"tiny-sd-without-{without}" if without else "tiny-sd"


def train_small(
    places: dict[str, Path], work: Path, *, steps: int | None, seed: int
) -> dict[str, Path]:
    """Train the small model for each of places (what it is without -> its folder)."""
    for without, place in places.items():
        settings = dict(steps=steps or enough(True, without), seed=seed)
        settings |= dict(small=True, without=without)
        if not is_made(place / "weights", place, settings):
            print(f"{place.name}:")
            options = dict(steps=steps, seed=seed, small=True, without=without)
            options |= dict(root=place.parent)
            produce(tiny_sd, place / "weights", place, **options)
    return places


def keep_logs(places: dict[str, Path], folder: Path) -> dict:
    """Copy what each could do when, and the whole one's sheets at half their size."""
    for without, place in places.items():
        name = f"without-{without}" if without else "all"
        shutil.copy(place / "progress.jsonl", folder / f"{name}.jsonl")
    for sheet in sorted(places[""].glob("sheet-*.png")):
        picture = Image.open(sheet)
        half = picture.width // 2, picture.height // 2
        picture = picture.resize(half, Image.NEAREST)
        picture.save(folder / f"sheet-{sheet.stem.split('-')[1]}.png", optimize=True)
    last = artifacts.whole_lines(folder / "all.jsonl")[-1]
    return {"steps": json.loads(last)["step"]}
