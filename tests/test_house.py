"""The house: its floors, the one table that describes it, and how large things are."""

import ast
import graphlib
import re
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "course_utils"
MODULES = sorted(HOME.rglob("*.py"))
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def rooms():
    """The table of the package's docstring: room -> what is in it."""
    text = ast.get_docstring(ast.parse((HOME / "__init__.py").read_text("utf-8")))
    return dict(re.findall(r"^ {4}(\w+) {2,}(.+)$", text, re.M))


def test_the_table_names_the_rooms_that_there_are():
    there = {p.stem for p in HOME.iterdir() if p.suffix == ".py" or p.is_dir()}
    assert set(rooms()) == there - {"__init__", "__pycache__"}
    assert len(rooms()) <= 18


def test_the_readme_has_the_same_table():
    text = (ROOT / "README.md").read_text("utf-8").partition("## The map")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.M))
    assert rows == rooms() and list(rows) == list(rooms())


def test_contributing_finds_a_place_in_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    part = text.partition("## Where does a new thing go?")[2].partition("\n## ")[0]
    named = {name.split("/")[0] for name in re.findall(r"`([\w/]+)`", part)}
    assert set(rooms()) <= named
    assert re.findall(r"^(\d)\. ", part, re.M) == list("123456789")


def test_the_contract_has_the_floors_of_the_table_and_no_exception():
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = linter["tool"]["importlinter"]["contracts"]
    [layers] = [c["layers"] for c in contracts if c["type"] == "layers"]
    floors = [name for layer in layers for name in layer.split(" | ")]
    assert floors == [r for r in rooms() if r not in ("show", "weights")]
    assert not any("ignore_imports" in contract for contract in contracts)


def test_no_modules_stand_in_a_circle():
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
    }
    arrows = {}
    for path in MODULES:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        arrows[name.removesuffix(".__init__")] = found = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    found.add(whole if whole in names else node.module)
    graph = {name: found & names for name, found in arrows.items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())  # or CycleError


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(HOME).as_posix())
def test_a_module_can_be_read_in_one_sitting(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 260
    long = {
        node.name: lines
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and (lines := code_lines(node)) > 40
    }
    assert not long


def code_lines(function: ast.FunctionDef) -> int:
    """Lines that hold code: neither docstring nor comment nor blank."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    inner = (n for x in body for n in ast.walk(x) if isinstance(n, ast.stmt))
    return len({n.lineno for n in inner} | {n.end_lineno for n in body})


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_imports_neither_recipes_nor_commands(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                names -= {"course_utils.recipes", "course_utils.commands.doctor"}
                assert not [n for n in names if re.search(r"\.(recipes|commands)\b", n)]
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "recipes":
                assert node.attr == "train"
