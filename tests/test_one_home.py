"""Nothing is defined twice: every function and class of the course has one home.

A lesson may define a name of the package in two cases. It is an exercise: the lesson
hands it to check(...). Or it is written in the lesson and pinned to the package: a cell
with assert_close mentions both `name` and `module.name`. Later lessons import it then.
"""

import ast
from collections import defaultdict
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent

# What another room asks for by this name, so that each lesson writes its own.
ROLES = {
    "batch": "training.train's data",
    "loss": "training.train's loss",
    "draw": "show.widget's picture",
}
# The same verb on different things; the contract names both rooms.
VERBS = {
    "draw": {"data", "models"},
    "load": {"data", "models"},
    "sample": {"toybox", "diffusion"},
    "train": {"training", "recipes"},
    "segmenter": {"oracle", "recipes"},  # the shipped one, and how it was trained
    "pointer": {"oracle", "recipes"},
    "closeup_reader": {"oracle", "recipes"},
    "keypoints": {"toybox", "oracle"},  # the true ones, and those that are seen
}
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def defined(tree):
    """Names at the top level; for a private one its text: only a copy is a twin."""
    nodes = [node for node in tree.body if isinstance(node, DEFINITIONS)]
    return {ast.unparse(n) if n.name.startswith("_") else n.name for n in nodes}


def names(tree):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def attributes(tree):
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def calls(tree, name):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
                yield node


def exercises(cells):
    """The names that a lesson hands to check(...)."""
    found = [
        arg for cell in cells for call in calls(cell, "check") for arg in call.args
    ]
    return {arg.id for arg in found if isinstance(arg, ast.Name)}


def pinned(cells):
    """The names that a cell with assert_close holds against the package's own."""
    pins = [cell for cell in cells if any(calls(cell, "assert_close"))]
    return {name for cell in pins for name in names(cell) & attributes(cell)}


def lesson_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]


def lesson_names(path):
    """What a lesson makes at home: neither exercise, nor pinned, nor a role."""
    cells = lesson_cells(path)
    own = set().union(*map(defined, cells)) if cells else set()
    return own - exercises(cells) - pinned(cells) - set(ROLES)


def homes():
    found = defaultdict(set)
    package = ROOT / "course_utils"
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room != "check":  # their references and mistakes are variations
            for name in defined(ast.parse(path.read_text("utf-8"))):
                found[name].add((room, path.relative_to(ROOT).as_posix()))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for name in lesson_names(path):
            found[name].add((path.stem, path.relative_to(ROOT).as_posix()))
    return found


def test_every_name_has_one_home():
    twice = {}
    for name, places in homes().items():
        rooms = {room for room, _ in places}
        if len(places) > 1 and not (
            rooms <= VERBS.get(name, set()) and len(rooms) == len(places)
        ):
            twice[name] = sorted(place for _, place in places)
    assert not twice, str(twice)


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("def f(): ...\ncheck('05.1', f)", set()),
        ("def f(): ...\nassert_close(f(1), diffusion.f(1))", set()),
        (
            "def f(): ...\nours = f(1)\ntesting.assert_close(ours, diffusion.f(1))",
            set(),
        ),
        ("def f(): ...\nassert_close(f(1), 1)", {"f"}),
        ("def f(): ...\nprint(f(1), diffusion.f(1))", {"f"}),
        ("def loss(): ...", set()),
    ],
)
def test_exercises_pins_and_roles_are_the_only_exceptions(source, left):
    cells = [ast.parse(source)]
    own = defined(cells[0]) - exercises(cells) - pinned(cells) - set(ROLES)
    assert own == left
