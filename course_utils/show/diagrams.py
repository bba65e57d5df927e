"""A drawing of a machine: named boxes in rows, and arrows between them."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .sheet import ARROWS, KINDS, Box, Content, Sheet, extent, look_of
from .style import WIDTH

MARGIN, PAD = 12, 26  # pixels: around the drawing; an arrow beside its words


def draw_diagram(
    rows: Sequence[Sequence[str | None]],
    arrows: Sequence[tuple],
    kinds: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
    pictures: Mapping | None = None,
    title: str | None = None,
) -> Figure:
    """Draw a machine: `rows` of names say where its boxes stand, None is a free place.

    `arrows` are (from, to), (from, to, words) or (from, to, words, kind) with the kind
    "flow", "learn" (dashed: a gradient), "skip" or "reverse". An arrow runs straight,
    around one corner over a free place, or over the boxes of its row (under them if it
    goes back); to its own box it is a loop. `kinds` say what a box is: "data" (the
    default), "network", "frozen", "loss" or "words". `notes` are small texts under
    names, `pictures` images (1 or 3, H, W) over them. "\\n" breaks lines.

    ValueError for a name that has no place or two, for an arrow that would run through
    a box, and for a drawing that is wider than the page.
    """
    layout = _Layout(rows, arrows, kinds or {}, notes or {}, pictures or {})
    sheet = Sheet(layout.wide, layout.high, title)
    shift = (sheet.wide - layout.wide) / 2
    boxes = {}
    for name, (row, column) in layout.place.items():
        kind = layout.kinds.get(name, "data")
        boxes[name] = sheet.box(
            layout.content[name], layout.x[column] + shift, layout.y[row], kind
        )
    for arrow in layout.arrows:
        points, above = layout.way(boxes, *arrow[:2])
        sheet.arrow(points, arrow[2], arrow[3], above)
    return sheet.figure


class _Layout:
    """Where boxes go: each column and row as wide as what stands in it and beside."""

    def __init__(self, rows, arrows, kinds, notes, pictures):
        self.place, self.kinds = _places(rows), kinds
        for what, given in (("kinds", kinds), ("notes", notes), ("pictures", pictures)):
            for name in given:
                self._known(name, what)
        for kind in kinds.values():
            look_of(kind, KINDS, "kinds")
        self.arrows = [self._arrow(arrow) for arrow in arrows]
        self.content = {
            name: Content(name, notes.get(name, ""), pictures.get(name))
            for name in self.place
        }
        down, across = len(rows), max(map(len, rows))
        self.column_wide, self.row_high = [0.0] * across, [0.0] * down
        for name, (row, column) in self.place.items():
            content = self.content[name]
            self.column_wide[column] = max(self.column_wide[column], content.wide)
            self.row_high[row] = max(self.row_high[row], content.high)
        # room before each column and row, and after the last
        self.before_x = [MARGIN, *[30.0] * (across - 1), MARGIN]
        self.before_y = [4.0, *[32.0] * (down - 1), MARGIN]
        self.used, self.turn = {}, {}  # by arrows that go over or under their row
        for arrow in self.arrows:
            self._make_room(*arrow)
        self.x, self.wide = _middles(self.before_x, self.column_wide)
        self.y, self.high = _middles(self.before_y, self.row_high)
        if self.wide > WIDTH:
            raise ValueError(
                f"rows make a drawing of {self.wide:.0f} pixels, the page has {WIDTH}: "
                "break names, notes and words with \\n, or use another row"
            )

    def _known(self, name: str, what: str) -> None:
        if name not in self.place:
            raise ValueError(
                f"{what} speak of {name!r}, which has no place in rows: rows have "
                f"{', '.join(map(repr, self.place))}"
            )

    def _arrow(self, arrow: Sequence[str]) -> tuple[str, str, str, str]:
        if isinstance(arrow, str) or not 2 <= len(arrow) <= 4:
            raise ValueError(
                "an arrow must be (from, to), (from, to, words) or (from, to, words, "
                f"kind), not {arrow!r}"
            )
        start, end, words, kind = *arrow, *("", "flow")[len(arrow) - 2 :]
        self._known(start, "arrows")
        self._known(end, "arrows")
        look_of(kind, ARROWS, "an arrow's kind")
        return start, end, words, kind

    def _make_room(self, start: str, end: str, words: str, kind: str) -> None:
        """Widen the room before columns and rows until the arrow's words fit."""
        (row, column), (to_row, to_column) = self.place[start], self.place[end]
        wide, high = extent(words)
        if row == to_row and (start == end or not self._free(start, end)):
            above = self._above(start, end)
            used = self.used.get((row, above), 0)
            self.turn[start, end] = used + 18
            self.used[row, above] = used + 18 + (high + 6 if words else 0)
            self._need(self.before_y, row + (not above), self.used[row, above] + 14)
        elif column == to_column:
            self._need(self.before_y, max(row, to_row), high + 22)
            side = 0 if to_row > row and self._both(start, end) else 1
            half = self.column_wide[column] / 2
            self._need(self.before_x, column + side, wide + 26 - half)
        else:
            first, last = sorted((column, to_column))
            inside = sum(self.column_wide[first + 1 : last])
            inside += (self.column_wide[column] - self.content[start].wide) / 2
            inside += self.column_wide[to_column] / 2
            if row == to_row:  # else it ends in the middle of the column
                inside -= self.content[end].wide / 2
            missing = (wide + PAD) * bool(words) - inside
            for gap in range(first + 1, last + 1):
                self._need(self.before_x, gap, missing / (last - first))
            self._need(self.before_y, row, high + 12 - self.row_high[row] / 2)

    @staticmethod
    def _need(room: list[float], place: int, pixels: float) -> None:
        room[place] = max(room[place], pixels)

    def _free(self, start: str, end: str, corner: tuple | None = None) -> bool:
        """Is there no box between the two, on the way over the corner?"""
        a, b = self.place[start], self.place[end]
        taken = set(self.place.values()) - {a, b}
        ways = [(a, corner), (corner, b)] if corner else [(a, b)]
        return corner not in taken and not any(
            (row == r == q and min(c, d) < column < max(c, d))
            or (column == c == d and min(r, q) < row < max(r, q))
            for (r, c), (q, d) in ways
            for row, column in taken
        )

    def _above(self, start: str, end: str) -> bool:
        """Does an arrow within a row go over its boxes? A loop: if nothing is there."""
        (row, column), (_, to_column) = self.place[start], self.place[end]
        if start == end:
            return (row - 1, column) not in self.place.values()
        return to_column > column

    def _both(self, start: str, end: str) -> bool:
        """Is there an arrow back as well?"""
        return any(arrow[:2] == (end, start) for arrow in self.arrows)

    def way(self, boxes: dict[str, Box], start: str, end: str) -> tuple[list, bool]:
        """Return the points of an arrow, and whether its words stand above or right."""
        a, b = boxes[start], boxes[end]
        (row, column), (to_row, to_column) = self.place[start], self.place[end]
        both = self._both(start, end)
        if row == to_row and start != end and self._free(start, end):
            ahead = to_column > column
            shift = both * (-9 if ahead else 9)
            sides = ("right", "left") if ahead else ("left", "right")
            return [a.edge(sides[0], shift), b.edge(sides[1], shift)], ahead or not both
        if row == to_row:  # over the row and onwards, or under it and back
            above, turn = self._above(start, end), self.turn[start, end]
            y = self.row_high[row] / 2 + turn
            y = self.y[row] - y if above else self.y[row] + y
            side = "top" if above else "bottom"
            shift = 14 if to_column >= column else -14
            first, last = a.edge(side, shift), b.edge(side, -shift)
            return [first, (first[0], y), (last[0], y), last], above
        ahead = to_row > row
        if column == to_column and self._free(start, end):
            shift = both * (-12 if ahead else 12)
            sides = ("bottom", "top") if ahead else ("top", "bottom")
            points = [a.edge(sides[0], shift), b.edge(sides[1], shift)]
            return points, not (both and ahead)
        return self._around(a, b, start, end), True

    def _around(self, a: Box, b: Box, start: str, end: str) -> list:
        """Return the way around one corner: level first, else upright first."""
        (row, column), (to_row, to_column) = self.place[start], self.place[end]
        level, upright = to_column > column, to_row > row
        if self._free(start, end, (row, to_column)):
            first = a.edge("right" if level else "left")
            last = b.edge("top" if upright else "bottom")
            return [first, (last[0], first[1]), last]
        if self._free(start, end, (to_row, column)):
            first = a.edge("bottom" if upright else "top")
            last = b.edge("left" if level else "right")
            return [first, (first[0], last[1]), last]
        raise ValueError(
            f"no way from {start!r} to {end!r} without crossing a box: give one of "
            "the two another place in rows"
        )


def _places(rows: Sequence[Sequence[str | None]]) -> dict[str, tuple[int, int]]:
    """Return {name: (row, column)}."""
    place = {}
    for r, row in enumerate(rows):
        if isinstance(row, str):
            raise ValueError(f"rows must be lists of names, {row!r} is a text")
        for c, name in enumerate(row):
            if name is not None and place.setdefault(name, (r, c)) != (r, c):
                raise ValueError(f"rows have {name!r} twice: names must differ")
    if not place:
        raise ValueError("rows must hold at least one name")
    return place


def _middles(before: list[float], sizes: list[float]) -> tuple[list[float], float]:
    """Return the middle of each column (or row), and the whole length."""
    middles, end = [], 0.0
    for room, size in zip(before, sizes, strict=False):
        middles.append(end + room + size / 2)
        end += room + size
    return middles, end + before[-1]
