"""The canvas: what a click inks, what the button is given, what is refused."""

import numpy as np
import pytest
import torch

from course_utils import show
from course_utils.show import output

VIEW = "application/vnd.jupyter.widget-view+json"
START = np.array([[0, 1, 0], [0, 0, 0]])


@pytest.fixture
def canvas(monkeypatch):
    """A canvas of 2x3 cells with two pens: its children, and what it was asked."""
    pytest.importorskip("ipywidgets")
    import ipywidgets.widgets.widget as room
    from ipywidgets import Widget

    seen, asked = [], []
    monkeypatch.setattr(output, "display", lambda data, **_: seen.append(data))

    def use(cells, toy):
        asked.append((cells, toy))
        if cells.sum() > 5:
            raise ValueError("<too much> ink")
        return show.draw_grid(torch.zeros(1, 1, 8, 8) + cells.sum() / 9, title=toy)

    show.canvas(use, START, colours={"red": "#f00", "blue": "#00f"}, toy=["cat", "car"])
    models = getattr(room, "_instances", None) or Widget.widgets
    pens, grid, toy, button, trouble, picture = models[
        seen[0][VIEW]["model_id"]
    ].children
    return pens, grid.children, toy, button, trouble, picture, asked


def test_the_first_drawing_is_used_at_once(canvas):
    *_, picture, asked = canvas
    assert len(asked) == 1 and asked[0][1] == "cat" and len(picture.value) > 100
    assert np.array_equal(asked[0][0], START)


def test_a_click_inks_and_another_takes_away(canvas):
    pens, cells, toy, button, _, picture, asked = canvas
    before = picture.value
    cells[5].click()
    pens.value = "blue"
    cells[0].click()
    cells[1].click()  # over the red one
    toy.value = "car"
    button.click()
    assert asked[-1][0].tolist() == [[2, 2, 0], [0, 0, 1]] and asked[-1][1] == "car"
    assert picture.value != before and cells[0].style.button_color == "#00f"
    cells[0].click()
    button.click()
    assert asked[-1][0].tolist() == [[0, 2, 0], [0, 0, 1]]


def test_what_goes_wrong_is_seen_and_goes_away(canvas):
    pens, cells, _, button, trouble, *_ = canvas
    pens.value = "blue"
    for cell in cells[2:]:
        cell.click()
    button.click()
    assert "ValueError: &lt;too much&gt; ink" in trouble.value
    cells[2].click(), cells[3].click(), cells[4].click()
    button.click()
    assert trouble.value == ""


@pytest.mark.parametrize("start", [[0, 1], [[0.5]], [[3]], [[-1]], []])
def test_a_start_that_is_no_drawing_is_refused(start):
    pytest.importorskip("ipywidgets")
    with pytest.raises(ValueError, match="start must be"):
        show.canvas(lambda cells: None, start, colours={"red": "#f00", "blue": "#00f"})
