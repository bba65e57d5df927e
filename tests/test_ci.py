"""`.ci/run`: both stages, what they need fetched or asked for, nothing skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="a script for Unix")
STUB = """#!/bin/sh
echo "$(basename "$0") $@ $COURSE_NEEDS" >> "{log}"
"""


@pytest.fixture
def ci(tmp_path):
    """A function that runs .ci/run where only some commands exist and do nothing."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    for name in ("env", "bash", "dirname", "basename"):
        (folder / name).symlink_to(shutil.which(name))

    def run(*commands, user=0):
        for name in ("make", "id", *commands):
            text = f"#!/bin/sh\necho {user}\n" if name == "id" else STUB
            (folder / name).write_text(text.format(log=log))
            (folder / name).chmod(0o755)
        done = subprocess.run(
            [ROOT / ".ci" / "run"], env={"PATH": str(folder)}, text=True,
            capture_output=True,
        )  # fmt: skip
        said = log.read_text().splitlines() if log.exists() else []
        return done, [line.strip() for line in said]

    return run


STAGES = ["make slides/node_modules/.ready hub-setup all", "make test all",
          "make test-room all"]  # fmt: skip


@pytest.mark.parametrize("browser", ["chromium", "chromium-browser", "google-chrome"])
def test_both_stages_run_and_nothing_may_be_missing(ci, browser):
    assert ci(browser, "node", "npm", user=1000)[1] == STAGES


def test_root_fetches_what_is_missing(ci):
    done, said = ci("apt-get", "node")
    assert done.returncode == 0 and said[2:] == STAGES
    assert said[1].endswith("--no-install-recommends chromium npm")


def test_others_hear_what_is_missing(ci):
    done, said = ci("apt-get", "node", "npm", user=1000)
    assert done.returncode == 1 and not said
    assert "sudo apt-get install chromium)" in done.stderr


NEEDY = """
import pytest
@pytest.mark.parametrize("why", ["needs chromium", "needs a GPU", "not on Unix"])
def test_x(why):
    pytest.skip(why)
"""


@pytest.mark.parametrize(
    ("needs", "counts"), [("all", "1 failed, 2 skipped"), ("", "3 skipped")]
)
def test_there_a_test_that_lacks_its_tool_fails(tmp_path, needs, counts):
    (tmp_path / "test_x.py").write_text(NEEDY)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", str(tmp_path)]
    env = os.environ | {"COURSE_NEEDS": needs, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert counts in done.stdout, done.stdout + done.stderr
