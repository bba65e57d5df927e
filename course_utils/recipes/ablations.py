"""What did each help of the recipe buy? The small model, with all of them and without.

Lesson 09 reads what this leaves behind.
"""

import json
import shutil
from pathlib import Path

from PIL import Image

from course_utils.recipes import tiny_sd

SHOWN = ("alignment", "weighting")  # of tiny_sd.HELPS, the two that lesson 09 measures

CARD = """# small

The small model of `course train tiny-sd --small`, trained three times: with all helps
of its recipe for {steps} steps, and without one of them ({helps}) for
two thirds of that, while the rate has not begun to fall. What each could do when is in
NAME.jsonl, of 48 held-out captions each; sheet-MINUTES.png are samples of the one with
all.

- **Repeat it** `course train small` (course_utils/recipes/ablations.py).
- **Licence** Apache-2.0, as the course.
"""


def helps(folder: Path, work: Path, *, steps: int | None = None, seed: int = 0) -> None:
    """Train the small models, if they are not there yet, and keep their logs."""
    folder.mkdir(parents=True, exist_ok=True)
    for without in ("", *SHOWN):
        end = f"-without-{without}" if without else ""
        place = work.parent / "small" / f"tiny-sd{end}"  # where --small puts it, too
        if not (place / "weights" / "model_index.json").exists():
            print(f"{place.name}:")
            options = dict(steps=steps, seed=seed, small=True, without=without)
            tiny_sd.tiny_sd(place / "weights", place, **options)
        shutil.copy(place / "progress.jsonl", folder / f"{end[1:] or 'all'}.jsonl")
    for sheet in sorted((work.parent / "small" / "tiny-sd").glob("sheet-*.png")):
        small = Image.open(sheet)
        small = small.resize((small.width // 2, small.height // 2), Image.NEAREST)
        small.save(folder / f"sheet-{sheet.stem.split('-')[1]}.png", optimize=True)
    last = (folder / "all.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    facts = dict(steps=json.loads(last)["step"], helps=", ".join(SHOWN))
    (folder / "README.md").write_text(
        CARD.format(**facts), encoding="utf-8", newline="\n"
    )
