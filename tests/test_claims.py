"""Conclusions, counted over runs with other seeds."""

import ast
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from course_utils.commands import choice, claims, cli

TABLE = Path(__file__).resolve().parent.parent / "docs" / "claims.md"

START = "from course_utils import session; session.start('05', run=run, seed=seed)"
CLAIMS = (
    "session.claim('05', 'seeds are small', seed < 9)\n"
    "session.claim('05', 'seeds are even', seed % 2 == 0)"
)


@pytest.fixture
def course(notebook, monkeypatch, tmp_path):
    notebook("05_fine", START, CLAIMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "build" / "claims"


def test_claims_are_counted_over_seeds_and_a_weak_one_fails(course, capsys):
    assert claims.try_again(seeds=3, size="quick", jobs=2) is False
    text = (course / "claims.md").read_text("utf-8")
    assert "| 05 | seeds are small | 3 of 3 |" in text
    assert "| 05 | seeds are even | 2 of 3 |" in text
    assert "3 times" in text and "size quick" in text
    said = capsys.readouterr().out
    assert "05_fine seed 1: " in said and "does not hold: seeds are even" in said
    assert "05_fine: seeds are even: held in 2 of 3 runs" in said
    assert "1 of 2 claims held" in said


def test_what_ran_is_not_run_again_until_the_lesson_changes(course, notebook, capsys):
    assert claims.try_again(seeds=1, size="quick") is True
    capsys.readouterr()
    assert claims.try_again(seeds=1, size="quick") is True
    assert "seed 0" not in capsys.readouterr().out
    notebook("05_fine", START, CLAIMS + "\nsession.claim('05', 'new', True)")
    assert claims.try_again(seeds=1, size="quick") is True
    assert "seed 0" in capsys.readouterr().out
    assert "| 05 | new | 1 of 1 |" in (course / "claims.md").read_text("utf-8")
    (course / "claims.json").write_text("{torn")
    assert claims.try_again(seeds=1, size="quick") is True
    assert len(json.loads((course / "claims.json").read_text())) == 1


def test_a_run_that_fails_is_no_success_and_is_not_counted(course, notebook, capsys):
    notebook("05_fine", START, CLAIMS, "assert seed != 1")
    assert claims.try_again(seeds=2, size="quick") is False
    assert "FAILED" in capsys.readouterr().out
    assert "seeds are small | 1 of 1" in (course / "claims.md").read_text("utf-8")


def test_words_that_depend_on_the_run_are_refused():
    def row(words):
        return {"claim": words, "holds": True}

    with pytest.raises(ValueError, match="must not depend on the run"):
        claims.times_held("05_fine", [[row("0.7 is more")], [row("0.8 is more")]])
    runs = [[row("a")], [row("a")]]
    assert claims.times_held("05_fine", runs) == [("05_fine", "a", 2, 2)]


def test_a_bar_in_the_words_does_not_break_the_table():
    assert r"p(x\|y)" in claims.claims_table(
        [("05_fine", "p(x|y) is more", 1, 1)], 1, "quick"
    )


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--seeds", "0"], "at least 1"),
        (["99"], "not here"),
        (["--run", "huge"], "run"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(course, words, cure):
    done = CliRunner().invoke(cli.main, ["claims", *words])
    assert done.exit_code == 1 and cure in done.output


def test_the_table_of_the_docs_has_the_claims_that_the_lessons_make_now():
    rows = re.findall(
        r"^\| (\d\d) \| (.+) \| (\d+) of (\d+) \|$", TABLE.read_text("utf-8"), re.M
    )
    for path in choice.lessons():
        cells = choice.read_notebook(path).cells
        trees = [ast.parse(c.source) for c in cells if c.cell_type == "code"]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        said = {x.value for x in nodes if isinstance(x, ast.Constant)}
        calls = [ast.unparse(x.func) for x in nodes if isinstance(x, ast.Call)]
        own = [words.replace(r"\|", "|") for lesson, words, *_ in rows
               if lesson == path.stem[:2]]  # fmt: skip
        stale = "say course claims --seeds 5, and keep its table in docs/claims.md"
        assert {*own} <= said and len(own) == calls.count("session.claim") > 0, (
            f"{path.stem}: {stale}"
        )


def test_every_claim_of_the_table_held_in_at_least_four_runs_of_five():
    held = re.findall(r" (\d+) of (\d+) \|$", TABLE.read_text("utf-8"), re.M)
    assert held and all(n == "5" and int(k) >= 4 for k, n in held)
