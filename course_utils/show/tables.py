"""Tables that read well on the page and as plain text."""

import html
import numbers
from collections.abc import Mapping, Sequence

from IPython.display import display


def number(value) -> str:
    """Return a number with about three digits that matter: 0.822, 12.3, 1,234."""
    value = float(value)
    size = abs(value)
    if size != 0 and not 1e-3 <= size < 1e6:
        return f"{value:.1e}" if size < 1e308 else str(value)
    if value == int(value) and size >= 10 or value == 0:
        return f"{value:,.0f}"
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{decimals}f}"


def short(value: float) -> str:
    """Return a number without trailing zeros: 0.1, not 0.100."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _text(value) -> str:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return {True: "yes", False: "no", None: ""}.get(value, str(value))
    return f"{value:,}" if isinstance(value, int) else number(value)


def table(rows: Sequence, columns: Sequence[str] | None = None,
          title: str | None = None) -> None:  # fmt: skip
    """Display rows (sequences, or dicts with the same keys) as a table.

    Floats are rounded to about three digits. ValueError if a row has another length.
    """
    rows = list(rows)
    if rows and isinstance(rows[0], Mapping):
        columns = columns or list(rows[0])
        rows = [[row.get(column) for column in columns] for row in rows]
    head = [str(column) for column in columns or ()]
    body = [[_text(value) for value in row] for row in rows]
    width = len(head) or (len(body[0]) if body else 0)
    if any(len(row) != width for row in body):
        raise ValueError(f"rows must all have {width} entries, like the columns")
    right = [bool(body) and all(_numeric(row[i]) for row in body) for i in range(width)]
    data = {"text/html": _html(head, body, right, title),
            "text/plain": _plain(head, body, right, title)}  # fmt: skip
    display(data, raw=True)


def _numeric(text: str) -> bool:
    return text.replace(",", "").lstrip("-")[:1].isdigit() or text in ("", "nan", "inf")


def compare(rows: Mapping[str, Sequence], columns: Sequence[str],
            title: str | None = None) -> None:  # fmt: skip
    """Display {"mean": (a, b)} as a table with one named column for each value."""
    table([[name, *values] for name, values in rows.items()], ["", *columns], title)


def _html(head, body, right, title) -> str:
    def line(cells, tag, rule):
        sides = ["right" if r else "left" for r in right]
        style = "padding:5px 18px 5px 4px;border:0;border-bottom:" + rule
        # an empty cell heads nothing
        tags = [tag if cell else "td" for cell in cells]
        return "<tr>" + "".join(
            f'<{tag} style="text-align:{side};{style}">{html.escape(cell)}</{tag}>'
            for tag, side, cell in zip(tags, sides, cells, strict=True)
        ) + "</tr>"  # fmt: skip

    caption = (f'<caption style="text-align:left;font-weight:bold;padding:4px">'
               f"{html.escape(title)}</caption>") if title else ""  # fmt: skip
    top = line(head, "th", "1px solid #8a94a0") if head else ""
    rest = "\n".join(line(cells, "td", "1px solid #8884") for cells in body)
    return (f'<table style="border-collapse:collapse;margin:6px 0">{caption}'
            f"<thead>{top}</thead><tbody>{rest}</tbody></table>")  # fmt: skip


def _plain(head, body, right, title) -> str:
    lines = ([head] if head else []) + body
    widths = [max(len(row[i]) for row in lines) for i in range(len(right))]

    def joined(cells):
        trio = zip(cells, widths, right, strict=True)
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in trio).rstrip()

    text = [joined(cells) for cells in lines]
    if head:
        text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(([title, ""] if title else []) + text)
