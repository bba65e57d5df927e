"""One address in every place; until it is set, nothing is installed from anywhere."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from course_utils.commands import address
from course_utils.commands.cli import main

ROOT = Path(__file__).resolve().parent.parent
URL = "https://github.com/somebody/their-course"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of everything that knows the address."""
    for name in (*address.WRITERS, "notebooks"):
        source, copy = ROOT / name, tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_places_agree():
    for path, text in address.texts(address.current(ROOT), ROOT).items():
        assert path.read_text("utf-8") == text, f"{path.name}: say `course address`"


def test_an_address_is_written_everywhere_and_taken_back(course):
    before = {path: path.read_text() for path in address.texts("", course)}
    address.set_address("", course)
    changed = address.set_address(f"{URL}.git/", course)
    assert {"README.md", "pyproject.toml", "CITATION.cff"} < set(changed)
    assert address.current(course) == URL
    for path in address.texts(URL, course):
        assert URL.removeprefix("https://") in path.read_text() or "colab" in str(path)
    assert address.set_address(URL, course) == []
    address.set_address(address.current(ROOT), course)
    assert {path: path.read_text() for path in before} == before


def test_a_badge_opens_the_lesson_or_says_what_to_do():
    line = address.badge(URL, "05_x.ipynb")
    assert "google.com/github/somebody/their-course/blob/main/notebooks/05_x" in line
    assert address.badge("", "05_x.ipynb").endswith("](../README.md#on-colab)")
    assert address.badge("https://gitlab.com/a/b", "05_x.ipynb").endswith("colab)")
    assert "### On Colab" in (ROOT / "README.md").read_text("utf-8")


def run(source, **env):
    """Run a bootstrap where the course is missing; pip only says what it would do."""
    program = (
        "import subprocess, sys\n"
        "sys.modules['course_utils'] = None\n"
        "def check_call(command):\n"
        "    print(command[1:])\n"
        "    del sys.modules['course_utils']\n"
        "subprocess.check_call = check_call\n"
        f"exec({source!r})\n"
        "print(course_utils.__name__)"
    )
    clean = {k: v for k, v in os.environ.items() if k != "COURSE_INSTALL"}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, env=clean | env)


def test_the_first_cell_installs_from_the_address():
    done = run(address.bootstrap(URL))
    asked = f"['-m', 'pip', 'install', '-q', 'git+{URL}']"
    assert done.stdout.splitlines() == [asked, "course_utils"], done.stderr


def test_without_an_address_the_first_cell_says_what_to_do_and_installs_nothing():
    done = run(address.bootstrap(""))
    assert done.returncode == 1 and done.stdout == ""
    assert "set COURSE_INSTALL to it" in done.stderr
    asked = run(address.bootstrap(""), COURSE_INSTALL="/a/folder")
    assert "'/a/folder'" in asked.stdout


def test_the_first_cell_is_short_and_plain():
    for known in ("", URL):
        lines = address.bootstrap(known).splitlines()
        assert len(lines) <= 10 and max(map(len, lines)) <= 88


@pytest.mark.parametrize(
    "bad", ["course", "http://a/b/c", "https://x.y/a; rm -rf", "-"]
)
def test_what_is_no_address_is_refused_and_nothing_is_written(bad, course):
    before = (course / "README.md").read_text()
    done = CliRunner().invoke(main, ["address", "--", bad])
    assert done.exit_code == 1 and "must be like https://github.com" in done.output
    assert (course / "README.md").read_text() == before


def test_a_file_that_lost_its_place_is_named_before_anything_is_written(course):
    (course / "CITATION.cff").write_text("title: x\n")
    with pytest.raises(ValueError, match="CITATION.cff has lost the place"):
        address.set_address(URL, course)
    assert URL not in (course / "README.md").read_text()


def test_the_verb_says_what_is_set(course):
    assert f"address: {URL}" in CliRunner().invoke(main, ["address", URL]).output
    assert f"address: {URL}" in CliRunner().invoke(main, ["address"]).output
    assert "none set" in CliRunner().invoke(main, ["address", "--unset"]).output
    done = CliRunner().invoke(main, ["address", URL, "--unset"])
    assert done.exit_code == 1 and "not both" in done.output


def test_outputs_stay_when_the_address_changes(course):
    address.set_address(URL, course)
    path = next((course / "notebooks").glob("05*"))
    cells = nbformat.read(path, as_version=4).cells
    assert any(cell.get("outputs") for cell in cells)
