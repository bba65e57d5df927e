"""What an executed lesson shows: its pictures, scores, printed numbers and cells.

Slides take from here all that a run gave, so that they cannot say anything else. Every
search must find exactly one thing; a ValueError says what is there instead.
"""

import re
from pathlib import Path
from typing import NamedTuple

from course_utils.commands import choice

IMAGES = ("image/gif", "image/png", "image/jpeg")
NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?"
SCORE = re.compile(rf"(\w+): ({NUMBER})(?: \(({NUMBER}) to ({NUMBER})\))?")
ENDS = re.compile(rf"\(floor ({NUMBER}), ceiling ({NUMBER}), ")
RECORDED = re.compile(r"^.*(?:higher|lower) is better, seeds=\d+.*$", re.MULTILINE)


class Picture(NamedTuple):
    """A picture of a lesson: what it says in words, and its bytes in base64."""

    words: str
    mime: str
    data: str


class Lesson:
    """The committed, executed notebook of one lesson."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        nb = choice.read_notebook(path)
        self.cells = [cell for cell in nb.cells if cell.cell_type == "code"]
        self.text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
        outputs = [output for cell in self.cells for output in cell.outputs]
        self.pictures = [p for o in outputs for p in _pictures(o)]
        self.printed = [_plain(o) for o in outputs]
        self.scores = [row for text in self.printed for row in recorded(text)]

    def picture(self, start: str) -> Picture:
        """Return the picture whose words, as in a link, begin with `start`."""
        found = {p.words: p for p in self.pictures if slug(p.words).startswith(start)}
        there = [slug(p.words) for p in self.pictures]
        return self._one(found, f"picture {start}", there)

    def score(self, metric: str, what: str = "value") -> float:
        """Return the value, floor, ceiling, seeds or n of a recorded score."""
        found = {row["metric"]: row for row in self.scores}
        if metric not in found:
            raise ValueError(
                f"lesson {self.name} records no {metric}; it records "
                f"{', '.join(found) or 'nothing'}"
            )
        if what not in found[metric]:
            raise ValueError(f"{metric} has {', '.join(found[metric])}, but no {what}")
        return found[metric][what]

    def number(self, before: str, nth: int = 1) -> float:
        """Return the `nth` number that was printed after the words `before`."""
        start = _spaced(before)
        rests = [x.partition(start)[2] for x in self.printed if start in x]
        numbers = (re.findall(NUMBER, rest) for rest in rests)
        found = {x[nth - 1] for x in numbers if len(x) >= nth}
        if len(found) != 1:
            told = f"several numbers, {sorted(found)}," if found else "no number"
            raise ValueError(
                f"lesson {self.name} prints {told} after {before!r}: quote words "
                "of its outputs that stand there once, right before the number"
            )
        return float(found.pop().replace(",", ""))

    def cell(self, part: str) -> tuple[int, str]:
        """Return the number, as in [7], and the code of the cell that has `part`."""
        found = {c.execution_count: c for c in self.cells if part in c.source}
        cell = self._one(found, f"cell with {part!r}", [])
        return cell.execution_count, cell.source

    def needs(self) -> str:
        """Return what the lesson takes, as measured: about 10 s and 0.5 GB on ..."""
        if not (said := re.search(r"\*\*Needs\*\* (.+?)\. \*\*Before", self.text)):
            raise ValueError(f"lesson {self.name} does not say what it **Needs**")
        return said[1]

    def _one(self, found: dict, what: str, there: list):
        if len(found) == 1:
            return next(iter(found.values()))
        told = f"{len(found)}: {list(found)}" if found else f"none of {there or 'them'}"
        raise ValueError(
            f"lesson {self.name}: exactly one {what} is wanted, there is {told}; name "
            "another, or say more of it"
        )


class Lessons(dict[str, Lesson]):
    """The lessons by their two digits, each read when it is first asked for."""

    def __missing__(self, number: str) -> Lesson:
        """Read a lesson; ValueError if it is not here."""
        [path] = choice.lessons([number])
        self[number] = Lesson(path)
        return self[number]


def recorded(text: str) -> list[dict]:
    """Return the rows of what `session.record` printed, read back from its line."""
    rows = []
    for line in RECORDED.findall(text):
        shared = ENDS.search(line)
        counts = {k: int(v) for k, v in re.findall(r"\b(seeds|n)=(\d+)", line)}
        told = line[: shared.start()] if shared else line.partition("; (floor")[0]
        for metric, value, *ends in SCORE.findall(told):
            floor, ceiling = shared.groups() if shared else ends
            numbers = dict(value=value, floor=floor, ceiling=ceiling)
            row = {key: float(x) for key, x in numbers.items()}
            rows.append({"metric": metric} | row | counts)
    return rows


def slug(words: str) -> str:
    """Return words as they stand in a link: small letters, figures and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _pictures(output) -> list[Picture]:
    data = output.get("data", {})
    for mime in IMAGES:
        if mime in data:
            words = output.metadata.get(mime, {}).get("alt") or data["text/plain"]
            return [Picture(words, mime, "".join(data[mime].split()))]
    return []


def _plain(output) -> str:
    """What an output says, with single spaces, however a table was set."""
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return "\n".join(_spaced(line) for line in text.splitlines())


def _spaced(text: str) -> str:
    return " ".join(text.split())
