import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from course_utils import session


@pytest.fixture(autouse=True)
def _outside_a_run(monkeypatch):
    monkeypatch.delenv("COURSE_RUN", raising=False)
    monkeypatch.delenv("COURSE_SCORES", raising=False)


def test_start_says_what_it_did_in_one_line(capsys):
    session.start("05", run="quick", seed=3)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("lesson 05 | run quick | seed 3 | ")


def test_the_same_seed_gives_the_same_numbers():
    def draw():
        session.start("05", seed=1)
        return torch.rand(1).item(), np.random.rand()

    assert draw() == draw()


def test_an_unknown_run_size_is_refused():
    with pytest.raises(ValueError, match="run must be one of quick, laptop, full"):
        session.start("05", run="fast")


def test_pick_follows_the_run_and_the_environment_overrides_it(monkeypatch):
    session.start("05", run="full")
    assert session.pick(quick=1, laptop=2, full=3) == 3
    monkeypatch.setenv("COURSE_RUN", "quick")
    session.start("05", run="full")
    assert session.pick(quick=1, laptop=2, full=3) == 1


def test_threads_obey_omp_num_threads_then_the_machine(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert session.threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= session.threads() <= max(1, min(4, os.cpu_count() // 2))


def test_a_share_of_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(session, "cpu_quota", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert session.threads() == 1 and session.threads(share=1) == 2


def test_threads_obey_the_containers_quota(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(session, "cpu_quota", lambda: 1.5)
    assert session.threads() == 1


@pytest.mark.parametrize(
    "text, cores", [("150000 100000", 1.5), ("max 100000", None), ("20000 100000", 1)]
)
def test_quota_of_cgroup_2(tmp_path, text, cores):
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert session.cpu_quota(tmp_path) == cores


def test_quota_of_cgroup_1_and_of_no_cgroup(tmp_path):
    assert session.cpu_quota(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("200000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert session.cpu_quota(tmp_path) == 2


def test_a_recorded_score_is_a_flat_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_SCORES", str(tmp_path / "scores.jsonl"))
    session.start("05", run="quick")
    session.record("05", accuracy=0.9, floor=0.1, ceiling=0.97, seeds=3, n=60)
    row = json.loads((tmp_path / "scores.jsonl").read_text())
    assert row == {
        "lesson": "05",
        "metric": "accuracy",
        "value": 0.9,
        "floor": 0.1,
        "ceiling": 0.97,
        "seeds": 3,
        "n": 60,
        "better": "higher",
        "run": "quick",
    }
    assert session.scores == [row]
    assert "accuracy: 0.9  (floor 0.1, ceiling 0.97" in capsys.readouterr().out


def test_a_tensor_is_a_fine_score():
    session.record("05", accuracy=torch.tensor(0.5), floor=0, ceiling=1)
    assert session.scores[-1]["value"] == 0.5


@pytest.mark.parametrize(
    "metric, cure",
    [
        (dict(), "at least one metric"),
        (dict(Accuracy=1), "snake_case"),
        (dict(a=float("nan")), "finite"),
        (dict(a=1, better="up"), 'better must be "higher" or "lower"'),
        (dict(a=1, better="lower"), "exchange them"),
        (dict(a=1, floor=2), "exchange them"),
        (dict(a=1, floor=float("inf")), "the floor of a is inf"),
        (dict(a=1, floor={"b": 0}), "floor has no entry for 'a'"),
    ],
)
def test_a_bad_score_is_refused(metric, cure):
    before = len(session.scores)
    with pytest.raises(ValueError, match=cure):
        session.record("05", **dict(floor=0, ceiling=1) | metric)
    assert len(session.scores) == before


def test_the_scores_of_a_section_are_recorded_in_one_line(capsys):
    session.record("08", gan=0.5, vae=0.25, floor=0, ceiling=1, seeds=3, n=54)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and said.count("floor") == 1
    assert "gan: 0.5, vae: 0.25  (floor 0, ceiling 1, higher" in said
    assert [row["metric"] for row in session.scores[-2:]] == ["gan", "vae"]


def test_metrics_of_one_section_may_have_their_own_ends(capsys):
    session.record(
        "08", a=0.5, b=30, floor={"a": 0, "b": 12}, ceiling={"a": 1, "b": 60}
    )
    assert "a: 0.5 (0 to 1), b: 30 (12 to 60); (floor to" in capsys.readouterr().out
    assert [row["floor"] for row in session.scores[-2:]] == [0, 12]


def test_offline_switches_are_set_before_the_hub_is_imported():
    code = (
        "import course_utils, huggingface_hub.constants as hub\n"
        "assert hub.HF_HUB_OFFLINE and hub.HF_HUB_DISABLE_TELEMETRY\n"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_HUB")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-500:]


def test_a_folder_is_locked_for_one_process_at_a_time(tmp_path):
    with session.lock(tmp_path / "new", "course run"):
        said = rf"in use \(course run, process {os.getpid()}, since \d\d:\d\d\)"
        with pytest.raises(ValueError, match=said):
            with session.lock(tmp_path / "new", "course train"):
                pass
    with session.lock(tmp_path / "new", "course train"):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = "import os, sys\nfrom course_utils import session\n"
    code += "with session.lock(sys.argv[1], 'x'): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, tmp_path]).returncode == 9
    with session.lock(tmp_path, "course run"):
        assert "course run" in (tmp_path / ".locked-by").read_text()


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be written"):
        with session.lock(tmp_path / "file" / "below", "course run"):
            pass


def test_a_claim_is_a_row_and_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CLAIMS", str(tmp_path / "claims.jsonl"))
    session.claim("08", "two beats one", 2 > 1)
    session.claim("08", "one beats two", np.float32(1) > np.float32(2))
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "claim: two beats one: holds",
        "claim: one beats two: does not hold in this run",
    ]
    lines = (tmp_path / "claims.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["holds"] for row in rows] == [True, False]
    assert rows[0] == {
        "lesson": "08", "claim": "two beats one", "holds": True, "run": session.size
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "holds", "cure"),
    [("", True, "one line"), ("a\nb", True, "one line"), ("a beats b", 0.7, "a > b"),
     ("a beats b", torch.tensor(True), "a > b")],
)  # fmt: skip
def test_a_claim_that_cannot_be_counted_is_refused(words, holds, cure):
    with pytest.raises(ValueError, match=cure):
        session.claim("08", words, holds)
