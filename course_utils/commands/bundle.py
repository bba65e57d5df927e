"""One folder, or archive, with all that a room without a network needs.

Wheels of the course (its weights are inside) and of every library, the lessons, the
slides if they are built, and a page that says what to type. bundle.json, written last,
lists it all with hashes: where it is missing, the bundle is not finished.
"""

import hashlib
import importlib.util
import json
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from course_utils import __version__
from course_utils.commands import choice
from course_utils.training import own_folder, write_json, write_whole

LISTING = "bundle.json"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "course_utils", "course_weights")
README = """# The course, without a network

Made on {platform} with Python {python}: it installs on machines of that kind, with that
Python. (Run `course bundle` on one machine of each other kind too, into this folder.)
Python itself is not in here: put its installer beside this file if a laptop lacks it.

Copy this folder to the laptop, open a terminal in it, and say

    {interpreter} -m venv .venv
    .venv/bin/python -m pip install --no-index --find-links wheels "{course}[lab]"
    .venv/bin/course doctor
    .venv/bin/course lab

On Windows, `.venv\\Scripts\\` stands in place of `.venv/bin/`. The first three lines
take some minutes, once; `course lab` opens the first lesson in a browser.

The lessons are in `notebooks`{slides}. After copying, say in this folder
`.venv/bin/course doctor --class`: it compares the folder with its list.
"""


def gather(place: Path) -> bool:
    """Make the bundle in the folder `place`, or as the archive `place` (NAME.zip).

    What an earlier call left there is kept where it still fits, so that one folder can
    serve several kinds of machine. Raises ValueError if pip cannot make or fetch a
    wheel, with its reason and the cure.
    """
    root = choice.root()
    if not (root / "pyproject.toml").is_file():
        raise ValueError("a bundle is made in a clone of the course; this is none")
    if importlib.util.find_spec("pip") is None:
        raise ValueError("pip is missing here: python -m ensurepip")
    archive = place.suffix == ".zip"
    folder = place.with_suffix("") if archive else place
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "wheels").is_dir():
        raise ValueError(f"{folder} holds something else: name an empty or new folder")
    made = _made(folder)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    (folder / LISTING).unlink(missing_ok=True)
    print("the course's own wheel, with the weights", flush=True)
    own = _own_wheel(root, wheels)
    print("wheels of the libraries: some hundred MB the first time", flush=True)
    _pip("download", "--dest", wheels, "--constraint", root / "constraints.txt",
         "--only-binary", ":all:", "--find-links", wheels, f"{own}[lab]")  # fmt: skip
    _lay_out(root, folder)
    files = _list(folder, made)
    size = sum((folder / name).stat().st_size for name in files) / 1e6
    if archive:
        print("the archive", flush=True)
        shutil.make_archive(str(folder), "zip", folder.parent, folder.name)
    print(f"{place}: {len(files)} files, {size:.0f} MB, ready to be copied")
    return True


def _made(folder: Path) -> list[dict[str, str]]:
    """Return the kinds of machine that a bundle serves, this one among them."""
    here = {"python": _python(), "platform": sysconfig.get_platform()}
    try:
        before = json.loads((folder / LISTING).read_text("utf-8"))["made"]
    except (OSError, ValueError, KeyError):
        before = []
    return [kind for kind in before if kind != here] + [here]


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _own_wheel(root: Path, wheels: Path) -> Path:
    """Build the course's wheel from a copy: setuptools leaves things where it works."""
    for old in wheels.glob("generative_vision_course-*.whl"):
        old.unlink()
    with own_folder() as work:
        copy = work / "course"
        copy.mkdir()
        for name in SOURCES:
            source = root / name
            if source.is_dir():
                junk = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(source, copy / name, ignore=junk)
            else:
                shutil.copy(source, copy / name)
        _pip("wheel", "--no-deps", "--wheel-dir", wheels, copy)
    [wheel] = wheels.glob("generative_vision_course-*.whl")
    return wheel


def _pip(*words: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        raise ValueError(
            f"pip {words[0]} failed: {pip_reason(done.stderr)}. A bundle is made where "
            "there is a network and some GB are free; behind a mirror, set "
            "PIP_INDEX_URL; for small builds of torch on Linux, PIP_EXTRA_INDEX_URL"
        )


def pip_reason(stderr: str) -> str:
    """Return what pip complains of, in a line: its errors, or else its last words."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [x.removeprefix("ERROR: ") for x in lines if x.startswith("ERROR")]
    said = errors or lines[-1:] or ["it says nothing"]
    return "; ".join(dict.fromkeys(said))[:400].rstrip(".")


def _lay_out(root: Path, folder: Path) -> None:
    """Copy lessons and slides, and write the page that says what to type."""
    notebooks = folder / "notebooks"
    notebooks.mkdir(exist_ok=True)
    for path in choice.lessons():
        shutil.copy(path, notebooks)
    slides = root / "build" / "slides"
    if slides.is_dir():
        shutil.copytree(slides, folder / "slides", dirs_exist_ok=True)
    text = README.format(
        platform=f"{platform.system()} ({sysconfig.get_platform()})",
        python=_python(),
        interpreter="python" if sys.platform == "win32" else f"python{_python()}",
        course="generative-vision-course",
        slides=", the slides in `slides`" if slides.is_dir() else "",
    )
    write_whole(folder / "README.md", text)


def _list(folder: Path, made: list[dict[str, str]]) -> dict[str, str]:
    """Write bundle.json; return {file: its hash}."""
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    names = [p.relative_to(folder).as_posix() for p in paths]
    names = [name for name in names if not re.search(r"(^|/)\.", name)]  # .venv
    files = {name: _digest_of(folder / name) for name in names}
    listing = {"course": __version__, "made": made, "files": files}
    write_json(folder / LISTING, listing)
    return files


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def problem(folder: Path) -> str:
    """Return what is wrong with a bundle, "" if it is whole and serves this machine."""
    try:
        listing = json.loads((folder / LISTING).read_text("utf-8"))
        files, made = listing["files"], listing["made"]
    except OSError:
        return f"not finished: {LISTING} is missing"
    except (ValueError, KeyError, TypeError):
        return f"{LISTING} is damaged"
    for name, digest in files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if name.endswith(".ipynb"):
            continue  # someone may work in it
        if _digest_of(folder / name) != digest:
            return f"{name} is damaged"
    here = {"python": _python(), "platform": sysconfig.get_platform()}
    if here not in made:
        kinds = ", ".join(f"Python {k['python']} on {k['platform']}" for k in made)
        return f"it serves {kinds}; here is Python {_python()} on {here['platform']}"
    return ""
