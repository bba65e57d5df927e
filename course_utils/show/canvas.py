"""A canvas of core controls: cells to ink, colours, and a button that uses them."""

import html
from collections.abc import Callable, Mapping

import numpy as np

from .output import alt_text, bundle, compressed, put
from .style import TROUBLE, VIEW

EMPTY = "#1c1a24"


def canvas(
    use: Callable,
    start,
    *,
    colours: Mapping[str, str] | None = None,
    label: str = "draw it",
    alt: str | None = None,
    **choices: list,
) -> None:
    """Display cells to click, and below the figure that `use(cells, **values)` returns.

    start    the first drawing: whole numbers (rows, columns), 0 for an empty cell, k
             for the k-th of `colours`; also what the stored picture shows
    colours  name -> CSS colour of the pens; one white pen if not given
    label    of the button that calls `use`, with cells as an array of whole numbers
    choices  name=[choices] for a menu each
    A click inks a cell with the chosen pen, another one takes the ink away. ValueError
    for a start that is not a table of such numbers.
    """
    import ipywidgets

    pens = dict(colours or {"pen": "#ffffff"})
    cells = _checked(start, len(pens)).copy()
    shades = [EMPTY, *pens.values()]
    pen = ipywidgets.ToggleButtons(options=list(pens), layout={"margin": "4px"})
    menus = {name: ipywidgets.Dropdown(options=list(what), description=name)
             for name, what in choices.items()}  # fmt: skip
    small = ipywidgets.Layout(width="20px", height="20px", margin="0", padding="0")
    buttons = []
    for place, value in np.ndenumerate(cells):
        button = ipywidgets.Button(layout=small, tooltip=f"row {place[0]}, {place[1]}")
        button.style.button_color = shades[value]
        button.on_click(_inking(cells, place, pen, list(pens), shades))
        buttons.append(button)
    grid = ipywidgets.GridBox(buttons, layout={
        "grid_template_columns": f"repeat({cells.shape[1]}, 20px)",
        "grid_gap": "1px"})  # fmt: skip
    box, shown = _with_picture(use, cells, menus, label, alt)
    box.children = (*([pen] if len(pens) > 1 else []), grid, *box.children)
    shown["obj"][VIEW] = {
        "version_major": 2, "version_minor": 0, "model_id": box.model_id
    }  # fmt: skip
    put(**shown)


def _checked(start, pens: int) -> np.ndarray:
    cells = np.asarray(start)
    if cells.ndim != 2 or cells.dtype.kind not in "iub" or not cells.size:
        raise ValueError(
            f"start must be a table of whole numbers, not {cells.dtype} of shape "
            f"{cells.shape}"
        )
    if cells.min() < 0 or cells.max() > pens:
        raise ValueError(f"start must be 0 for empty cells or a pen, 1..{pens}")
    return cells.astype(int)


def _inking(cells: np.ndarray, place: tuple, pen, names: list, shades: list):
    """Return what a click on the cell does."""

    def click(button) -> None:
        chosen = 1 + names.index(pen.value)
        cells[place] = 0 if cells[place] == chosen else chosen
        button.style.button_color = shades[cells[place]]

    return click


def _with_picture(use: Callable, cells: np.ndarray, menus: dict, label: str, alt):
    """Return the box with menus, button and picture, and the bundle of the first."""
    import ipywidgets

    first = use(cells.copy(), **{name: menu.value for name, menu in menus.items()})
    mime, data = compressed(first)
    picture = ipywidgets.Image(value=data, format=mime.removeprefix("image/"))
    picture.layout.max_width, picture.layout.align_self = "100%", "flex-start"
    button, trouble = ipywidgets.Button(description=label), ipywidgets.HTML()

    def redraw(_) -> None:
        try:
            values = {name: menu.value for name, menu in menus.items()}
            mime, data = compressed(use(cells.copy(), **values))
        except Exception as error:  # what went wrong must be seen, not lost
            text = html.escape(f"{type(error).__name__}: {error}")
            trouble.value = f'<span style="{TROUBLE}">{text}</span>'
            return
        trouble.value, picture.format = "", mime.removeprefix("image/")
        picture.value = data

    button.on_click(redraw)
    box = ipywidgets.VBox([*menus.values(), button, trouble, picture])
    return box, bundle(mime, data, alt_text(alt, first))
