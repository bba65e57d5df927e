"""Every reference passes, every stub is open, every planted mistake is named."""

import importlib
import pkgutil

import pytest
import torch

from course_utils import check as check_room
from course_utils.check import OPEN, PASSED, WRONG, Exercise, assess, check, hint, use

ROOMS = [module.name for module in pkgutil.iter_modules(check_room.__path__)]
ALL = {
    name: task
    for room in ROOMS
    for name, task in importlib.import_module(
        f"course_utils.check.{room}"
    ).EXERCISES.items()
}
MISTAKES = [(name, text) for name, task in ALL.items() for text in task.mistakes]


def test_every_lesson_room_names_its_own_lesson():
    for room in ROOMS:
        module = importlib.import_module(f"course_utils.check.{room}")
        lesson = room.removeprefix("lesson_")
        assert module.EXERCISES and all(n.startswith(lesson) for n in module.EXERCISES)


@pytest.mark.parametrize("name", ALL)
def test_the_reference_passes_its_own_check(name):
    assert assess(name, ALL[name].reference).status == PASSED


@pytest.mark.parametrize("name", ALL)
def test_an_untouched_stub_is_not_attempted(name):
    def stub(*args): ...

    task = ALL[name]
    assert assess(name, stub if callable(task.reference) else ...).status == OPEN
    assert assess(name, None).status == OPEN


@pytest.mark.parametrize("name", ALL)
def test_at_least_three_mistakes_are_planted(name):
    assert len(ALL[name].mistakes) >= 3


@pytest.mark.parametrize("name, text", MISTAKES)
def test_a_planted_mistake_is_rejected_by_its_name(name, text):
    verdict = assess(name, ALL[name].mistakes[text])
    assert (verdict.status, verdict.message) == (WRONG, text)


@pytest.mark.parametrize("name", ALL)
def test_nonsense_is_rejected_and_nothing_escapes(name, capsys):
    def crash(*args):
        raise RuntimeError("the learner's own bug")

    for nonsense in (crash, lambda *args: "text", lambda: 1, object(), "text", 1j):
        check(name, nonsense)
        assert f"{name} wrong" in capsys.readouterr().out
    if callable(ALL[name].reference):
        assert "own bug" in assess(name, crash).message


@pytest.mark.parametrize("name", ALL)
def test_a_hint_is_there_and_does_not_pass_for_an_answer(name, capsys):
    hint(name)
    assert len(capsys.readouterr().out) > 20


@pytest.fixture
def double(monkeypatch):
    """An exercise on its own: return 2 x."""
    task = Exercise(
        reference=lambda x: 2 * x,
        cases=lambda: [(torch.arange(6.0).view(2, 3),), (torch.ones(1, 1),)],
        mistakes={"That is the square.": lambda x: x * x},
        hint="Add x to itself.",
    )
    monkeypatch.setattr(check_room, "find", lambda name: task)


def test_right_wrong_and_open_are_printed(double, capsys):
    check("x.1", lambda x: x + x)
    check("x.1", lambda x: x * x)
    check("x.1", ...)
    right, wrong, still_open = capsys.readouterr().out.splitlines()
    assert right == "✓ x.1 right: Equal to ours on 2 cases."
    assert wrong == "✗ x.1 wrong: That is the square."
    assert still_open == "· x.1 not attempted"


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda x: -2 * x, "sign"),
        (lambda x: 6 * x, "3 times ours"),
        (lambda x: 2 * x + 1, "largest difference is 1"),
        (lambda x: (2 * x).mT, "shape is (3, 2); it should be (2, 3)"),
        (lambda x: x / 0, "not finite"),
        (lambda x: None if x.sum() else 0, "nothing"),
        (lambda x: [x], "expect a tensor"),
        (lambda x, y: x, "should take (x)"),
        (lambda x: x.nope, "AttributeError"),
        (3.0, "without calling it"),
    ],
)
def test_a_wrong_answer_hears_how_it_is_wrong(double, answer, says):
    verdict = assess("x.1", answer)
    assert verdict.status == WRONG and says in verdict.message


def test_an_answer_may_write_into_its_inputs(double):
    assert assess("x.1", lambda x: x.mul_(2)).status == PASSED


def test_noise_is_the_same_for_both_and_the_learners_stream_is_untouched(monkeypatch):
    task = Exercise(reference=torch.randn_like, mistakes={}, hint="")
    task = Exercise(**{**vars(task), "cases": lambda: [(torch.ones(3),)]})
    monkeypatch.setattr(check_room, "find", lambda name: task)
    before = torch.get_rng_state()
    assert assess("x.1", lambda input: torch.randn(3)).status == PASSED
    assert torch.equal(before, torch.get_rng_state())


def test_use_goes_on_with_what_is_right(double, capsys):
    def mine(x):
        return x + x

    assert use("x.1", mine) is mine
    assert use("x.1", ...)(torch.ones(1)) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "x.1: going on with your answer",
        "x.1: going on with the course's answer",
    ]


def test_an_unknown_exercise_says_where_the_name_stands():
    with pytest.raises(ValueError, match='as in "05.1"'):
        check("99.1", None)
