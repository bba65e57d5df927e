"""`course bundle` and `course doctor --class`: a room without a network."""

import json
import os
import socket
import subprocess
import venv
from pathlib import Path

import pytest
from click.testing import CliRunner

from course_utils.commands import bundle, cli, doctor, room
from course_utils.commands.costs import Cost

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def course(notebook, monkeypatch, tmp_path):
    """A course with one lesson, where pip makes and fetches a wheel by name."""
    notebook("05_x", "x = 1")
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        (tmp_path / name).write_text(name)
    for name in ("course_utils", "course_weights"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    asked = []

    def pip(*words):
        asked.append(list(map(str, words)))
        target = Path(words[words.index("--wheel-dir" if words[0] == "wheel" else
                                        "--dest") + 1])  # fmt: skip
        name = "generative_vision_course" if words[0] == "wheel" else "torch"
        (target / f"{name}-1-py3-none-any.whl").write_text(name)

    monkeypatch.setattr(bundle, "_pip", pip)
    return asked


def said(*words):
    return CliRunner().invoke(cli.main, list(map(str, words)))


def test_the_bundle_has_wheels_lessons_and_a_page_that_says_what_to_type(
    course, tmp_path
):
    place = tmp_path / "stick"
    assert said("bundle", place).exit_code == 0
    assert len(list((place / "wheels").iterdir())) == 2
    assert (place / "notebooks" / "05_x.ipynb").is_file()
    text = (place / "README.md").read_text()
    assert '--no-index --find-links wheels "generative-vision-course[lab]"' in text
    assert "slides" not in text and max(map(len, text.splitlines())) <= 100
    assert bundle.problem(place) == ""
    [download] = [words for words in course if words[0] == "download"]
    assert download[-1].endswith(".whl[lab]") and "--only-binary" in download


def test_slides_that_are_built_come_along(course, tmp_path):
    (tmp_path / "build" / "slides").mkdir(parents=True)
    (tmp_path / "build" / "slides" / "05_x.html").write_text("deck")
    said("bundle", tmp_path / "stick")
    assert (tmp_path / "stick" / "slides" / "05_x.html").read_text() == "deck"
    assert "the slides in `slides`" in (tmp_path / "stick" / "README.md").read_text()


def test_an_archive_unpacks_to_one_folder(course, tmp_path):
    assert said("bundle", tmp_path / "stick.zip").exit_code == 0
    import shutil

    shutil.unpack_archive(tmp_path / "stick.zip", tmp_path / "copy")
    assert bundle.problem(tmp_path / "copy" / "stick") == ""


def test_one_folder_can_serve_several_kinds_of_machine(course, tmp_path, monkeypatch):
    place = tmp_path / "stick"
    said("bundle", place)
    monkeypatch.setattr(bundle.sysconfig, "get_platform", lambda: "win-amd64")
    assert "it serves Python" in bundle.problem(place)
    said("bundle", place)
    assert bundle.problem(place) == ""
    assert len(json.loads((place / bundle.LISTING).read_text())["made"]) == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: (p / "wheels" / "torch-1-py3-none-any.whl").write_text("half"),
         "wheels/torch-1-py3-none-any.whl is damaged"),
        (lambda p: (p / "wheels" / "torch-1-py3-none-any.whl").unlink(),
         "wheels/torch-1-py3-none-any.whl is missing"),
        (lambda p: (p / "bundle.json").unlink(), "not finished"),
        (lambda p: (p / "bundle.json").write_text("{"), "bundle.json is damaged"),
        (lambda p: (p / "notebooks" / "05_x.ipynb").write_text("work"), ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_bundle_is_named(course, tmp_path, spoil, says):
    said("bundle", tmp_path / "stick")
    spoil(tmp_path / "stick")
    problem = bundle.problem(tmp_path / "stick")
    assert problem.startswith(says) and bool(problem) == bool(says)


def test_without_a_network_pip_says_why_and_the_cure_follows(monkeypatch):
    words = "ERROR: No matching distribution found for torch==2.13.0\n"
    done = subprocess.CompletedProcess([], 1, "", f"a warning\n{words}")
    monkeypatch.setattr(bundle.subprocess, "run", lambda *a, **k: done)
    with pytest.raises(ValueError, match="No matching .* torch==2.13.0. A bundle is"):
        bundle._pip("download")


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("", "it says nothing"),
        ("WARNING: x\nOSError: disk full", "OSError: disk full"),
        ("ERROR: a\nERROR: a\nERROR: b\n", "a; b"),
    ],
)
def test_the_reason_is_a_line(stderr, reason):
    assert bundle.pip_reason(stderr) == reason


def test_a_stop_half_way_leaves_a_bundle_that_says_so(course, tmp_path, monkeypatch):
    said("bundle", tmp_path / "stick")

    def fails(*words):
        raise ValueError("pip download failed: no network")

    monkeypatch.setattr(bundle, "_pip", fails)
    done = said("bundle", tmp_path / "stick")
    assert done.exit_code == 1 and "no network" in done.output
    assert bundle.problem(tmp_path / "stick").startswith("not finished")


