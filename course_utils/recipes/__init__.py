"""How each shipped weight was trained: `course train NAME` repeats it from nothing."""

from collections.abc import Callable
from pathlib import Path

from course_utils import models
from course_utils.recipes import judges

RECIPES: dict[str, Callable[..., None]] = {
    "judge-digits": judges.digits,
    "judge-fashion": judges.fashion,
}
NAMES = tuple(RECIPES)


def train(
    name: str,
    *,
    into: str | Path | None = None,
    work: str | Path = "build/train",
    steps: int | None = None,
    seed: int = 0,
) -> Path:
    """Train one of NAMES and put it on the shelf; return its folder.

    into   the folder to write; if not given, the package's own, with its SHA256SUMS
    work   where a run that is killed keeps what it needs to go on (delete to restart)
    steps  fewer than the recipe's, to try it out
    """
    if name not in RECIPES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, not {name!r}")
    folder = Path(into) if into else models.WEIGHTS / name
    RECIPES[name](folder, Path(work) / name, steps=steps, seed=seed)
    if not into:
        models.write_sums()
    return folder
