"""Start one student's server; the hub calls this in the student's own name.

The lessons are laid into their home first. One that is there already stays as the
student left it: to have it fresh, they rename theirs and start the server again.
"""

import os
import shutil
import sys
from pathlib import Path

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"


def lay_out(lessons: Path, home: Path) -> list[str]:
    """Copy the lessons that `home/notebooks` lacks; return their names."""
    folder = home / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [p for p in sorted(lessons.glob("*.ipynb")) if not _is(folder / p.name)]
    for path in missing:
        part = folder / f".{path.name}.part"
        shutil.copyfile(path, part)
        os.replace(part, folder / path.name)  # whole or not at all
    return [path.name for path in missing]


def _is(path: Path) -> bool:
    return path.exists() or path.is_symlink()


if __name__ == "__main__":
    from jupyterhub.singleuser import main

    try:
        lay_out(LESSONS, Path.home())
    except OSError as error:  # a full disk must not keep anyone out
        print(f"lessons could not be copied: {error}", file=sys.stderr)
    sys.exit(main())
