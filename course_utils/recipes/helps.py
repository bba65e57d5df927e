"""What did each help of the recipe buy? The small model, with all of them and without.

Lesson 09 reads what this leaves behind.
"""

import shutil
from pathlib import Path

from PIL import Image

from course_utils.recipes import tiny_sd

CARD = """# small

The small model of `course train tiny-sd --small`, trained for {steps} steps four times:
with all helps of its recipe, and without one of them ({helps}). What each could do
when is in NAME.jsonl, of 48 held-out captions each; sheet-MINUTES.png are samples of
the one with all.

- **Repeat it** `course train small` (course_utils/recipes/helps.py).
- **Licence** Apache-2.0, as the course.
"""


def helps(folder: Path, work: Path, *, steps: int | None = None, seed: int = 0) -> None:
    """Train the four small models, and keep their logs."""
    steps = steps or 1200
    root = work.parent / "small"  # beside the parts that all four share
    folder.mkdir(parents=True, exist_ok=True)
    for without in ("", *tiny_sd.HELPS):
        name = f"without-{without}" if without else "all"
        place = root / f"{name}-{steps}"
        if not (place / "weights" / "model_index.json").exists():
            print(f"{name}: {steps} steps")
            options = dict(steps=steps, seed=seed, small=True, without=without)
            tiny_sd.tiny_sd(place / "weights", place, **options)
        shutil.copy(place / "progress.jsonl", folder / f"{name}.jsonl")
    for sheet in sorted((root / f"all-{steps}").glob("sheet-*.png")):
        small = Image.open(sheet)
        small = small.resize((small.width // 2, small.height // 2), Image.NEAREST)
        small.save(folder / f"sheet-{sheet.stem.split('-')[1]}.png", optimize=True)
    text = CARD.format(steps=steps, helps=", ".join(tiny_sd.HELPS))
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
