"""What one can press or turn: a button that draws, a canvas of squares, a page."""

import html
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .grids import draw_grid
from .output import alt_text, bundle, compressed, put
from .style import TROUBLE, VIEW

EMPTY = "."


def button(name: str, draw: Callable, first: Figure, **choices: list) -> None:
    """Display a button and a figure, `first`, which a press replaces by `draw()`'s.

    choices  name=[choices]: a menu each, whose values `draw(**values)` is given
    The first is stored as a plain image too, for pages without a kernel.
    """
    import ipywidgets

    mime, data = compressed(first)
    picture = ipywidgets.Image(value=data, format=mime.removeprefix("image/"))
    picture.layout.max_width, picture.layout.align_self = "100%", "flex-start"
    press, trouble = ipywidgets.Button(description=name), ipywidgets.HTML()
    menus = {key: ipywidgets.Dropdown(options=list(values), description=key)
             for key, values in choices.items()}  # fmt: skip

    def pressed(_):
        press.disabled, press.description = True, "working ..."
        try:
            mime, data = compressed(
                draw(**{key: menu.value for key, menu in menus.items()})
            )
            trouble.value, picture.format = "", mime.removeprefix("image/")
            picture.value = data
        except Exception as error:  # it must be seen, not lost
            text = html.escape(f"{type(error).__name__}: {error}")
            trouble.value = f'<span style="{TROUBLE}">{text}</span>'
        press.disabled, press.description = False, name

    press.on_click(pressed)
    _put([*menus.values(), press, trouble, picture], mime, data, alt_text(None, first))


class Canvas:
    """Squares to colour by pressing them; `picture()` is what is on them."""

    def __init__(self, rows: Sequence[str], colours: Mapping[str, tuple]):
        """Start from rows of letters: the first letter of a colour, or a dot."""
        self.colours, self.names = dict(colours), {}
        for name in colours:
            self.names.setdefault(name[0], name)
        side = len(rows)
        if not side or any(len(row) != side for row in rows):
            raise ValueError(f"rows must be square: {side} rows of {side} letters each")
        known = {EMPTY, *self.names}
        if wrong := sorted({letter for row in rows for letter in row} - known):
            raise ValueError(f"rows: no {wrong[0]!r}; there are {sorted(known)}")
        self.letters = [list(row) for row in rows]

    def picture(self) -> np.ndarray:
        """Red, green, blue and alpha in 0..1, (4, side, side)."""
        inks = {letter: (*self.colours[n], 1.0) for letter, n in self.names.items()}
        inks[EMPTY] = (0.0, 0.0, 0.0, 0.0)
        found = [[inks[letter] for letter in row] for row in self.letters]
        return np.array(found, dtype=np.float32).transpose(2, 0, 1)

    def controls(self) -> list:
        """The menu of colours, and the squares."""
        import ipywidgets

        choice = [("empty", EMPTY), *((n, letter) for letter, n in self.names.items())]
        brush = ipywidgets.Dropdown(
            options=choice, value=choice[1][1], description="brush"
        )
        room = ipywidgets.Layout(width="22px", height="22px", padding="0", margin="1px")

        def square(y: int, x: int):
            where = f"row {y + 1}, column {x + 1}"  # for those who cannot see it
            one = ipywidgets.Button(layout=room, tooltip=where)
            one.style.button_color = self._tint(self.letters[y][x])

            def pressed(_):
                self.letters[y][x] = brush.value
                one.style.button_color = self._tint(brush.value)

            one.on_click(pressed)
            return one

        side = range(len(self.letters))
        lines = [ipywidgets.HBox([square(y, x) for x in side]) for y in side]
        return [brush, ipywidgets.VBox(lines)]

    def _tint(self, letter: str) -> str:
        if letter == EMPTY:
            return "#eef2f5"
        red, green, blue = self.colours[self.names[letter]]
        return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def canvas(rows: Sequence[str], colours: Mapping[str, tuple], alt: str) -> Canvas:
    """Display a canvas of squares and return it; `rows` is what is on it at first.

    rows     as many texts as each has letters: a colour's first letter, or a dot
    colours  name -> (red, green, blue) in 0..1; of two with one letter the first counts
    """
    made = Canvas(rows, colours)
    rgba = made.picture()
    paper = rgba[:3] * 2 - 1 + (1 - rgba[3:]) * 1.9
    mime, data = compressed(draw_grid(paper[None], title=alt))
    _put(made.controls(), mime, data, alt_text(alt))
    return made


def viewer(page: str, first: Figure, height: int = 380) -> None:
    """Display a web page in a frame of its own, where its scripts run.

    page    such as meshes.mesh_page gives, to turn a mesh by the mouse; it must bring
            all with it, and is sent to the browser, not saved: a lesson stays small
    first   what is stored as a plain image, for pages without a kernel
    height  of the frame in pixels
    """
    import ipywidgets

    if "<" not in page:
        raise ValueError(f"page={page[:40]!r} must be HTML itself, not where it is")
    style = f"width:100%;height:{height}px;border:0;border-radius:9px"
    frame = f'<iframe srcdoc="{html.escape(page)}" style="{style}"></iframe>'
    room = ipywidgets.Layout(width="100%", height=f"{height + 8}px")
    mime, data = compressed(first)
    _put([ipywidgets.HTML(frame, layout=room)], mime, data, alt_text(None, first))


def _put(controls: list, mime: str, data: bytes, alt: str) -> None:
    import ipywidgets

    box = ipywidgets.VBox(controls)
    shown = bundle(mime, data, alt)
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    shown["obj"][VIEW] = view
    put(**shown)
