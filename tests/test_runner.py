import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from course_utils.commands import runner, tidy

ROOT = Path(__file__).resolve().parent.parent


def run(path, out, **kwargs):
    return runner.run(path, out / path.name, **kwargs)


def texts(result):
    nb = nbformat.read(result.notebook, as_version=4)
    return [o.get("text", "") for c in nb.cells for o in c.get("outputs", [])]


def test_a_lesson_gets_its_parameters_and_leaves_its_scores(notebook, tmp_path):
    path = notebook(
        "05_ok",
        "from course_utils import session\nsession.start('05', run, seed)",
        "session.record('05', share=0.5, floor=0, ceiling=1)\nprint(run, seed)",
    )
    result = run(path, tmp_path, parameters={"run": "quick", "seed": 3})
    assert texts(result)[-1].endswith("quick 3\n")
    [score] = result.scores
    assert score["metric"] == "share" and score["run"] == "quick"
    assert result.seconds > 0 and not result.error


def test_the_kernel_is_this_python_whatever_is_registered(
    notebook, tmp_path, monkeypatch
):
    foreign = tmp_path / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text(
        '{"argv": ["/nowhere/python", "-f", "{connection_file}"], "language": "python",'
        ' "display_name": "elsewhere"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(foreign.parent.parent))
    monkeypatch.setenv("COURSE_RUN", "full")
    path = notebook(
        "05_ok", "import os, sys\nprint(sys.prefix, 'COURSE_RUN' in os.environ)"
    )
    out = tmp_path / "x.ipynb"
    monkeypatch.setattr(tidy, "hide_paths", lambda text: text)
    assert texts(runner.run(path, out)) == [f"{sys.prefix} False\n"]


def test_peak_memory_is_the_kernels_own(notebook, tmp_path):
    path = notebook("05_big", "x = bytearray(300_000_000)\ndel x")
    small = run(notebook("06_small", "x = 1"), tmp_path)
    assert 280 < run(path, tmp_path).peak_mb - small.peak_mb < 330


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"sed": 1}, "no parameter 'sed'; it has run, seed"),
        ({"run": "big"}, "run must be quick, laptop or full, not 'big'"),
    ],
)
def test_unknown_parameters_and_sizes_are_refused(notebook, parameters, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        run(notebook("05_ok", "x = 1"), tmp_path, parameters=parameters)


@pytest.mark.parametrize("tagged", [0, 2])
def test_the_parameters_tag_must_be_there_once(notebook, tagged, tmp_path):
    with pytest.raises(ValueError, match=f"has {tagged} cells tagged `parameters`"):
        run(notebook("05_ok", "x = 1", tagged=tagged), tmp_path)


def test_a_foreign_kernel_is_refused(notebook, tmp_path):
    with pytest.raises(ValueError, match="kernel 'student-env'.*choose the kernel"):
        run(notebook("05_ok", "x = 1", kernel="student-env"), tmp_path)


def test_a_failing_cell_says_where_and_keeps_the_page(notebook, tmp_path):
    path = notebook("05_bad", "x = 1", "# why\n1 / 0", "y = 2")
    with pytest.raises(runner.LessonFailed, match="ZeroDivisionError") as caught:
        run(path, tmp_path)
    result = caught.value.result
    assert result.error == "cell [3] `# why`: ZeroDivisionError: division by zero"
    counts = [c.get("execution_count") for c in nbformat.read(result.notebook, 4).cells]
    assert counts == [None, 1, 2, 3, None]


@pytest.mark.parametrize("death", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_a_dead_kernel_is_reported_in_seconds(notebook, tmp_path, death):
    if "kill" in death and os.name == "nt":
        pytest.skip("no such signal on Windows")
    with pytest.raises(runner.LessonFailed, match="the kernel died") as caught:
        run(notebook("05_dead", f"import os\n{death}"), tmp_path, timeout=600)
    assert caught.value.result.seconds < 60


def test_the_last_words_of_a_dead_kernel_are_passed_on(notebook, tmp_path):
    path = notebook("05_dead", "x = 1")
    died = "import sys\nsys.exit('zmq.error: address in use')\n"
    path.with_name("ipykernel_launcher.py").write_text(died)
    with pytest.raises(runner.LessonFailed, match="It said: zmq.error: address in use"):
        run(path, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="no such sockets on Windows")
def test_two_kernels_cannot_be_given_one_port(notebook, tmp_path, monkeypatch):
    path = notebook(
        "05_ok",
        "import json\nfrom ipykernel import get_connection_info\n"
        "print(json.loads(get_connection_info())['transport'])",
    )
    assert texts(run(path, tmp_path)) == ["ipc\n"]
    far = tmp_path / ("far" * 30)  # too far for the path of a socket
    far.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(far))
    assert texts(run(path, tmp_path)) == ["tcp\n"]


def test_a_cell_that_takes_too_long_is_stopped(notebook, tmp_path):
    path = notebook("05_slow", "import time\ntime.sleep(100)")
    with pytest.raises(runner.LessonFailed, match="took longer than 2 s"):
        run(path, tmp_path, timeout=2)


def noisy_notebook():
    view = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "IntSlider()"}
    cell = nbformat.v4.new_code_cell(
        "x",
        metadata={"papermill": {"duration": 1}, "tags": [], "ExecuteTime": {}},
        outputs=[
            nbformat.v4.new_output("display_data", data=view),
            nbformat.v4.new_output("stream", text="a\n"),
            nbformat.v4.new_output("stream", text=f"{sys.prefix}/lib/x.py\n"),
            nbformat.v4.new_output("stream", text="/tmp/ipykernel_12/34.py:1: hm\n"),
        ],
    )
    nb = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("x")])
    nb.metadata["widgets"] = {"state": {}}
    nb.metadata["papermill"] = {"input_path": "/home/me"}
    return nb


