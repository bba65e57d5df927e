import json
import os
import subprocess
import sys
from importlib import metadata

import nbformat
import pytest

from course_utils.commands import costs, doctor, findings


def cures(look):
    return [finding.cure for finding in look()]


def test_this_machine_is_fine_where_it_matters():
    for look in (
        findings.see_python,
        findings.see_packages,
        findings.see_torch,
        findings.see_kernel,
    ):
        assert not any(cures(look)), look.__name__


def test_a_version_below_its_floor_is_named_with_the_cure(monkeypatch):
    real = metadata.version
    old = {"diffusers": "0.3.0"}
    monkeypatch.setattr(metadata, "version", lambda name: old.get(name) or real(name))
    wrong = [finding for finding in findings.see_packages() if finding.cure]
    assert [finding.what for finding in wrong] == ["diffusers"]
    assert wrong[0].cure.startswith("pip install 'diffusers>=")


def test_a_missing_package_is_named(monkeypatch):
    def version(name):
        if name == "scipy":
            raise metadata.PackageNotFoundError(name)
        return "9999"

    monkeypatch.setattr(metadata, "version", version)
    assert ("scipy", findings.INSTALL) in [
        (f.what, f.cure) for f in findings.see_packages()
    ]


def test_an_install_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(findings, "DISTRIBUTION", "not-there-at-all")
    assert cures(findings.see_packages) == [findings.INSTALL]


def test_more_threads_than_cores_are_too_many(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    [cure] = cures(findings.see_threads)
    assert cure.startswith("export OMP_NUM_THREADS=")


def test_the_containers_memory_limit_counts(tmp_path):
    (tmp_path / "memory.max").write_text("700000000\n")
    (tmp_path / "memory.current").write_text("500000000\n")
    assert findings.free_memory(tmp_path) == 200
    (tmp_path / "memory.max").write_text("max\n")
    assert findings.free_memory(tmp_path) > 200


def test_little_memory_and_disk_are_said(monkeypatch):
    monkeypatch.setattr(findings, "free_memory", lambda: 300.0)
    assert cures(findings.see_memory) == [
        "close other programs and other notebooks' kernels"
    ]


def test_a_kernel_of_another_python_is_found(monkeypatch, tmp_path):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    other = tmp_path / "python"
    other.touch()
    (folder / "kernel.json").write_text(
        f'{{"argv": ["{other.as_posix()}"], "display_name": "x", "language": "python"}}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert cures(findings.see_kernel) == ["python -m ipykernel install --sys-prefix"]


def test_a_damaged_weight_is_named_with_its_cure(monkeypatch):
    from course_utils import models

    said = {"judge-digits": "x is damaged: run y"}
    monkeypatch.setattr(models, "verify", lambda: said)
    [finding] = findings.see_weights()
    assert finding == ("weights", "judge-digits", "x is damaged: run y")


def test_each_lesson_gets_a_verdict(notebook, monkeypatch, tmp_path):
    path = notebook("05_x", "x = 1")
    text = path.read_text("utf-8").replace(
        "# 05", "**Needs** about 2 min and 0.8 GB on two cores. # 05"
    )
    path.write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(findings, "free_memory", lambda: 9000.0)
    assert list(doctor.verdicts([])) == [("05_x", "ready (about 120 s and 0.8 GB)")]
    broken = findings.Finding("torch", "missing", "install it")
    assert list(doctor.verdicts([broken])) == [
        ("05_x", "cannot run yet: look at torch")
    ]
    monkeypatch.setattr(findings, "free_memory", lambda: 500.0)
    [(_, verdict)] = doctor.verdicts([])
    assert verdict == "short of memory: about 120 s and 0.8 GB, 0.5 GB free"


DAMAGED = [findings.Finding("weights", "oracle", "restore it")]


@pytest.mark.parametrize(
    ("weights", "verdict"),
    [
        (["oracle", "tiny-sd"], "cannot run yet: look at weights oracle"),
        (["tiny-sd"], "ready"),
        ([], "ready"),
        (None, "ready, unless it needs the weights oracle"),
    ],
)
def test_a_damaged_weight_stops_the_lessons_that_open_it(
    notebook, monkeypatch, tmp_path, weights, verdict
):
    path = notebook("05_x", "x = 1")
    if weights is not None:
        nb = nbformat.read(path, 4)
        nb.metadata["course"] = {"weights": weights}
        nbformat.write(nb, path)
    monkeypatch.chdir(tmp_path)
    assert list(doctor.verdicts(DAMAGED)) == [("05_x", verdict)]


def test_the_last_run_says_what_a_lesson_takes_and_opens(notebook, tmp_path):
    path = notebook("05_x", "x = 1")
    row = {"run": "laptop", "seconds": 40, "peak_mb": 700, "weights": ["clip"]}
    folder = tmp_path / "build" / "course"
    folder.mkdir(parents=True)
    (folder / "lessons.json").write_text(json.dumps({"05_x": row}))
    assert costs.of(path) == (40, 700, ("clip",))
    assert costs.of(path, "quick") == (0, 0, ("clip",))


def test_lost_hashes_stop_what_needs_a_weight(monkeypatch):
    from course_utils import models

    monkeypatch.setattr(models, "verify", lambda: open("/not/there"))
    [finding] = doctor._findings(findings.see_weights)
    needs = costs.Cost(weights=("oracle",))
    said = doctor._verdict(needs, [finding], 9000)
    assert said == "cannot run yet: look at weights unknown"
    assert doctor._verdict(costs.Cost(weights=()), [finding], 9000) == "ready"


def test_a_damaged_notebook_has_its_verdict(notebook, monkeypatch, tmp_path):
    notebook("05_x", "x = 1").write_text("{")
    monkeypatch.chdir(tmp_path)
    [(_, verdict)] = doctor.verdicts([])
    assert verdict.startswith("cannot run yet: 05_x.ipynb is damaged")


@pytest.mark.parametrize("missing", ["torch", "numpy", "papermill"])
def test_the_doctor_works_where_others_do_not(missing, tmp_path):
    broken = tmp_path / f"{missing}.py"
    broken.write_text("raise ImportError('no such wheel for this machine')")
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    code = "import sys; from course_utils.commands import doctor\n"
    code += "sys.exit(not doctor.examine())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True
    )
    assert done.returncode == 1 or missing == "papermill"
    assert "Traceback" not in done.stderr and "cannot run yet" in done.stdout
