"""What a machine can see of the rules for lessons (CONTRIBUTING.md, "A lesson")."""

import ast
import re
import statistics
from pathlib import Path

import nbformat
import pytest

from course_utils import check

LESSONS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def cells(request):
    return nbformat.read(request.param, as_version=4).cells


def code(cells):
    return [cell.source for cell in cells if cell.cell_type == "code"]


def prose(cells):
    """The words of a lesson that are read: no code, no equation, no address."""
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|\$\$.*?\$\$|<[^>]+>|\]\([^)]*\)", " ", text, flags=re.S)
    return re.findall(r"\S*[A-Za-z]\S*", text)


def sections(cells):
    """The code cells of each section: what stands between two headings."""
    found = [[]]
    for cell in cells:
        if cell.cell_type == "markdown" and re.search(r"^##? ", cell.source, re.M):
            found.append([])
        elif cell.cell_type == "code":
            found[-1].append(cell.source)
    return found


def calls(source, name):
    """Calls of a function, as name(...) or room.name(...)."""
    nodes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call))
    return [n for n in nodes if name in ast.unparse(n.func).split(".")]


def test_cells_are_short(cells):
    lengths = [len(source.splitlines()) for source in code(cells)]
    assert statistics.median(lengths) <= 8 and max(lengths) <= 20


def test_it_can_be_read_in_a_quarter_of_an_hour(cells):
    assert len(prose(cells)) <= 2000


def test_the_first_picture_comes_soon(cells):
    shown = [
        i
        for i, cell in enumerate(cells)
        for output in cell.get("outputs", [])
        if any(mime.startswith("image/") for mime in output.get("data", {}))
    ]
    assert (
        shown and shown[0] < 12
    )  # after title, first cell, parameters, imports: eight


def test_a_section_records_all_its_scores_at_once(cells):
    for part in sections(cells):
        assert sum(len(calls(source, "record")) for source in part) <= 1
        loops = (n for source in part for n in ast.walk(ast.parse(source)))
        loops = [ast.unparse(n) for n in loops if isinstance(n, ast.For | ast.While)]
        assert not any("session.record" in loop for loop in loops)


def test_exercises_stand_where_their_idea_was_taught(cells):
    at = [
        i
        for i, cell in enumerate(cells)
        if cell.cell_type == "code" and calls(cell.source, "check")
    ]
    assert len(at) >= 2
    assert at[0] < 0.6 * len(cells), "the first exercise comes too late"
    assert len([i for i in at if i < 0.75 * len(cells)]) >= len(at) / 2


def test_no_stub_overwrites_what_worked(cells):
    known = set()
    for source in code(cells):
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                stub = [ast.unparse(x) for x in node.body[-1:]] == ["..."]
                assert not (stub and node.name in known), node.name
                known |= set() if stub else {node.name}


def test_a_hint_has_a_cell_of_its_own(cells):
    for cell in cells:
        if cell.cell_type == "markdown" and "<details" in cell.source:
            assert not re.search(r"^#+ ", cell.source, re.M)
            assert "References" not in cell.source


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (["def f(): return 1", "def f():\n    ..."],
         test_no_stub_overwrites_what_worked),
        (["session.record('1', a=1)\nsession.record('1', b=1)"],
         test_a_section_records_all_its_scores_at_once),
        (["for x in y:\n    session.record('1', a=x)"],
         test_a_section_records_all_its_scores_at_once),
        (["a = 1\n" * 9, "b = 1\n" * 9], test_cells_are_short),
    ],
)  # fmt: skip
def test_the_rules_see_what_they_should(wrong, rule):
    with pytest.raises(AssertionError):
        getattr(rule, "__wrapped__", rule)(
            [nbformat.v4.new_code_cell(x) for x in wrong]
        )


def test_a_hint_says_what_the_check_says(cells):
    number = ""
    for cell in cells:
        if cell.cell_type == "code":
            number = (re.findall(r'check\("(\d\d\.\d)"', cell.source) or [number])[-1]
        for hint in re.findall(r"Hint</summary>(.*?)</details>", cell.source, re.S):
            assert plain(hint) == plain(check.find(number).hint)


def plain(text):
    return re.sub(r"[`$*\s]+", " ", text).strip()
