"""Full disks, folders that cannot be written, odd names, no home: a sentence each."""

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from course_utils import session
from course_utils.check import progress
from course_utils.commands import cli, killed, leaving, tidy
from course_utils.models import difference

ROOT = Path(__file__).resolve().parent.parent
COURSE = [sys.executable, "-c", "from course_utils.commands.cli import main; main()"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_disk_that_fills_up_stops_a_training_with_a_sentence(tmp_path, capfd):
    """No file may grow beyond 99 kB: the first checkpoint does not fit."""
    import resource
    import signal

    def short_of_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (99_000, 99_000))
        killed.recipe._check_writable = lambda folder: folder.mkdir(exist_ok=True)
        killed.tiny_training(tmp_path)

    assert killed.end_of(short_of_room) == 1
    said = capfd.readouterr().err
    assert re.search(
        r"OSError: .*state.safetensors cannot be written .*free some", said
    )
    assert not [*tmp_path.rglob("*.part")] and not [*(tmp_path / "out").iterdir()]
    (tmp_path / "whole").mkdir()
    for place in (tmp_path, tmp_path / "whole"):  # there is room now: it goes on
        assert killed.end_of(lambda: killed.tiny_training(place)) == 0  # noqa: B023
    assert killed.left_by(tmp_path) == killed.left_by(tmp_path / "whole")


# Python makes UTF-8 of the locale C by itself, unless it is told not to
ASCII = dict(PYTHONIOENCODING="ascii", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")


@pytest.mark.parametrize("forced", [{}, ASCII], ids=["locale C", "ASCII"])
def test_a_course_runs_in_any_folder_any_locale_and_without_a_home(
    forced, notebook, tmp_path
):
    path = notebook(
        "05_größe", "from course_utils import session\nprint('✓ größer')\n"
        "session.record('05', share=0.5, floor=0, ceiling=1)"
    )  # fmt: skip
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # as Windows saves it
    place = tmp_path / "Ein Ordner, für alle"
    (place / "tmp").mkdir(parents=True)
    os.replace(path.parent, place / "notebooks")
    short = tmp_path if forced else place / "tmp"
    env = os.environ | dict(LC_ALL="C", HOME="/dev/null/none", TMPDIR=str(short))
    env |= forced
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "no_network"), str(ROOT)])
    done = subprocess.run(
        [*COURSE, "run", "05", "--run", "quick"],
        cwd=place,
        env=env,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b"Traceback" not in done.stderr
    rows = json.loads((place / "build/course/scores.json").read_text("utf-8"))
    assert rows[0]["metric"] == "share"
    assert "✓ größer" in (place / "build/course/05_größe.html").read_text("utf-8")


@pytest.mark.parametrize("verb", ["progress", "doctor"])
def test_where_only_ascii_is_spoken_a_verb_shows_the_rest_as_question_marks(
    verb, notebook, tmp_path
):
    place = notebook("05_größe", "1").parent.parent.rename(tmp_path.with_name("Öde"))
    env = os.environ | ASCII | dict(LC_ALL="C", PYTHONPATH=str(ROOT))
    env["COURSE_PROGRESS"] = str(place / "größer.json")
    done = subprocess.run([*COURSE, verb], cwd=place, env=env, capture_output=True)
    assert not re.search(b"Traceback|codec|surrogate", done.stdout + done.stderr)
    assert b"?" in done.stdout if verb == "progress" else b"python " in done.stdout
    place.rename(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL here")
def test_what_a_killed_run_leaves_goes_with_the_next_one(notebook, tmp_path):
    slow = notebook("05_x", "open('begun', 'w').close()\nimport time; time.sleep(99)")
    place, begun = tmp_path / "tmp", slow.with_name("begun")
    place.mkdir()
    env = os.environ | dict(TMPDIR=str(place), PYTHONPATH=str(ROOT))
    command = [*COURSE, "run", "05", "--run", "quick"]
    running = subprocess.Popen(command, cwd=tmp_path, env=env)
    while not begun.exists():
        assert running.poll() is None
        time.sleep(0.1)
    running.kill()
    running.wait()
    [left] = place.glob("course-*")
    notebook("05_x", "1")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True)
    assert done.returncode == 0, done.stdout
    assert not left.exists() and not [*place.glob("course-*")]


# verb: the folder that it keeps to itself
KEPT = {
    "run 05": "course",
    "notebooks 05": "notebooks",
    "claims 05": "claims",
    "soak 05": "soak",
    "bench tiny": "bench",
    "train oracle": "train/oracle",
    "slides 05": ".",
    "site": ".",
    "bundle": ".",
}


@pytest.mark.parametrize("verb", KEPT)
def test_a_second_run_in_a_folder_says_that_the_first_is_at_work(
    verb, notebook, tmp_path, monkeypatch
):
    notebook("05_x", "1")
    monkeypatch.chdir(tmp_path)
    with session.lock(f"build/{KEPT[verb]}", "course this, too"):
        said = CliRunner().invoke(cli.main, verb.split())
    assert said.exit_code == 1 and said.output.count("\n") == 1
    assert re.search(
        rf"in use \(course this, too, process {os.getpid()}, since .*wait for its end",
        said.output,
    )
    assert not [*Path("build").rglob("*.ipynb")]


def test_of_two_real_runs_at_once_the_second_says_so(notebook, tmp_path):
    waits = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.1)"
    go = notebook("05_x", waits).with_name("go")
    env = os.environ | dict(PYTHONPATH=str(ROOT))
    command = [*COURSE, "run", "05", "--run", "quick"]
    first = subprocess.Popen(command, cwd=tmp_path, env=env)
    while not (tmp_path / "build/course/.locked-by").exists():
        assert first.poll() is None
        time.sleep(0.1)
    second = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True)
    go.touch()
    assert second.returncode == 1 and second.stderr.startswith(b"Error: folder ")
    assert b"in use (course run, process %d" % first.pid in second.stderr
    assert first.wait() == 0


