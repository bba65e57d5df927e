"""Every reference passes, every stub is open, every planted mistake is named."""

import importlib
import math
import pkgutil
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils import check as check_room
from course_utils import diffusion
from course_utils.check import OPEN, PASSED, WRONG, Exercise, assess, check, hint, use
from course_utils.methods import gan

MODULES = [module.name for module in pkgutil.iter_modules(check_room.__path__)]
ROOMS = [name for name in MODULES if name.startswith("lesson_")]
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


@pytest.mark.parametrize("given", [50, -0.1, 2.0, 1.0001])
def test_what_cannot_be_a_probability_hears_so(given):
    verdict = assess("02.4", given)
    told = f"A probability lies between 0 and 1: {given} cannot be one."
    assert (verdict.status, verdict.message) == (WRONG, told)
    assert "none of the answers" in assess("02.4", 0.3).message
    assert "none of the answers" in assess("02.5", 50).message


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


# answers of strangers: wrong ones that once passed, right ones that did not


def _step_without_detach(g, d, optimizer, real, z):
    fake = g(z)
    loss = gan.discriminator_loss(d(real), d(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _step_with_g_frozen(g, d, optimizer, real, z):
    for p in g.parameters():
        p.requires_grad = False
    _step_without_detach(g, d, optimizer, real, z)


def _step_with_g_wiped(g, d, optimizer, real, z):
    _step_without_detach(g, d, optimizer, real, z)
    for p in g.parameters():
        p.grad.zero_()


def _chosen(logits_1, logits_2, i, j):
    first, second = (
        torch.distributions.Categorical(logits=x).log_prob(k)
        for x, k in ((logits_1, i), (logits_2, j))
    )
    return first, second


def _attend_reshaped(query, key, value):
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    return (weights @ value).reshape(query.shape)


def _attend_by_values(query, key, value):
    return (query @ key.mT / value.shape[-1] ** 0.5).softmax(-1) @ value


def _min_of_python(alpha_bar):
    snr = alpha_bar / (1 - alpha_bar)
    return min(5, snr) / (snr + 1)


def _train_and_step(model, x0, noise, t, schedule):
    loss = F.mse_loss(model(diffusion.add_noise(x0, noise, t, schedule), t), noise)
    loss.backward()
    torch.optim.Adam(model.parameters(), lr=1e-3).step()
    return loss


@pytest.mark.parametrize(
    "name, answer, says",
    [
        ("00.1", lambda pixels: pixels / pixels.max() * 2 - 1, "brightest pixel"),
        ("01.1", lambda a, b, i, j, w: _chosen(a, b, i, j)[0] - math.log(w), "differ"),
        ("01.2", lambda x, m, s: torch.distributions.Normal(m, s).log_prob(x), "sum("),
        ("01.3", lambda e, cell: (-e).flatten().log_softmax(0).view_as(e), "area"),
        ("01.3", lambda energies, cell: -1 * energies, "Z is missing"),
        ("02.1", lambda r, f: gan.discriminator_loss(r, f).item(), "no gradient"),
        ("02.1", lambda r, f: gan.discriminator_loss(r, f).detach(), "no gradient"),
        ("02.1", lambda r, f: gan.discriminator_loss(r, f.detach()), "difference"),
        ("02.2", lambda f: gan.generator_loss(f).detach(), "no gradient"),
        ("02.2", lambda f: gan.generator_loss(f.detach()), "no gradient"),
        ("02.3", _step_with_g_frozen, "frozen for good"),
        ("02.3", _step_with_g_wiped, "wiped out"),
        ("06.2", _train_and_step, "took a step"),
        ("09.2", _attend_by_values, "values' width"),
        ("09.2", _attend_reshaped, "RuntimeError"),
        ("09.3", _min_of_python, "clamp"),
    ],
)
def test_what_is_right_at_first_sight_only_is_rejected(name, answer, says):
    verdict = assess(name, answer)
    assert verdict.status == WRONG and says in verdict.message


def _step_with_g_frozen_for_a_while(g, d, optimizer, real, z):
    g.requires_grad_(False)
    _step_without_detach(g, d, optimizer, real, z)
    g.requires_grad_(True)


def _snr_of_double(schedule):
    bar = schedule.alpha_bar.double()
    return bar / (1 - bar)


@pytest.mark.parametrize(
    "name, answer",
    [
        ("01.1", lambda a, b, i, j, w: sum(_chosen(a, b, i, j)) - 2 * math.log(w)),
        ("01.2", lambda x, m, s: torch.distributions.Normal(m, s).log_prob(x).sum(1)),
        (
            "01.3",
            lambda e, cell: (-e).flatten().log_softmax(0).view_as(e) - math.log(cell),
        ),
        ("02.1", lambda r, f: gan.discriminator_loss(r, f).reshape(1)),
        ("02.1", lambda r, f: -F.logsigmoid(r).mean() - F.logsigmoid(-f).mean()),
        ("02.3", _step_with_g_frozen_for_a_while),
        ("02.4", Fraction(1, 2)),
        ("02.4", np.float32(0.5)),
        ("02.4", torch.tensor([0.5])),
        ("05.2", lambda schedule: 1 / (1 / schedule.alpha_bar - 1)),
        ("05.2", _snr_of_double),
        ("09.1", lambda latents: (1 / latents.std(correction=0)).item()),
        ("09.1", lambda latents: 1 / latents.std()),
        ("06.4", "zero"),
        ("18.2", lambda u, p: (u < 2 * p, (u < p) | ((u >= 2 * p) & (u < 3 * p)))),
    ],
)
def test_what_is_right_in_another_way_passes(name, answer):
    assert assess(name, answer).status == PASSED


class Unspeakable:
    """Whatever one asks it, it fails."""

    def __repr__(self):
        raise RuntimeError("no words")

    __eq__ = __bool__ = __len__ = __repr__


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "given",
    [np.arange(3), torch.ones(2, 2), np.array("zero"), [], {}, float("nan"),
     Unspeakable(), Unspeakable, print, exit],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_a_check_never_raises_and_never_passes_what_is_odd(name, given, capsys):
    check(name, given)
    assert f"{name} wrong" in capsys.readouterr().out


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ALL)
def test_complex_numbers_are_refused_without_a_warning(name):
    given = (lambda *args: 1j) if callable(ALL[name].reference) else 0.5 + 0j
    assert assess(name, given).status == WRONG


def scalar(monkeypatch, answer, count=4):
    """What an answer hears where the mean of a tensor is asked for."""
    sizes = range(2, 2 + count)
    cases = [(torch.arange(1.0, 2 * n * n + 1).view(n, 2 * n),) for n in sizes]
    task = Exercise(reference=lambda x: x.mean(), cases=lambda: cases, mistakes={},
                    hint="")  # fmt: skip
    monkeypatch.setattr(check_room, "find", lambda name: task)
    return assess("x.1", answer).message


@pytest.mark.parametrize(
    "answer, times",
    [
        (lambda x: x.mean() / 2, "0.5 times"),
        (lambda x: x.mean() * torch.pi, "3.142 times"),
        (lambda x: x.sum(), "8 times ours. A size"),
        (lambda x: x.sum(1).mean(), "4 times ours. A size"),
        (lambda x: x.mean() / len(x) ** 0.5, "0.7071 times ours. A size"),
    ],
)
def test_a_factor_that_people_forget_is_named(monkeypatch, answer, times):
    assert times in scalar(monkeypatch, answer)


@pytest.mark.parametrize(
    "answer",
    [lambda x: 0.1, lambda x: x.max(), lambda x: 1.37 * x.mean(), lambda x: x.std(),
     lambda x: x.mean() + 1, lambda x: x.mean() * (2 + (len(x) == 3))],
)  # fmt: skip
def test_any_other_wrong_number_is_not_called_a_factor(monkeypatch, answer):
    assert "largest difference" in scalar(monkeypatch, answer)


def test_one_case_alone_proves_no_factor(monkeypatch):
    assert "largest difference" in scalar(monkeypatch, lambda x: 2 * x.mean(), count=1)
