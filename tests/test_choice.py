"""What may be asked for, and what is refused by name before anything runs."""

import pytest

from course_utils.commands import choice


@pytest.fixture
def course(notebook, monkeypatch):
    path = notebook("05_ok", "x = 1")
    notebook("06_ok", "x = 1")
    monkeypatch.chdir(path.parent)
    return path


@pytest.mark.parametrize(
    ("chosen", "meant"),
    [
        (["6", "05"], "06 05"),
        (["05 06"], "05 06"),
        (["5,06", "05"], "05 06"),
        (["notebooks/06_ok.ipynb", "05_ok"], "06 05"),
        ([], "05 06"),
    ],
)
def test_lessons_are_named_by_number_name_or_file(course, chosen, meant):
    assert " ".join(path.stem[:2] for path in choice.lessons(chosen)) == meant


@pytest.mark.parametrize("name", ["99", "0512", "05x", "05_other", "-5", "05.ipynb2"])
def test_what_is_no_lesson_is_refused_by_name(course, name):
    said = f"lesson {name} is not here; there are 05 06"
    with pytest.raises(ValueError, match=said):
        choice.lessons([f"05 {name}"])


@pytest.mark.parametrize("nothing", ["", " ", ","])
def test_an_empty_name_is_not_all_lessons(course, nothing):
    with pytest.raises(ValueError, match="no lesson is named; there are 05 06"):
        choice.lessons([nothing])


def test_the_root_is_the_nearest_folder_with_notebooks(course, tmp_path):
    deep = course.parent / "deep"
    deep.mkdir()
    assert choice.root(deep) == tmp_path


@pytest.mark.parametrize(
    "text", ["", '{"cells": ', "[]", "{}", '{"nbformat": 4, "nbformat_minor": 5}']
)
def test_a_damaged_notebook_is_named_with_the_cure(course, text):
    course.write_text(text)
    with pytest.raises(ValueError, match="^05_ok.ipynb is damaged .*git checkout"):
        choice.typed(course, {})


@pytest.mark.parametrize(
    ("texts", "size", "given"),
    [
        ([], None, {"run": "laptop"}),
        ([], "quick", {"run": "quick"}),
        (["run=full"], None, {"run": "full"}),
        (["run=quick", " seed = 1"], "quick", {"run": "quick", "seed": "1"}),
        (["name=a=b"], None, {"run": "laptop", "name": "a=b"}),
    ],
)
def test_settings_and_the_size_come_together(texts, size, given):
    assert choice.settings(texts, size) == given


@pytest.mark.parametrize(
    ("texts", "size", "said"),
    [
        (["run=full"], "quick", "run is asked to be 'quick' and 'full'"),
        (["seed=1", "seed=2"], None, "seed is asked to be '1' and '2': say it once"),
        (["seed"], None, "--set takes NAME=VALUE"),
    ],
)
def test_a_contradiction_is_refused(texts, size, said):
    with pytest.raises(ValueError, match=said):
        choice.settings(texts, size)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", "int", 3),
        ("1e-3", "float", 0.001),
        ("false", "bool", False),
        ("7", "str", "7"),
    ],
)
def test_settings_take_the_annotated_type(text, kind, value):
    assert choice.from_text(text, kind, "x") == value


@pytest.mark.parametrize(("text", "kind"), [("maybe", "bool"), ("1.5", "int")])
def test_settings_of_the_wrong_type_are_refused(text, kind):
    with pytest.raises(ValueError, match=f"parameter x is of type {kind}"):
        choice.from_text(text, kind, "x")