def test_a_reader_who_has_seen_enough_hears_no_complaint():
    verb = "import click; from course_utils.commands.leaving import leave\n"
    verb += "say = lambda: [print('x' * 99, flush=True) for _ in range(99999)]\n"
    verb += "click.command()(lambda: leave(say))()"
    env = os.environ | dict(PYTHONPATH=str(ROOT))
    kept = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    with subprocess.Popen([sys.executable, "-c", verb], **kept) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 1 and process.stderr.read() == b""


@pytest.fixture
def homeless(monkeypatch):
    """As for a user whom the system does not know, where HOME is not set."""
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "COURSE_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)


def test_without_a_home_the_progress_is_not_noted_and_that_is_said(homeless):
    assert "there is no home folder: set COURSE_PROGRESS" in progress.note("05.1")
    said = CliRunner().invoke(cli.main, ["progress"])
    assert said.exit_code == 1 and "Error: there is no home folder" in said.output


def test_without_a_home_models_are_put_together_in_a_temporary_folder(homeless):
    assert difference._cache().name.startswith("generative-vision-course-")
    assert tidy.hide_paths("~/x and /tmp") == "~/x and /tmp"


@pytest.mark.parametrize("verb", ["run 05", "notebooks 05", "soak", "bench tiny"])
def test_where_nothing_can_be_written_a_verb_says_so_first(
    verb, notebook, tmp_path, monkeypatch
):
    notebook("05_x", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build").touch()  # no folder can be made there
    said = CliRunner().invoke(cli.main, verb.split())
    assert said.exit_code == 1 and said.output.count("\n") == 1
    assert re.search(
        "Error: folder .*build.* cannot be written .*free some", said.output
    )


def test_words_of_the_system_get_a_cure():
    error = OSError(28, "No space left on device", "/x/y.html")
    with pytest.raises(click.ClickException, match=r"y.html .*No space .*free some"):
        leaving.leave(lambda: (_ for _ in ()).throw(error))


def test_a_terminal_of_plain_letters_shows_what_it_can(monkeypatch):
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    with pytest.raises(SystemExit, match="0"):
        leaving.leave(lambda: print("✓ größer", flush=True) is None)
    assert plain.buffer.getvalue() == b"? gr??er\n"


def test_no_clock_that_may_jump_measures_anything():
    """time.time goes back when a clock is set; monotonic and perf_counter never do."""
    for path in (ROOT / "course_utils").rglob("*.py"):
        assert "time.time()" not in path.read_text("utf-8"), path
