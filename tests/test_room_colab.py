"""A lesson alone on Colab, as far as one can know without Colab.

An environment with Colab's versions, an empty folder, one notebook. Its first cell
installs the course's wheel into what is there; then the network is cut, in the same
kernel and with no restart, and the lesson runs to its end. Run by `make test-room`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import nbformat
import pytest

from course_utils.commands import address, bundle

ROOT = Path(__file__).resolve().parent.parent
LESSONS = ("00", "14", "19")  # the set-up check, diffusers, training with peft
# What Colab's diffusers has to hear from Colab's transformers, at import.
ITS_OWN = "`Siglip2ImageProcessorFast` is deprecated"
STAND_IN = {
    "google/colab/__init__.py": "from google.colab import files, output\n",
    "google/colab/files.py": "def upload(): ...\ndef download(path): ...\n",
    "google/colab/output.py": "def enable_custom_widget_manager(): ...\n",
    "sitecustomize.py": "import google.colab  # Colab has it there from the start\n",
}
pytestmark = [pytest.mark.room, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def colab():
    """The Python of an environment with Colab's versions, kept in build/ for next time.

    torch is the one exception: it is the one that runs these tests, because the build
    that Colab has brings gigabytes for a GPU.
    """
    wanted = (ROOT / "tests" / "colab.txt").read_text("utf-8")
    wanted = [line for line in wanted.splitlines() if not line.startswith("#")]
    ours = f"torch=={metadata.version('torch')}"
    wanted = [ours if line.startswith("torch==") else line for line in wanted]
    mark = hashlib.sha256(f"{wanted} {sys.version}".encode()).hexdigest()[:10]
    home = ROOT / "build" / "room" / f"colab-{mark}"
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        ask(python, "-m", "pip", "install", "-q", "--no-compile", *wanted)  # half of it
        (home / "ready").touch()
    yield python
    ask(python, "-m", "pip", "uninstall", "-q", "-y", "generative-vision-course")


def ask(python, *words, **more):
    done = subprocess.run([python, *words], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def installed(python):
    lines = ask(python, "-m", "pip", "list", "--format=freeze").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return bundle._own_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def run_alone(colab, wheel, tmp_path):
    """A function that runs a lesson alone; the network is cut after its first cell."""
    for name, text in STAND_IN.items():
        path = tmp_path / "colab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = os.environ | {
        "COURSE_INSTALL": str(wheel),
        "COURSE_RUN": "quick",
        "PYTHONPATH": str(tmp_path / "colab"),
        "PATH": f"{colab.parent}{os.pathsep}{os.environ['PATH']}",
    }

    def run(number):
        alone = tmp_path / "alone"
        alone.mkdir()
        [path] = ROOT.glob(f"notebooks/{number}_*.ipynb")
        nb = nbformat.read(shutil.copy(path, alone), as_version=4)
        first = next(i for i, c in enumerate(nb.cells) if c.cell_type == "code")
        guard = (ROOT / "tests" / "no_network" / "sitecustomize.py").read_text("utf-8")
        nb.cells.insert(first + 1, nbformat.v4.new_code_cell(guard))
        nbformat.write(nb, alone / path.name)
        command = ["-m", "nbconvert", "--to", "notebook", "--execute", path.name]
        command += ["--output", "done", "--ExecutePreprocessor.timeout=900"]
        ask(colab, *command, env=env, cwd=alone)
        done = nbformat.read(alone / "done.ipynb", as_version=4)
        return [cell for cell in done.cells if cell.cell_type == "code"]

    return run


@pytest.mark.parametrize("number", LESSONS)
def test_a_lone_lesson_installs_the_course_and_replaces_nothing(
    number, colab, run_alone
):
    before = installed(colab)
    cells = run_alone(number)
    assert cells[0].source == address.bootstrap(address.current(ROOT))
    after = installed(colab)
    assert "generative-vision-course" in after
    replaced = {k: (v, after.get(k)) for k, v in before.items() if after.get(k) != v}
    assert not replaced
    outputs = [output for cell in cells[1:] for output in cell.outputs]
    outputs = [output for output in outputs if ITS_OWN not in output.get("text", "")]
    wrong = [
        o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"
    ]
    assert outputs and not wrong


def test_the_versions_are_those_of_colab(colab):
    there = installed(colab)
    assert there["ipywidgets"] == "7.7.1" and there["ipython"] == "7.34.0"
