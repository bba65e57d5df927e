"""Progress that the learner owns: noted, shown, cleared, collected, never lost."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

from course_utils import check as check_room
from course_utils.check import Exercise, check, progress
from course_utils.commands import cli
from course_utils.commands import progress as shown


@pytest.fixture
def file(monkeypatch, tmp_path):
    path = tmp_path / "new folder" / "mine.json"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def easy(monkeypatch):
    """Exercises whose right answer is 1."""
    task = Exercise(reference=1, mistakes={}, hint="")
    monkeypatch.setattr(check_room, "find", lambda name: task)


def course(*words):
    return CliRunner().invoke(cli.main, ["progress", *words])


def written(path, **passed):
    days = {name.replace("_", "."): day for name, day in passed.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"course": progress.COURSE, "passed": days}))


def test_a_right_answer_is_noted_once_and_a_wrong_one_is_not(file, easy, capsys):
    check("05.1", 2)
    assert not file.exists()
    check("05.1", 1)
    first = file.read_text()
    check("05.1", 1)
    assert file.read_text() == first
    assert list(progress.read(file)["passed"]) == ["05.1"]
    assert "not noted" not in capsys.readouterr().out


def test_by_default_it_lies_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert progress.place() == tmp_path / "course-progress.json"


def test_off_notes_nothing(file, easy, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    check("05.1", 1)
    assert not file.parent.exists()
    assert "unset it" in course().output


def test_what_is_switched_off_stays_off_until_it_is_on_again(file):
    progress.note("05.1")
    assert course("--off").exit_code == 0
    progress.note("05.2")
    assert progress.read(file)["passed"] == {}
    assert course("--on").exit_code == 0
    progress.note("05.2")
    assert list(progress.read(file)["passed"]) == ["05.2"]


def test_it_can_be_cleared(file):
    progress.note("05.1")
    assert "\n0 of " in course("--clear").output
    assert progress.read(file)["passed"] == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"course": "gener', "damaged: "),
        ("", "damaged: "),
        ('{"name": "a web site"}', "it belongs to something else"),
        ("[1, 2]", "it belongs to something else"),
        (f'{{"course": "{progress.COURSE}", "passed": ["05.1"]}}', "list of passes"),
        (f'{{"course": "{progress.COURSE}", "passed": {{"a": 1}}}}', "list of passes"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_and_stays(
    file, easy, capsys, content, says
):
    file.parent.mkdir()
    file.write_text(content)
    check("05.1", 1)
    said = capsys.readouterr().out
    assert "✓ 05.1 right" in said and says in said and "rename or mend it" in said
    assert file.read_text() == content
    for words in ((), ("--clear",), ("--off",)):
        done = course(*words)
        assert done.exit_code == 1 and says in done.output
    assert file.read_text() == content


def test_bytes_that_are_no_text_stay_too(file, easy):
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe\x00")
    assert "it is no text" in progress.note("05.1")
    assert file.read_bytes() == b"\xff\xfe\x00"


def test_what_a_later_version_wrote_is_kept(file):
    later = {"course": progress.COURSE, "passed": {"99.1": "2031-01-01"}, "new": [1]}
    file.parent.mkdir()
    file.write_text(json.dumps(later))
    progress.note("05.1")
    kept = json.loads(file.read_text())
    assert kept["new"] == [1] and set(kept["passed"]) == {"99.1", "05.1"}
    assert "1 of " in course().output


def test_a_place_that_cannot_be_written_does_not_stop_the_lesson(
    easy, monkeypatch, tmp_path, capsys
):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "a file" / "mine.json"))
    check("05.1", 1)
    assert "not noted in your progress" in capsys.readouterr().out


def test_many_notebooks_at_once_lose_no_pass(file):
    code = (
        "import sys, importlib.util as u\n"
        f"spec = u.spec_from_file_location('p', {progress.__file__!r})\n"
        "p = u.module_from_spec(spec); spec.loader.exec_module(p)\n"
        "for i in range(20):\n"
        "    said = p.note(f'{sys.argv[1]}.{i}')\n"
        "    assert not said, said"
    )

    def notebook(number):
        command = [sys.executable, "-c", code, str(number)]
        return subprocess.run(command, env=os.environ, capture_output=True, text=True)

    with ThreadPoolExecutor(4) as pool:
        for done in pool.map(notebook, range(4)):
            assert done.returncode == 0, done.stderr
    assert len(progress.read(file)["passed"]) == 80


def test_a_file_in_use_says_so(file, monkeypatch):
    def busy(*args, **kwargs):
        raise progress.Timeout(str(file))

    monkeypatch.setattr(progress, "FileLock", busy)
    assert "in use by another program" in progress.note("05.1")


def test_the_page_shows_what_is_passed_and_what_is_open(file):
    written(file, **{"05_1": "2026-05-04"})
    done = course()
    assert done.exit_code == 0 and "05  1 of " in done.output
    page = file.with_suffix(".html").read_text("utf-8")
    assert "✓ 05.1" in page and "passed 2026-05-04" in page and "· 05.2" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_class_is_a_table_of_its_files(file, tmp_path):
    folder = tmp_path / "class"
    written(folder / "anna.json", **{"05_1": "2026-05-04", "05_2": "2026-05-04"})
    written(folder / "bo <b>.json", **{"05_1": "2026-05-04"})
    written(folder / "cy" / progress.NAME)  # a home folder
    done = course(str(folder))
    assert done.exit_code == 0 and "3 learners" in done.output
    assert [line.split()[0] for line in done.output.splitlines()[:3]] == [
        "anna", "bo", "cy"]  # fmt: skip
    assert "05:2" in done.output
    page = (tmp_path / "class-progress.html").read_text("utf-8")
    assert "bo &lt;b&gt;" in page and "<b>" not in page
    assert "<th scope=row>05.2</th><td class=number>1 of 2</td>" in page


def test_a_file_that_cannot_be_counted_is_named_and_the_others_count(file, tmp_path):
    folder = tmp_path / "class"
    written(folder / "anna.json", **{"05_1": "2026-05-04"})
    (folder / "bo.json").write_text("{")
    done = course(str(folder))
    assert done.exit_code == 1 and "1 learner;" in done.output
    [said] = [x for x in done.output.splitlines() if x.startswith("not counted")]
    assert "bo.json is no file of progress (damaged" in said
    assert (folder / "bo.json").read_text() == "{"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "nowhere is no folder"),
        (["."], "no progress in ."),
        ([".", "--clear"], "no FOLDER"),
    ],
)
def test_bad_input_is_one_line(file, words, says):
    done = course(*words)
    assert done.exit_code == 1 and says in done.output
    assert len(done.output.splitlines()) == 1


def test_every_exercise_is_in_the_table():
    tasks = shown.exercises()
    assert tasks["02"] and all(n.startswith(x) for x in tasks for n in tasks[x])


def test_the_runner_passes_nothing_in_a_learners_name(tmp_path):
    from course_utils.commands import kernel

    assert kernel._environment(tmp_path, 1)["COURSE_PROGRESS"] == "off"