def test_a_folder_with_something_else_is_refused(course, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    done = said("bundle", tmp_path / "thesis")
    assert done.exit_code == 1 and "holds something else" in done.output


# doctor --class


@pytest.fixture
def machine(notebook, monkeypatch, tmp_path):
    """A function that sets what the machine has: free GB of memory, cores."""
    notebook("05_x", "x = 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(room.costs, "of", lambda path: Cost(60, 1300))

    def have(memory=100, cores=30):
        monkeypatch.setattr(room.findings, "free_memory", lambda: 1000.0 * memory)
        monkeypatch.setattr("course_utils.session.cores", lambda share=1: cores)

    have()
    return have


def cure(look):
    [finding] = look()
    return finding.cure


def test_a_server_that_holds_the_class_is_fine(machine):
    assert cure(lambda: room.see_room(30)) == "" == cure(lambda: room.see_cores(30))


def test_too_little_memory_says_how_many_fit(machine):
    machine(memory=20)
    assert cure(lambda: room.see_room(30)).startswith("it holds 13: take a larger")
    machine(memory=2)
    assert "close programs" in cure(lambda: room.see_room(1))


def test_too_few_cores_say_how_many_serve(machine):
    machine(cores=2)
    assert cure(lambda: room.see_cores(30)).startswith("10 cores serve 30")


def test_a_full_disk_is_said(machine, monkeypatch):
    usage = room.shutil.disk_usage(".")._replace(free=4e9)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage)
    assert cure(lambda: room.see_space(1)) == ""
    assert "free some space" in cure(lambda: room.see_space(30))


def test_a_taken_port_is_named(monkeypatch):
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        assert not room._free(door.getsockname()[1])
    monkeypatch.setattr(room, "_free", lambda port: port != 8081)
    [finding] = room.see_ports()
    assert finding.said == "taken: 8081" and finding.cure


def test_a_missing_hub_is_named_with_the_cure(machine, monkeypatch):
    monkeypatch.setattr(room.shutil, "which", lambda name: None)
    [finding] = room.see_hub()
    assert "configurable-http-proxy, node" in finding.said
    assert finding.cure.startswith("make hub-setup")


def test_the_bundle_is_found_and_compared(course, tmp_path):
    assert cure(room.see_bundle).startswith("course bundle")
    said("bundle", "build/bundle")
    [finding] = room.see_bundle()
    assert "hashes right" in finding.said and not finding.cure
    (tmp_path / "build" / "bundle" / "bundle.json").unlink()
    [finding] = room.see_bundle()
    assert finding.said.startswith("not finished") and "build" in finding.cure


def test_slides_are_counted(machine, tmp_path):
    assert [finding.said for finding in room.see_slides()] == ["not built"]
    (tmp_path / "build" / "slides").mkdir(parents=True)
    (tmp_path / "build" / "slides" / "05_x.html").touch()
    assert [f.said.split()[0] for f in room.see_slides()] == ["1"]


def test_a_kernel_that_lacks_the_course_is_found_out(monkeypatch):
    class Client:
        def execute_interactive(self, *args, **kwargs):
            broken = {"status": "error", "ename": "ImportError", "evalue": "no torch"}
            return {"content": broken}

        def stop_channels(self): ...

        def shutdown_kernel(self, now): ...

    monkeypatch.setattr(
        "jupyter_client.manager.start_new_kernel", lambda **k: (Client(), Client())
    )
    [finding] = room.see_start()
    assert "ImportError: no torch" in finding.said and finding.cure


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ()),
        (("--class",), ("start", "room", "space", "bundle", "slides")),
        (("--class", "30"), ("start", "room", "space", "cores", "hub", "ports")),
    ],
)
def test_the_doctor_looks_at_a_class_when_asked(machine, monkeypatch, words, names):
    monkeypatch.setattr(doctor.findings, "LOOKS", ())
    found = [doctor.Finding("start", "5 s")]
    monkeypatch.setattr(room, "see_start", lambda: iter(found))
    lines = said("doctor", *words).output.splitlines()
    assert (
        tuple(x.split()[0] for x in lines if " ok  " in x or "look here" in x) == names
    )


def test_a_class_of_nobody_is_refused(machine):
    done = said("doctor", "--class", "0")
    assert done.exit_code == 1 and "takes a number of students" in done.output


@pytest.mark.room
@pytest.mark.timeout(1800)
def test_a_room_without_a_network_installs_and_runs_from_the_bundle(tmp_path):
    """The real thing: bundle, copy, install with no index, look, run a lesson."""
    stick = tmp_path / "stick"
    bundle.gather(stick)
    venv.create(stick / ".venv", with_pip=True)
    python = stick / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    blocked = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    blocked |= {"PYTHONPATH": str(ROOT / "tests" / "no_network")}
    blocked |= {"PIP_CONFIG_FILE": os.devnull}  # no wheels but those of the bundle
    install = ["-m", "pip", "install", "-q", "--no-index", "--find-links", "wheels",
               "generative-vision-course[lab]"]  # fmt: skip
    script = "from course_utils.commands.cli import main; main()"
    for words in (
        install,
        ["-c", script, "doctor", "--class"],
        ["-c", script, "run", "02", "--run", "quick"],
    ):
        done = subprocess.run(
            [python, *words], cwd=stick, env=blocked, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "02_gan" in done.stdout
