"""What a wheel of the course holds: its modules, both shelves of weights, three files.

The wheels here are built by setuptools as a release's are, from a copy whose files are
empty: names are what counts, and that takes seconds and no network.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from course_utils.commands import bundle

ROOT = Path(__file__).resolve().parent.parent
READ = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")  # by the build itself
STYLE = {"page.css", "guide.css", "labconfig/page_config.json"}
STYLE = {f"course_utils/commands/{name}" for name in STYLE}
INFO = "METADATA WHEEL RECORD entry_points.txt top_level.txt licenses/LICENSE".split()
JUNK = [
    "course_utils/__pycache__/session.cpython-311.pyc",
    "course_utils/commands/notes.ipynb",
    "course_utils/commands/labconfig/.ipynb_checkpoints/page_config.json",
    "course_utils/recipes/.ipynb_checkpoints/oracle-checkpoint.py",
    "course_utils/weights/.unfinished/oracle/model.safetensors",
    "course_utils/weights/oracle/.DS_Store",
    "course_utils/weights/oracle/.ipynb_checkpoints/config.json",
    "course_utils/weights/oracle/__pycache__/x.pyc",
    "course_utils/weights/oracle/model.safetensors.part",
    "course_weights/.unfinished/tiny-flow/model.safetensors",
    "course_weights/build/lib/course_weights/tiny-flow/model.safetensors",
    "course_weights/generative_vision_course_weights.egg-info/PKG-INFO",
    "course_weights/tiny-flow/model.safetensors.part",
    "build/course/index.html",
    "notebooks/.ipynb_checkpoints/05.ipynb",
]
BUILD = "import setuptools.build_meta as b, sys; b.build_wheel('.'); b.build_sdist('.')"


def listed():
    """What is meant to be in the wheel, by the listings of hashes and the modules."""
    names = set(STYLE) | {"course_weights/__init__.py"}
    for shelf in ("course_utils/weights", "course_weights"):
        lines = (ROOT / shelf / "SHA256SUMS").read_text("utf-8").splitlines()
        names |= {f"{shelf}/{line.split(maxsplit=1)[1]}" for line in lines}
        names.add(f"{shelf}/SHA256SUMS")
    modules = (ROOT / "course_utils").rglob("*.py")
    return names | {path.relative_to(ROOT).as_posix() for path in modules}


def members(wheel, no=frozenset()):
    """The wheel's files, once its dist-info has what is expected (but for `no`)."""
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if not name.endswith("/")}
    info = {name for name in names if ".dist-info/" in name}
    assert {name.split("/", 1)[1] for name in info} == set(INFO) - no
    return names - info


def hollow(place, *more):
    """Lay out the course with empty files, and with `more` of them."""
    for folder in ("course_utils", "course_weights", "tests", "notebooks"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                more += (path.relative_to(ROOT).as_posix(),)
    for name in more:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    for name in READ:
        (place / name).write_bytes((ROOT / name).read_bytes())


def built(folder):
    """What setuptools makes of a folder: the wheel's path, the archive's names."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "absent from the `packages`" not in done.stderr + done.stdout
    [wheel], [archive] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        files = [member.name for member in file if member.isfile()]
    return wheel, {name.partition("/")[2] for name in files}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    hollow(folder, *JUNK)
    return built(folder)


def test_the_wheel_holds_what_is_listed_and_nothing_else(course):
    assert members(course[0]) == listed()


def test_the_source_archive_has_what_the_wheel_has_and_what_builds_it(course):
    others = {"setup.cfg", "PKG-INFO", *READ}
    found = {name for name in course[1] if ".egg-info/" not in name}
    assert found == listed() | others


def test_without_the_second_shelf_it_is_the_wheel_for_pypi(tmp_path):
    hollow(tmp_path)
    for path in sorted((tmp_path / "course_weights").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "course_weights").rmdir()
    names = members(built(tmp_path)[0])
    assert names == {x for x in listed() if x.startswith("course_utils/")}


def test_each_of_the_two_wheels_for_pypi_is_below_its_limit():
    """Weights do not shrink when packed; modules, cards and logs take the rest."""
    sizes = {"course_utils": 0, "course_weights": 0}
    for name in listed():
        packs = PurePosixPath(name).suffix in (".safetensors", ".npz", ".png")
        size = (ROOT / name).stat().st_size
        sizes[name.split("/")[0]] += size if packs else size / 2
    assert max(sizes.values()) < 100e6


def test_the_second_shelf_alone_is_its_listing(tmp_path):
    junk = [name for name in JUNK if name.startswith("course_weights/")]
    hollow(tmp_path, *(name for name in junk if "/build/" not in name))  # its own place
    shelf = tmp_path / "course_weights"
    for name in ("pyproject.toml", "LICENSE"):
        source = ROOT if name == "LICENSE" else ROOT / "course_weights"
        (shelf / name).write_bytes((source / name).read_bytes())
    found = members(built(shelf)[0], no={"entry_points.txt"})
    assert found == {x for x in listed() if x.startswith("course_weights/")}


@pytest.mark.room
@pytest.mark.timeout(600)
def test_the_real_wheel_holds_what_is_listed(tmp_path):
    wheel = bundle._own_wheel(ROOT, tmp_path)
    assert members(wheel) == listed()
    with zipfile.ZipFile(wheel) as file:
        for name in listed():
            assert file.read(name) == (ROOT / name).read_bytes(), name