def test_stripping_leaves_nothing_of_the_machine():
    nb = tidy.strip_notebook(noisy_notebook())
    nbformat.validate(nb)
    assert set(nb.metadata) == {"kernelspec", "language_info"}
    assert [dict(cell.metadata) for cell in nb.cells] == [{}, {}]
    [output] = nb.cells[0].outputs
    assert output.text == "a\n<python>/lib/x.py\n<cell>:1: hm\n"


def test_a_notebook_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="nowhere.05_x.ipynb does not exist"):
        runner.run("nowhere/05_x.ipynb")


def test_stderr_and_opened_weights_are_noted(notebook, tmp_path):
    path = notebook(
        "05_warns",
        "import sys\nprint('careful', 'now', file=sys.stderr)\nprint('fine')",
        "from course_utils import models\nfor _ in range(2):\n    models.path('tiny')",
    )
    result = run(path, tmp_path)
    assert result.warnings == ("cell [2]: careful now",)
    assert result.weights == ("tiny-sd",)


def test_the_lesson_hears_how_many_threads_it_has(notebook, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    path = notebook("05_ok", "import os\nprint(os.environ['OMP_NUM_THREADS'])")
    assert texts(run(path, tmp_path, threads=3)) == ["3\n"]


def test_a_notebook_that_does_not_say_its_language_runs(notebook, tmp_path):
    path = notebook("05_ok", "x = 1")
    nb = nbformat.read(path, 4)
    del nb.metadata["language_info"]
    nbformat.write(nb, path)
    assert not run(path, tmp_path).error


def test_the_kernels_connection_file_goes_with_the_lessons_folder(notebook, tmp_path):
    code = "import ipykernel, os, tempfile\nfile = ipykernel.get_connection_file()\n"
    code += "print(os.path.samefile(os.path.dirname(file), tempfile.gettempdir()))"
    assert texts(run(notebook("05_ok", code), tmp_path)) == ["True\n"]


def test_what_a_lesson_leaves_in_the_temporary_folder_goes(notebook, tmp_path):
    path = notebook("05_ok", "import tempfile\nprint(tempfile.mkdtemp())")
    [text] = texts(run(path, tmp_path))
    assert text.startswith("<temp>") and "course-" not in text
    assert not list(Path(tempfile.gettempdir()).glob("course-*/" + text[-10:].strip()))


def test_the_title_gets_the_picture_and_the_cost_of_the_run():
    nb = noisy_notebook()
    title = "# 05\n\n**Needs** NEEDS. **Before this:** 00."
    nb.cells.insert(0, nbformat.v4.new_markdown_cell(title))
    picture = nbformat.v4.new_output("display_data", data={"image/png": "aGk="})
    nb.cells[1].metadata["tags"] = ["picture"]
    nb.cells[1].outputs.append(picture)
    tidy.dress(nb, seconds=93, peak_mb=640, weights=["oracle"])
    assert "**Needs** about 1 min 30 s and 0.6 GB on" in nb.cells[0].source
    assert nb.cells[0].attachments == {"picture.png": {"image/png": "aGk="}}
    again = nb.cells[0].source
    tidy.dress(nb, seconds=22, peak_mb=640, weights=["oracle"])
    assert again.replace("1 min 30 s", "20 s") == nb.cells[0].source
    assert tidy.strip_notebook(nb).metadata["course"] == {"weights": ["oracle"]}


def test_cell_ids_are_unique_and_come_out_the_same_again():
    first, again = (tidy.strip_notebook(noisy_notebook()) for _ in range(2))
    ids = [cell.id for cell in first.cells]
    assert len(set(ids)) == 2 and ids == [cell.id for cell in again.cells]


def test_saving_is_whole_or_not_at_all(tmp_path, monkeypatch):
    nb, file = noisy_notebook(), tmp_path / "x.ipynb"
    tidy.save_notebook(nb, file)
    before, nb.cells = file.read_text("utf-8"), []
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError))
    with pytest.raises(OSError):
        tidy.save_notebook(nb, file)
    assert file.read_text("utf-8") == before


def test_the_network_block_blocks():
    """The other tests of this folder lean on it, so it must not be an empty promise."""
    code = (
        "import socket\n"
        "socket.create_server(('127.0.0.1', 0)).close()\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except OSError as error: print(error)\n"
        "try: socket.socket().connect(('192.0.2.1', 80))\n"
        "except OSError as error: print(error)\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT / "tests" / "no_network")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert done.stdout.count(b"the network is blocked") == 2, done
