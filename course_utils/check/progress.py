"""What a learner has passed: a small file, on their own machine and theirs alone.

`check` notes each exercise that is right, with its day, and nothing else; nothing is
sent anywhere. `course progress` shows it, clears it, and stops the noting.

The file is course-progress.json in the home folder. The environment variable
COURSE_PROGRESS names another one, or says "off".
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from course_utils.training import write_json

NAME = "course-progress.json"
COURSE = "generative-vision-course"


def place() -> Path | None:
    """Return the file that is written to, or None if COURSE_PROGRESS is "off"."""
    said = os.environ.get("COURSE_PROGRESS", "")
    if said.lower() == "off":
        return None
    try:
        return Path(said).expanduser() if said else Path.home() / NAME
    except RuntimeError:
        raise ValueError(
            "there is no home folder: set COURSE_PROGRESS to a file of yours, or to off"
        ) from None


def read(path: Path) -> dict:
    """Return a file of progress, an empty one if there is none.

    {"course": ..., "keep": True, "passed": {"05.1": "2026-05-04", ...}}; what else a
    later version of the course wrote there stays in it. Raises ValueError for a file
    that is damaged, or is no progress of this course.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {"course": COURSE, "keep": True, "passed": {}}
    except UnicodeDecodeError:
        raise ValueError(_complaint(path, "it is no text")) from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(_complaint(path, f"damaged: {error}")) from None
    if not isinstance(found, dict) or found.get("course") != COURSE:
        raise ValueError(_complaint(path, "it belongs to something else"))
    passed = found.setdefault("passed", {})
    if not isinstance(passed, dict) or not all(
        isinstance(d, str) for d in passed.values()
    ):
        raise ValueError(_complaint(path, "its list of passes is damaged"))
    found.setdefault("keep", True)
    return found


def _complaint(path: Path, why: str) -> str:
    return (
        f"{path} is no file of progress ({why}). It stays as it is: rename or mend it, "
        "then run the cell of the check once more"
    )


def note(exercise: str) -> str:
    """Note that an exercise was passed; return "", or why it could not be noted.

    The first day stays. Two notebooks may do this at once: the file is locked. Never
    raises: a full disk is no reason for a lesson to stop.
    """
    try:
        if path := place():
            change(path, lambda kept: _add(kept, exercise))
    except (OSError, ValueError, RuntimeError) as error:
        return str(error)
    return ""


def _add(kept: dict, exercise: str) -> None:
    if kept["keep"]:
        kept["passed"].setdefault(exercise, time.strftime("%Y-%m-%d"))


def clear(path: Path) -> None:
    """Forget all passes."""
    change(path, lambda kept: kept["passed"].clear())


def keep(path: Path, wanted: bool) -> None:
    """Note passes from now on, or forget them and note no more."""

    def switch(kept: dict) -> None:
        kept["keep"] = wanted
        if not wanted:
            kept["passed"].clear()

    change(path, switch)


def change(path: Path, edit: Callable[[dict], None]) -> None:
    """Read, `edit` and write the file as one step that nobody can come between.

    Raises ValueError for a file that is not ours, and then writes nothing; OSError if
    it cannot be written, or if another process does not let go of it for 10 seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=10):
            kept = read(path)
            before = json.dumps(kept)
            edit(kept)
            if json.dumps(kept) != before:
                write_json(path, kept)
    except Timeout:
        raise OSError(f"{path} is in use by another program: try again") from None
