"""What moves: a knob that redraws, an animation, the progress of a loop."""

import html
import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from IPython import get_ipython
from IPython.display import display
from PIL import Image

from course_utils.session import duration

from .grids import as_frames, enlarged, mosaic, pixels
from .output import alt_text, bundle, compressed, drawn, put
from .style import PALETTE, TROUBLE, VIEW, WIDTH


def widget(draw: Callable, *, alt: str | None = None, **controls) -> None:
    """Display controls and the figure that `draw(**values)` returns for their values.

    A control is name=(low, high, step, start) for a slider, name=[choices] for a menu,
    name=True or False for a box to tick. The first picture is stored as a plain image
    too, for pages without a kernel. ValueError for another kind of control.
    """
    import ipywidgets

    room = f"{20 + 8 * max(map(len, controls), default=0)}px"
    knobs = {name: _knob(name, what, room) for name, what in controls.items()}

    def values():
        return {name: knob.value for name, knob in knobs.items()}

    first = draw(**values())
    alt = alt_text(alt, first)
    mime, data = compressed(first)
    picture = ipywidgets.Image(value=data, format=mime.removeprefix("image/"))
    picture.layout.max_width, picture.layout.align_self = "100%", "flex-start"
    trouble = ipywidgets.HTML()

    def redraw(_):
        try:
            mime, data = compressed(draw(**values()))
        except Exception as error:  # a wrong turn of the knob must be seen, not lost
            text = html.escape(f"{type(error).__name__}: {error}")
            trouble.value = f'<span style="{TROUBLE}">{text}</span>'
            return
        trouble.value, picture.format = "", mime.removeprefix("image/")
        picture.value = data

    for knob in knobs.values():
        knob.observe(redraw, names="value")
    box = ipywidgets.VBox([*knobs.values(), trouble, picture])
    shown = bundle(mime, data, alt)
    shown["obj"][VIEW] = {
        "version_major": 2, "version_minor": 0, "model_id": box.model_id
    }  # fmt: skip
    put(**shown)


def _knob(name: str, what, room: str):
    """Return the ipywidgets control for one description, its name in `room`."""
    import ipywidgets

    words = {"description": name.replace("_", " "),
             "style": {"description_width": room},
             "layout": {"width": "480px", "max_width": "100%"}}  # fmt: skip
    if isinstance(what, bool):
        return ipywidgets.Checkbox(value=what, **words)
    if isinstance(what, list) and what:
        return ipywidgets.Dropdown(options=what, value=what[0], **words)
    if isinstance(what, tuple) and len(what) == 4:
        low, high, step, start = what
        if not low <= start <= high or step <= 0:
            raise ValueError(f"{name}: the start {start} must lie in [{low}, {high}] "
                             f"and the step {step} above 0")  # fmt: skip
        words |= {"min": low, "max": high, "step": step, "value": start,
                  "continuous_update": False}  # fmt: skip
        if all(isinstance(part, int) for part in what):
            return ipywidgets.IntSlider(**words)
        decimals = max(1, len(f"{step:.6f}".rstrip("0").split(".")[1]))
        return ipywidgets.FloatSlider(readout_format=f".{decimals}f", **words)
    raise ValueError(f"{name} must be (low, high, step, start), a list of choices, or "
                     f"True or False, not {what!r}")  # fmt: skip


def gif(
    frames,
    labels: Sequence | None = None,
    seconds: float = 2.0,
    title: str | None = None,
    alt: str | None = None,
) -> None:
    """Display an animation that loops, of at most 16 of the frames and 200 kB.

    `frames` and `labels` as in strip; frames that hold B images show them side by side.
    ValueError without title and alt.
    """
    alt = alt_text(alt or title)
    frames = as_frames(frames)
    for count, most in ((16, 232), (16, 112), (12, 64), (8, 64), (6, 48), (4, 32)):
        keep = np.linspace(0, len(frames) - 1, min(count, len(frames))).round()
        data = _animation([
            _still(frames[i], labels[i] if labels is not None else None, title, most)
            for i in keep.astype(int)
        ], seconds)  # fmt: skip
        if len(data) <= 200_000:
            break
    put(**bundle("image/gif", data, alt))


def _still(images: np.ndarray, label, title: str | None, most: int) -> Image.Image:
    """Return one frame of an animation, drawn like a grid of one row."""
    cells = enlarged(pixels(images, "frames"), min(most, WIDTH // len(images) - 8))
    labels = None if label is None else [label, *[""] * (len(cells) - 1)]
    return drawn(mosaic(cells, len(cells), 1, 8, None, None, labels, title))


def _animation(stills: list[Image.Image], seconds: float) -> bytes:
    pause = [max(40, int(1000 * seconds / len(stills)))] * (len(stills) - 1) + [1000]
    pages = [still.quantize(dither=Image.Dither.NONE) for still in stills]
    buffer = io.BytesIO()
    pages[0].save(buffer, "GIF", save_all=True, append_images=pages[1:],
                  duration=pause, loop=0)  # fmt: skip
    return buffer.getvalue()


def progress(iterable: Iterable, total: int | None = None) -> "Progress":
    """Iterate over `iterable` with a bar; leave one line such as "1500 steps, 41 s".

    `total` is needed where the iterable has no length. `bar.say("loss 0.1")` adds a
    message to the bar.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    return Progress(iterable, total)


@dataclass
class Progress:
    """What `progress` returns: iterate over it, once."""

    iterable: Iterable
    total: int | None
    message: str = ""

    def say(self, message: str) -> None:
        """Show a message behind the bar from its next update on."""
        self.message = str(message)

    def __iter__(self) -> Iterator:
        """Yield the items and keep the bar up to date, at most 5 times a second."""
        self.start, self.done, shown = time.monotonic(), 0, 0.0
        live = getattr(get_ipython(), "kernel", None) is not None
        handle = display({"text/plain": "starting"}, raw=True, display_id=True) \
            if live else None  # fmt: skip
        ended = False
        try:
            for item in self.iterable:
                yield item
                self.done += 1
                if handle and time.monotonic() - shown > 0.2:
                    shown = time.monotonic()
                    handle.update(self._bar(), raw=True)
            ended = True
        finally:
            line = self._line(ended)
            handle.update({"text/plain": line}, raw=True) if handle else print(line)

    def _line(self, ended: bool) -> str:
        of = "" if ended or not self.total else f" of {self.total:,}"
        words = [("" if ended else "stopped after ") + f"{self.done:,}{of} steps",
                 duration(time.monotonic() - self.start), self.message]  # fmt: skip
        return ", ".join(word for word in words if word)

    def _bar(self) -> dict:
        text = f"{self.done:,}"
        part = min(1.0, self.done / self.total) if self.total else 0.0
        if self.total:
            text += f" of {self.total:,}"
        text += f" · {duration(time.monotonic() - self.start)}"
        text += f" · {self.message}" if self.message else ""
        bar = (f'<div style="display:flex;align-items:center;gap:12px;'
               f'font-variant-numeric:tabular-nums">'
               f'<div style="width:240px;height:8px;border-radius:4px;'
               f'background:#8886;overflow:hidden"><div style="width:{part:.1%};'
               f'height:8px;background:{PALETTE[0]}"></div></div>'
               f"<span>{html.escape(text)}</span></div>")  # fmt: skip
        return {"text/html": bar, "text/plain": text}
