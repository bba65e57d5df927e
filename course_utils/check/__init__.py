"""Exercise checks: compare a learner's answer with the package's own.

    check("05.1", predict_x0)       says what is right or wrong, and never raises
    hint("05.1")                    a nudge
    use("05.1", predict_x0)         the learner's answer if it is right, else ours

The exercises of lesson NN live in course_utils/check/lesson_NN.py. Each knows the
reference, the cases to try, and the mistakes that people make: wrong answers with the
sentence that names them. A check recognises a mistake by computing it.
"""

import dis
import importlib
import inspect
import numbers
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from . import progress
from .compare import difference, proportion

PASSED, WRONG, OPEN = "right", "wrong", "not attempted"


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    reference  the right answer: a function, or a value for a prediction
    cases      makes the argument tuples to try; not needed for a value
    mistakes   what to say -> the wrong answer it names, of the reference's kind
    hint       a nudge that does not give the answer away
    praise     what a right answer hears
    outcome    (answer, *case) -> what is compared; calls answer(*case) by default
    tolerance  the largest absolute and relative difference that counts as equal
    probability  whether a value is one: what lies outside 0 to 1 is told so
    """

    reference: Any
    mistakes: dict[str, Any]
    hint: str
    cases: Callable[[], Iterable[tuple]] = lambda: [()]
    praise: str = ""
    outcome: Callable[..., Any] = lambda answer, *case: answer(*case)
    tolerance: float = 1e-5
    probability: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a check found: status is "right", "wrong" or "not attempted"."""

    status: str
    message: str


def check(exercise: str, yours: Any) -> None:
    """Say whether your answer to an exercise, such as "05.1", is right, and why not.

    What is right is noted in a file of your own: see `course progress`.
    """
    verdict = assess(exercise, yours)
    mark = {PASSED: "✓", WRONG: "✗", OPEN: "·"}[verdict.status]
    print(f"{mark} {exercise} {verdict.status}{': ' * bool(verdict.message)}", end="")
    print(verdict.message)
    if verdict.status == PASSED and (why := progress.note(exercise)):
        print(f"  (not noted in your progress: {why})")


def hint(exercise: str) -> None:
    """Print a nudge for an exercise."""
    print(find(exercise).hint)


def use(exercise: str, yours: Any) -> Any:
    """Return your answer if it is right, else the course's, and say which."""
    if assess(exercise, yours).status == PASSED:
        print(f"{exercise}: going on with your answer")
        return yours
    print(f"{exercise}: going on with the course's answer")
    return find(exercise).reference


def find(exercise: str) -> Exercise:
    """Look an exercise up by its name, such as "05.1"."""
    lesson = str(exercise).partition(".")[0]
    try:
        room = importlib.import_module(f"course_utils.check.lesson_{lesson}")
        return room.EXERCISES[exercise]
    except (ImportError, KeyError):
        raise ValueError(
            f'there is no exercise {exercise!r}: the name is the one in "Your turn", '
            'lesson and number, as in "05.1"'
        ) from None


def assess(exercise: str, yours: Any) -> Verdict:
    """Compare an answer with the reference; the verdict of `check`, unprinted."""
    task = find(exercise)
    try:
        return _judge(task, yours)
    except (Exception, SystemExit) as error:  # a check never raises, whatever it gets
        kind = type(yours).__name__
        return Verdict(WRONG, f"This {kind} cannot be judged: {type(error).__name__}.")


def _judge(task: Exercise, yours: Any) -> Verdict:
    if not callable(task.reference):
        return _judge_value(task, yours)
    if not callable(yours):
        if yours is None or yours is ...:
            return Verdict(OPEN, "")
        return Verdict(WRONG, "Give the function itself, without calling it.")
    if _is_stub(yours):
        return Verdict(OPEN, "")
    missing = _signature_problem(task.reference, yours)
    return Verdict(WRONG, missing) if missing else _judge_function(task, yours)


def _judge_value(task: Exercise, yours: Any) -> Verdict:
    if yours is None or yours is ...:
        return Verdict(OPEN, "")
    if difference(yours, task.reference, task.tolerance) is None:
        return Verdict(PASSED, task.praise)
    for message, mistake in task.mistakes.items():
        if difference(yours, mistake, task.tolerance) is None:
            return Verdict(WRONG, message)
    told = reprlib.repr(yours)
    if task.probability and isinstance(yours, numbers.Real) and not 0 <= yours <= 1:
        return Verdict(
            WRONG, f"A probability lies between 0 and 1: {told} cannot be one."
        )
    return Verdict(WRONG, f"{told} is none of the answers.")


def _judge_function(task: Exercise, yours: Callable) -> Verdict:
    ours, theirs, cases = [], [], list(task.cases())
    for case in cases:
        ours.append(_outcome(task, task.reference, case))
        try:
            theirs.append(_outcome(task, yours, case))
        except Exception as error:
            if named := _mistake(task, error, [case]):
                return Verdict(WRONG, named)
            return Verdict(WRONG, f"It stopped with {type(error).__name__}: {error}")
        if theirs[-1] is None:
            return Verdict(WRONG, "It returns nothing: end it with `return`.")
    if (wrong := difference(theirs, ours, task.tolerance)) is None:
        return Verdict(PASSED, task.praise or f"Equal to ours on {len(ours)} cases.")
    if named := _mistake(task, theirs, cases):
        return Verdict(WRONG, named)
    numbers = wrong.startswith("Not equal")  # of the right kind and shape
    return Verdict(WRONG, numbers and proportion(theirs, ours, cases) or wrong)


def _mistake(task: Exercise, theirs: Any, cases: list[tuple]) -> str | None:
    """Return the sentence of the planted mistake that behaves as this answer does."""
    for message, mistake in task.mistakes.items():
        try:
            wrong = [_outcome(task, mistake, case) for case in cases]
        except Exception as error:
            same = isinstance(theirs, Exception) and str(error) == str(theirs)
        else:
            same = not isinstance(theirs, Exception) and (
                difference(theirs, wrong, task.tolerance) is None
            )
        if same:
            return message
    return None


def _outcome(task: Exercise, answer: Callable, case: tuple) -> Any:
    """Try one case, on copies: an answer that writes into its inputs spoils nothing.

    The seed is set, so that a reference and an answer that draw noise draw the same.
    """
    copies = [x.clone() if isinstance(x, torch.Tensor) else x for x in case]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return task.outcome(answer, *copies)


def _is_stub(answer: Callable) -> bool:
    """Is the body still `...`, so that it does nothing but return None?"""
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in _FRAME]
    return all("CONST" in step.opname and step.argval in _NOTHING for step in steps)


_FRAME = ("RESUME", "NOP", "RETURN_VALUE", "CACHE")  # what every function has
_NOTHING = (None, ...)


def _signature_problem(reference: Callable, yours: Callable) -> str | None:
    """Say which arguments the answer should take, if it takes other ones."""
    try:
        wanted = list(inspect.signature(reference).parameters)
        got = inspect.signature(yours)
        got.bind(*wanted)
    except TypeError:
        names = ", ".join(wanted)
        return f"Your function should take ({names}); it takes {got}."
    except ValueError:  # a built-in without a signature
        return None
    return None
