"""The instructors' guide: what runs gave it, and the guide as a page to print.

slides/INSTRUCTORS.md is read as it stands. Two tables in it are written here, each
between a comment with its name and `<!-- end -->`: what every lesson takes, and what a
server needs. A third, the talk's systems, stands so in the README. `make notebooks` and
`deploy/capacity.py --save` keep them up to date.
"""

import math
import re
from pathlib import Path

from course_utils.commands import choice, costs, slides, systems
from course_utils.commands.evidence import Lesson

NAME = "INSTRUCTORS.md"
WRITTEN = re.compile(
    r"<!-- (times|capacity|systems) -->\n.*?(?=<!-- end -->)", re.DOTALL
)
EXERCISE = re.compile(r"^#+ Your turn · (\d\d\.\d) .*\((\d+) minutes?, ", re.MULTILINE)
PRINT = Path(__file__).with_suffix(".css")


def refresh() -> None:
    """Write the tables of the guide and the README anew, where there are such files."""
    from course_utils.training import write_whole  # late: it imports torch

    for path in (choice.root() / "slides" / NAME, choice.root() / "README.md"):
        if path.is_file():
            text = path.read_text("utf-8")
            if (new := refreshed(text)) != text:
                write_whole(path, new)


def refreshed(text: str) -> str:
    """Return a text with its tables as the lessons and capacity.md have them now."""
    tables = {"times": times, "capacity": capacity, "systems": systems.systems_table}
    return WRITTEN.sub(lambda m: f"<!-- {m[1]} -->\n{tables[m[1]]()}\n", text)


def times() -> str:
    """Return the table of what each lesson takes, as measured and as its notes say."""
    decks = {path.stem: path for path in slides.decks()}
    rows, sums = [], [0, 0, 0]
    for path in choice.lessons():
        lesson = Lesson(path)
        took, held = re.match(r"about (.+) and (.+ GB)", lesson.needs()).groups()
        said = talked(decks[path.stem]) if path.stem in decks else 0
        own = sum(exercise_minutes(lesson).values())
        whole = math.ceil(runs(lesson) + said + own)
        sums = [a + b for a, b in zip(sums, (said, own, whole), strict=True)]
        rows.append(
            f"| {path.stem[:2]} | {took} | {held} | {said:g} | {own} | {whole} |"
        )
    head = (
        "| lesson | it runs | it holds | slides, min | exercises, min | in all, min |"
    )
    end = "| all | | | {:g} | {} | {} |".format(*sums)
    return "\n".join([head, "|---|---:|---:|---:|---:|---:|", *rows, end])


def runs(lesson: Lesson) -> float:
    """Return the minutes that a lesson runs, as its own text says."""
    return costs.promised(f"Needs {lesson.needs()}")[0] / 60


def exercise_minutes(lesson: Lesson) -> dict[str, int]:
    """Return {exercise: its minutes}; a prediction that has no heading takes none."""
    checked = [name for c in lesson.cells
               for name in re.findall(r'check\("(\d\d\.\d)"', c.source)]  # fmt: skip
    known = {name: int(n) for name, n in EXERCISE.findall(lesson.text)}
    return {name: known.get(name, 0) for name in checked}


def minutes(deck: Path) -> list[float]:
    """Return how long each slide of a deck takes, as the speaker's notes say."""
    notes = map(slides.notes, slides.split(deck.read_text("utf-8")))
    return [float(re.match(r"([\d.]+) min\.", said)[1]) for said in notes]


def talked(deck: Path) -> float:
    """Return the minutes of a deck without the slides that are exercises."""
    parts = slides.split(deck.read_text("utf-8"))
    both = zip(parts, minutes(deck), strict=True)
    return sum(n for part, n in both if not re.search(r"^# .*\d\d\.\d", part, re.M))


def capacity() -> str:
    """Return the table of deploy/capacity.md that says what a class needs."""
    text = (choice.root() / "deploy" / "capacity.md").read_text("utf-8")
    return re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)[-1].strip()


def printed(folder: Path | None = None) -> Path:
    """Write the guide as a page to print, with its answers unfolded, into `folder`.

    That is build/ if none is given: not build/slides, which a bundle takes to learners.
    """
    from course_utils.commands import page  # brings nbconvert: only if it is wanted
    from course_utils.training import write_whole  # late: it imports torch

    text = (choice.root() / "slides" / NAME).read_text("utf-8")
    text = re.sub(r"<!--.*?-->\n?", "", text.replace("<details>", "<details open>"))
    text = re.sub(r"\[([^]]+)\]\((?!\w+:)[^)]*\)", r"\1", text)  # they lie elsewhere
    render = page.MarkdownWithMath(renderer=page.Math(escape=False)).render
    title = re.search(r"^# (.+)$", text, re.MULTILINE)[1]
    file = (folder or choice.root() / "build") / f"{Path(NAME).stem}.html"
    style = f"{page.highlighting()}\n{PRINT.read_text('utf-8')}"
    write_whole(file, page.document(title, f"<main>{render(text)}</main>", style))
    print(f"to print: {file}", flush=True)
    return file
