"""What is written is whole or not there: after a kill, on a full disk, side by side."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from course_utils import training
from course_utils.measure import editing
from course_utils.training import whole

HOME = Path(__file__).resolve().parent.parent / "course_utils"
WRITERS = {
    "text": training.write_whole,
    "rows": lambda path, x: training.write_json(path, [x]),
    "tensors": lambda path, x: training.save_whole({x: torch.zeros(3)}, path),
    "bench": lambda path, x: editing.write_json(path, {"rows": [x]}),
}
KILLED = """
import os, signal, sys
from pathlib import Path
from course_utils.training import written_whole
with written_whole(sys.argv[1]) as part:
    part.write_text("half of i")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL here")
def test_a_kill_in_the_middle_leaves_the_old_file_and_what_nobody_reads(tmp_path):
    file = tmp_path / "scores [1].json"
    training.write_whole(file, "old")
    other = tmp_path / ".scores [1].json.1-beef.part"  # of another machine
    other.touch()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file)])
    assert killed.returncode == -9 and file.read_text() == "old"
    [half] = set(tmp_path.iterdir()) - {file, other}
    assert half.name.startswith(".scores") and half.suffix == ".part"
    assert not [*tmp_path.glob("*.json")][1:]
    training.write_whole(file, "new")
    assert file.read_text() == "new" and not half.exists() and other.exists()


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_fails_leaves_the_old_file_and_says_the_cure(
    name, tmp_path, monkeypatch
):
    file = tmp_path / "new folder" / "x.json"
    WRITERS[name](file, "old")
    before = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"x.json cannot be written \(No space.*free"):
        WRITERS[name](file, "new")
    assert file.read_bytes() == before and names(file.parent) == ["x.json"]


def test_whatever_stops_a_write_leaves_nothing_half(tmp_path):
    training.write_whole(tmp_path / "x", b"old")
    with pytest.raises(KeyboardInterrupt):
        with training.written_whole(tmp_path / "x") as part:
            part.write_text("ne")
            raise KeyboardInterrupt
    assert names(tmp_path) == ["x"] and (tmp_path / "x").read_text() == "old"


def test_two_who_write_the_same_place_do_not_disturb_each_other(tmp_path):
    file = tmp_path / "x.json"
    code = (
        "import sys; from course_utils import training\n"
        "for k in range(100): training.write_json(sys.argv[1], [sys.argv[2]] * 999)"
    )
    command = [sys.executable, "-c", code, str(file)]
    both = [subprocess.Popen([*command, x]) for x in "ab"]
    seen = set()
    while any(process.poll() is None for process in both):
        seen |= {file.read_text()} if file.exists() else set()
    assert [process.returncode for process in both] == [0, 0]
    full = [json.dumps([x] * 999, indent=1) + "\n" for x in "ab"]
    assert seen <= set(full) and names(tmp_path) == ["x.json"]


def test_an_own_folder_goes_at_the_end_and_that_of_a_dead_process_when_one_comes(
    tmp_path,
):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with whole.own_folder("x", tmp_path) as place:
        assert place.is_dir()
        machine = place.name.split("-")[2]
        kept = [f"x-{os.getppid()}-{machine}-a", f"x-{dead.pid}-beef-a"]
        kept += [f"y-{dead.pid}-{machine}-a", "x-1", f"x-{machine}-a"]
        for name in (*kept, f"x-{dead.pid}-{machine}-a"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").touch()
    with whole.own_folder("x", tmp_path) as place:
        assert names(tmp_path) == sorted([*kept, place.name])
    assert names(tmp_path) == sorted(kept)


def test_what_belongs_to_another_user_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(whole, "_mark", lambda: "99999999-beef")
    assert whole._is_of_the_dead(tmp_path, whole._mark())
    assert not whole._is_of_the_dead(tmp_path / "gone", whole._mark())
    if hasattr(os, "getuid"):
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        assert not whole._is_of_the_dead(tmp_path, whole._mark())


def test_line_ends_and_letters_are_the_same_everywhere(tmp_path):
    training.write_whole(tmp_path / "x", "✓\nä\n")
    assert (tmp_path / "x").read_bytes() == "✓\nä\n".encode()
    escaped = "ä".encode().decode("ascii", "surrogateescape")  # as Python reads a path
    training.write_whole(tmp_path / "x", escaped + "\udcff")
    assert (tmp_path / "x").read_text("utf-8") == "ä\N{REPLACEMENT CHARACTER}"
    training.save_whole({"x": torch.ones(2)}, tmp_path / "y.safetensors", {"a": "b"})
    assert load_file(tmp_path / "y.safetensors")["x"].tolist() == [1, 1]


# what is written in place, and why it may be
IN_PLACE = {
    "training/whole.py": "here is the other way",
    "training/captured.py": "a log that grows, begun afresh",
    "recipes/recipe.py": "a probe, which is deleted",
    "recipes/artifacts.py": "a log that grows: readers want the end of a line",
    "session.py": "notes that grow, and the note of a lock",
    "commands/site.py": "a folder that is made anew each time",
    "commands/site_lessons.py": "the same",
    "commands/slides.py": "a deck for Marp, which is deleted",
    "commands/killed.py": "goes nowhere",
    "commands/kernel.py": "what a kernel says, read if it dies",
}


def writes_in_place(text):
    """Calls in a program that write a file where it is."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            modes = [x.value for x in node.args if isinstance(x, ast.Constant)]
            modes = [x for x in modes if x in ("w", "a", "x", "wb", "ab", "xb", "wt")]
            if name.endswith((".write_text", ".write_bytes")) or name == "json.dump":
                yield name
            elif name.split(".")[-1] == "open" and modes:
                yield name


def test_nobody_writes_in_place_but_who_may():
    found = {
        path.relative_to(HOME).as_posix()
        for path in HOME.rglob("*.py")
        if [*writes_in_place(path.read_text("utf-8"))]
    }
    assert found == set(IN_PLACE)
    assert [*writes_in_place("json.dump(x, f); p.open('w'); p.write_text('')")]
    assert not [*writes_in_place("open('y'); p.read_text()")]
