"""A button that draws, and a canvas: what they show, and what a press changes."""

import sys

import numpy as np
import pytest

from course_utils import show
from course_utils.show.canvas import Canvas
from course_utils.toybox import COLOURS

ROWS = ["p.", "yb"]


def pressed(button):
    button.click()


def test_a_canvas_is_a_picture_with_alpha():
    picture = Canvas(ROWS, COLOURS).picture()
    assert picture.shape == (4, 2, 2) and picture[3].tolist() == [[1, 0], [1, 1]]
    np.testing.assert_allclose(picture[:3, 0, 0], COLOURS["purple"], rtol=1e-6)


def test_a_press_paints_in_the_chosen_colour():
    canvas = Canvas(ROWS, COLOURS)
    brush, squares = canvas.controls()
    brush.value = "r"
    square = squares.children[0].children[1]
    pressed(square)
    np.testing.assert_allclose(canvas.picture()[:3, 0, 1], COLOURS["red"], rtol=1e-6)
    brush.value = "."
    pressed(square)
    assert canvas.picture()[3, 0, 1] == 0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["p"] * 2, "rows must be square"),
        ([], "rows must be square"),
        (["x"], "no 'x'"),
    ],
)
def test_a_canvas_refuses_what_it_cannot_show(rows, words):
    with pytest.raises(ValueError, match=words):
        Canvas(rows, COLOURS)


def test_a_button_draws_when_pressed_and_shows_an_error(monkeypatch):
    shown, answers = {}, []
    room = sys.modules["course_utils.show.canvas"]
    monkeypatch.setattr(room, "_put", lambda parts, *rest: shown.update(all=parts))
    first = show.draw_curve([0, 1], [0, 1], title="first")

    def draw():
        answers.append(1)
        if len(answers) > 1:
            raise ValueError("too small")
        return show.draw_curve([0, 1], [1, 0], title="second")

    show.button("go", draw, first)
    press, trouble, picture = shown["all"]
    before = picture.value
    pressed(press)
    assert picture.value != before and not trouble.value and not press.disabled
    pressed(press)
    assert "too small" in trouble.value and press.description == "go"
