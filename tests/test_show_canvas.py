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


def test_a_button_draws_with_what_its_menus_say(monkeypatch):
    shown, asked = {}, []
    room = sys.modules["course_utils.show.canvas"]
    monkeypatch.setattr(room, "_put", lambda parts, *rest: shown.update(all=parts))

    def draw(toy="cat"):
        asked.append(toy)
        return show.draw_curve([0, 1], [0, len(toy)], title=toy)

    show.button("go", draw, draw(), toy=["cat", "house"])
    menu, press, *_ = shown["all"]
    menu.value = "house"
    assert asked == ["cat"]  # only a press draws
    pressed(press)
    assert asked == ["cat", "house"]


def test_a_viewer_is_a_frame_live_and_a_picture_on_paper(monkeypatch):
    shown = {}
    room = sys.modules["course_utils.show.canvas"]
    monkeypatch.setattr(room, "put", lambda **bundle: shown.update(bundle))
    first = show.draw_curve([0, 1], [0, 1], title="A toy that turns")
    show.viewer('<p title="a">&amp;</p>', first, height=200)
    assert shown["obj"]["text/plain"] == "A toy that turns"
    assert any(mime.startswith("image/") for mime in shown["obj"])
    assert "srcdoc" not in str(shown["obj"])  # the page itself is not saved


def test_a_viewers_page_is_quoted(monkeypatch):
    shown = {}
    room = sys.modules["course_utils.show.canvas"]
    monkeypatch.setattr(room, "_put", lambda parts, *rest: shown.update(all=parts))
    first = show.draw_curve([0, 1], [0, 1], title="A toy that turns")
    show.viewer('<p title="a">&amp;</p>', first, height=200)
    [frame] = shown["all"]
    assert 'srcdoc="&lt;p title=&quot;a&quot;&gt;&amp;amp;&lt;/p&gt;"' in frame.value
    with pytest.raises(ValueError, match="page='toy.html' must be HTML itself"):
        show.viewer("toy.html", first)
