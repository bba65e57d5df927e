"""Lessons side by side: how many, in which order, and how it all ends."""

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from course_utils import session
from course_utils.commands import costs, interrupt, parallel, runner
from course_utils.commands.kernel import Watch
from course_utils.commands.status import Status


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(session, "cpu_quota", lambda: None)
    seen = {0, 1, 2, 3}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: seen, raising=False)


def test_a_core_a_lesson_and_a_thread_each(cores, monkeypatch):
    assert parallel.how_many(28) == (4, 1)
    assert parallel.how_many(3) == (3, 1)
    assert parallel.how_many(28, asked=6) == (6, 1)
    assert parallel.how_many(1) == parallel.how_many(28, asked=1) == (1, 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert parallel.how_many(28) == (2, 2)


@pytest.mark.parametrize("jobs", [0, -1])
def test_fewer_than_one_at_a_time_is_refused(jobs):
    with pytest.raises(ValueError, match=f"jobs={jobs} must be at least 1"):
        parallel.how_many(28, jobs)


def job(name, seconds=0.0, peak_mb=0.0):
    path = Path(f"{name}.ipynb")
    return parallel.Job(path, path, {}, costs.Cost(seconds, peak_mb))


@pytest.fixture
def pretend(monkeypatch):
    """A runner that only takes its time; returns [(what, running then), ...]."""
    running, seen = set(), []

    def run(source, out, values, *, watch, threads):
        running.add(source.stem)
        seen.append((source.stem, len(running)))
        time.sleep(0.2)
        running.remove(source.stem)
        return runner.Result(out, 0.2, 1.0, [])

    monkeypatch.setattr(runner, "run", run)
    return seen


def run_all(jobs, most, free_mb=1e9):
    status = Status(len(jobs), io.StringIO())
    with closing(parallel.run_all(jobs, most, 1, free_mb, status)) as results:
        return [job.source.stem for job, _ in results]


def test_the_longest_start_first_and_alone_they_keep_their_order(pretend):
    jobs = [job("00", 10), job("05", 30), job("06", 20)]
    assert sorted(run_all(jobs, most=2)) == ["00", "05", "06"]
    assert [name for name, _ in pretend] == ["05", "06", "00"]
    assert max(beside for _, beside in pretend) == 2
    assert run_all(jobs, most=1) == ["00", "05", "06"]


def test_what_memory_does_not_allow_waits(pretend):
    jobs = [job("05", 30, 900), job("06", 20, 600), job("00", 10, 100)]
    assert len(run_all(jobs, most=3, free_mb=1000)) == 3
    assert pretend[:2] == [("05", 1), ("00", 2)]
    assert run_all([job("27", 1, 5000)], most=3, free_mb=1000) == ["27"]


def test_an_error_of_our_own_ends_the_others_too(monkeypatch):
    ended = []
    monkeypatch.setattr(Watch, "end", lambda self: ended.append(self))

    def run(source, *_, **__):
        time.sleep(0.1 if source.stem == "05" else 0.4)
        raise OSError(f"no space left for {source.stem}")

    monkeypatch.setattr(runner, "run", run)
    with pytest.raises(OSError, match="no space left for 05"):
        run_all([job("05"), job("06")], most=2)
    assert len(ended) == 1


def test_on_a_terminal_one_line_lives_and_goes(monkeypatch):
    stream, watch = io.StringIO(), Watch()
    stream.isatty = lambda: True
    status, watch.cell, watch.cells = Status(2, stream), 7, 40
    status.now({"05_x": watch, "06_x": Watch()})
    assert stream.getvalue().endswith("now 05 cell 7/40, 06 starts")
    assert stream.getvalue().startswith("\r0 of 2 ended")
    status.end("05_x  12 s")
    lines = stream.getvalue().split("\r")
    assert lines[-2].strip() == "" and lines[-1] == "05_x  12 s\n"


def test_a_log_has_whole_lines_only_now_and_then():
    stream = io.StringIO()
    status = Status(2, stream, pause=0.2)
    for _ in range(5):
        status.now({"05_x": Watch()})
        time.sleep(0.1)
    status.end("05_x  12 s")
    text = stream.getvalue()
    assert "\r" not in text and text.endswith("\n") and text.count("\n") in (2, 3)


WAITS = """
import subprocess, tempfile, time
tempfile.mkdtemp()
child = subprocess.Popen(["{python}", "-c", "import time; time.sleep(300)"])
open("{mark}", "a").write(str(child.pid) + " ")
time.sleep(300)
"""


# A shell that puts the tests in the background lets them, and all they start, ignore
# Ctrl-C: what is tested here is a course that hears it.
COURSE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from course_utils.commands.cli import main
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are of Unix")
def test_a_kill_is_an_interrupt_while_lessons_run():
    with pytest.raises(KeyboardInterrupt), interrupt.kill_is_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are of Unix")
@pytest.mark.parametrize("where", ["submit", "shutdown"])
def test_a_kill_at_a_bad_moment_ends_every_lesson(monkeypatch, where):
    """As an exception it would leave a lesson unknown, or a thread not waited for."""

    class Killed(parallel.ThreadPoolExecutor):
        def submit(self, *args):
            future = super().submit(*args)
            if where == "submit":
                os.kill(os.getpid(), signal.SIGTERM)
            return future

        def shutdown(self, *args, **kwargs):
            os.kill(os.getpid(), signal.SIGTERM)
            super().shutdown(*args, **kwargs)

    watches = []

    def run(source, out, values, *, watch, threads):
        watches.append(watch)
        while not watch.ended and where == "submit":
            time.sleep(0.01)
        return runner.Result(out, 0.0, 0.0, [])

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Killed)
    monkeypatch.setattr(runner, "run", run)
    if where == "submit":
        with pytest.raises(KeyboardInterrupt):
            run_all([job("05"), job("06")], most=2)
        assert watches and all(watch.ended for watch in watches)
    else:
        assert sorted(run_all([job("05"), job("06")], most=2)) == ["05", "06"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are of Unix")
def test_an_interrupt_leaves_no_process_and_no_folder(notebook, tmp_path):
    mark, temporary = tmp_path / "mark", tmp_path / "temporary"
    temporary.mkdir()
    for name in ("05_waits", "06_waits"):
        notebook(name, WAITS.format(python=sys.executable, mark=mark))
    command = [sys.executable, "-c", COURSE, "run", "--jobs", "2"]
    env = os.environ | {"TMPDIR": str(temporary)}
    course = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 100
    while not mark.exists() or mark.read_text().count(" ") < 2:
        assert time.monotonic() < end and course.poll() is None
        time.sleep(0.1)
    family = psutil.Process(course.pid).children(recursive=True)
    course.send_signal(signal.SIGINT)
    assert "0 of 2 lessons had ended" in course.communicate(timeout=60)[0]
    assert course.returncode == 130 and len(family) >= 4
    assert not [p for p in family if p.is_running() and p.status() != "zombie"]
    assert list(temporary.iterdir()) == []
