import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from jupyter_client import KernelManager

from course_utils.commands import cli, leaving


@pytest.fixture
def course(notebook, monkeypatch, tmp_path):
    notebook("05_fine", "x = 1")
    notebook("06_bad", "1 / 0")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(cli.main, list(words))


def test_the_exit_code_says_whether_all_lessons_ran(course, tmp_path):
    assert course("run", "05", "--run", "quick").exit_code == 0
    assert course("run", "--run", "quick").exit_code == 1
    assert (tmp_path / "build" / "course" / "index.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run 99", "lesson 99 is not here; there are 05 06"),
        ("run 05 --run big", "run must be quick, laptop or full, not 'big'"),
        ("run 05 --set sed=1", "has no parameter 'sed'; it has run, seed"),
        ("run 05 --set seed", "--set takes NAME=VALUE"),
        ("run 05 --set run=full --run quick", "run is asked to be 'quick' and 'full'"),
        ("run 05 --jobs 0", "jobs=0 must be at least 1"),
        ("run 05x", "lesson 05x is not here"),
        ("notebooks 7", "lesson 7 is not here"),
        ("lab 99", "lesson 99 is not here"),
        ("lab 05,06", "lab opens one lesson"),
        ("train nothing", "nothing"),
        ("bench nothing", "bench is one of tiny, editing, sampling, training, not"),
        ("bench tiny --n 1", "n=1 must be at least 2"),
        ("bench tiny --seeds 2", "bench tiny has no option --seeds"),
        ("bench training --rows fast", "rows='fast' is none of: plain, "),
        ("bench tiny --minutes 2", "bench tiny has no option --minutes"),
        ("bench editing --n 0", "n=0 must be a whole number of at least 1"),
        ("bench editing --seeds 0", "seeds=0 must be a whole number"),
    ],
)
def test_bad_input_is_one_line_and_no_traceback(course, words, said):
    done = course(*words.split())
    assert done.exit_code == 1 and said in done.output
    assert len(done.output.splitlines()) == 1


def test_lab_encrypts_what_kernels_say_where_their_manager_can(course, monkeypatch):
    labapp = pytest.importorskip("jupyterlab.labapp")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")  # lab adds to it
    asked = []
    monkeypatch.setattr(labapp, "main", asked.append)
    for traits in ({"transport_encryption": "a trait"}, {}):
        monkeypatch.setattr(KernelManager, "class_traits", lambda told=traits: told)
        assert course("lab", "05").exit_code == 0
    new, old = map(set, asked)
    assert new - old == {"--KernelManager.transport_encryption=auto"} and old < new


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are of Unix")
def test_a_kill_stops_every_verb_as_ctrl_c_does(capsys):
    with pytest.raises(SystemExit) as left:
        leaving.leave(lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(5))
    assert left.value.code == 130 and capsys.readouterr().err == "stopped\n"


def test_a_folder_without_lessons_says_so(monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.main, ["run"])
    assert done.exit_code == 1 and "no lessons like 05_name.ipynb" in done.output


def test_the_script_and_its_verbs_are_installed():
    from importlib.metadata import entry_points

    [script] = [s for s in entry_points(group="console_scripts") if s.name == "course"]
    assert script.load() is cli.main
    verbs = {"run", "notebooks", "lab", "doctor", "train", "bench", "address"}
    verbs |= {"slides", "site", "progress", "bundle", "soak", "claims"}
    assert set(cli.main.commands) == verbs


def test_asking_for_help_does_not_wait_for_torch():
    code = "import sys; from course_utils.commands import cli\n"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
