"""What was passed, as a table and a page: a learner's own, or a class's."""

import html
import importlib
import pkgutil
import time
from pathlib import Path

from course_utils import check
from course_utils.check import progress
from course_utils.commands import choice, index, page
from course_utils.training import write_whole

STYLE = """table { border-collapse: collapse; }
th { font-weight: 600; text-align: left; }
td, th { padding: .25rem .7rem; border-bottom: 1px solid var(--line); }
.done { color: var(--good); } .open { color: var(--soft); }
td.number { text-align: right; }
.wide { overflow-x: auto; }"""


def exercises() -> dict[str, list[str]]:
    """Return {lesson: its exercises}, as in {"05": ["05.1", "05.2"]}.

    Of the lessons whose notebooks are here; of all where there is a lone notebook.
    """
    found = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(check.__path__)):
        if module.startswith("lesson_"):
            room = importlib.import_module(f"course_utils.check.{module}")
            found[module.removeprefix("lesson_")] = sorted(room.EXERCISES)
    here = _titles()
    return {x: names for x, names in found.items() if x in here or not here}


def own(clear: bool = False, keep: bool | None = None) -> bool:
    """Show the learner's own progress; leave a page of it beside its file.

    clear  forget all passes first
    keep   note passes from now on, or forget them and note no more
    """
    path = progress.place()
    if path is None:
        raise ValueError("COURSE_PROGRESS=off: unset it to note and see your progress")
    if clear:
        progress.clear(path)
    if keep is not None:
        progress.keep(path, keep)
    kept = progress.read(path)
    passed, tasks = kept["passed"], exercises()
    for lesson, names in tasks.items():
        left = [name for name in names if name not in passed]
        done = f"{len(names) - len(left)} of {len(names)}"
        print(
            f"{lesson}  {done:<7} {'open: ' + ' '.join(left) if left else ''}".rstrip()
        )
    print(f"\n{_total(passed, tasks)}; noted in {path}")
    if not kept["keep"]:
        print("nothing is noted at present: `course progress --on` changes that")
        return True
    place = path.with_suffix(".html")
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, own_page(passed, tasks))
    print(f"open {place}")
    return True


def _total(passed: dict[str, str], tasks: dict[str, list[str]]) -> str:
    names = [name for lesson in tasks.values() for name in lesson]
    return f"{sum(name in passed for name in names)} of {len(names)} exercises passed"


def own_page(passed: dict[str, str], tasks: dict[str, list[str]]) -> str:
    """Return the page of one learner: each exercise, and on which day it was passed."""
    titles = _titles()
    rows = []
    for lesson, names in tasks.items():
        cells = " ".join(_mark(name, passed.get(name, "")) for name in names)
        title = html.escape(titles.get(lesson, f"Lesson {lesson}"))
        rows.append(f"<tr><th scope=row>{title}</th><td>{cells}</td></tr>")
    body = f"<h1>What I have passed</h1><p>{_total(passed, tasks)}.</p>"
    return _document("What I have passed", f"{body}<table>{''.join(rows)}</table>")


def _mark(name: str, day: str) -> str:
    said = f"passed {html.escape(day)}" if day else "still open"
    mark, kind = ("✓", "done") if day else ("·", "open")
    return f'<span class="{kind}" title="{name} {said}">{mark} {name}</span>'


def _titles() -> dict[str, str]:
    """Return {lesson: title} of the notebooks here; none where there is no folder."""
    try:
        paths = choice.lessons()
        return {p.stem[:2]: page.title(choice.read_notebook(p), p.stem) for p in paths}
    except ValueError:  # a lone notebook, or one of them damaged: the numbers must do
        return {}


def group(folder: Path) -> bool:
    """Show what a class has passed: every file of progress in `folder`.

    A learner is called like the file (anna.json), or like the folder that has a
    course-progress.json in it. Leaves class-progress.html here. Returns False if a file
    could not be counted; it is named, and stays as it is.
    """
    found, complaints = collected(folder)
    for said in complaints:
        print(f"not counted: {said}")
    if not found:
        raise ValueError(
            f"no progress in {folder}: it needs files such as anna.json, each a "
            f"learner's {progress.NAME}, or folders with such a file"
        )
    tasks = exercises()
    width = max(map(len, found))
    for name, passed in found.items():
        done = [f"{x}:{n}" for x, n in per_lesson(passed, tasks).items() if n]
        print(
            f"{name:<{width}}  {_total(passed, tasks):<12}  {' '.join(done)}".rstrip()
        )
    place = Path("class-progress.html")
    write_whole(place, class_page(found, tasks))
    print(f"\n{index.count(len(found), 'learner')}; open {place}")
    return not complaints


def collected(folder: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return {learner: passes} of the files in `folder`, and which cannot be read."""
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is no folder: give the one with the learners' files"
        )
    paths = {path.stem: path for path in sorted(folder.glob("*.json"))}
    inside = sorted(folder.glob(f"*/{progress.NAME}"))
    paths |= {path.parent.name: path for path in inside}
    found, complaints = {}, []
    for name, path in sorted(paths.items()):
        try:
            found[name] = progress.read(path)["passed"]
        except (ValueError, OSError) as error:
            complaints.append(str(error).partition(". It stays")[0])
    return found, complaints


def per_lesson(passed: dict[str, str], tasks: dict[str, list[str]]) -> dict[str, int]:
    """Return {lesson: how many of its exercises were passed}."""
    return {lesson: sum(n in passed for n in names) for lesson, names in tasks.items()}


def class_page(found: dict[str, dict[str, str]], tasks: dict[str, list[str]]) -> str:
    """Return the page of a class: learners by lessons, then where it was hard.

    Lessons that nobody has begun are left out.
    An exercise is hard where few passed it of those who passed any of its lesson.
    """
    begun = {x: n for x, n in tasks.items() if _there(found, n)}
    head = "".join(f"<th scope=col>{lesson}</th>" for lesson in begun)
    rows = []
    for name, passed in found.items():
        counts = per_lesson(passed, begun).items()
        cells = [_count(n, len(tasks[lesson])) for lesson, n in counts]
        rows.append(f"<tr><th scope=row>{html.escape(name)}</th>{''.join(cells)}</tr>")
    table = f"<tr><th scope=col>learner</th>{head}</tr>{''.join(rows)}"
    body = "<h1>What the class has passed</h1>"
    body += f"<div class=wide><table>{table}</table></div>"
    hard = _hard(found, begun)
    if not hard:
        return _document("What the class has passed", body)
    body += "<h2>Where it was hard</h2><table><tr><th scope=col>exercise</th>"
    body += "<th scope=col>passed by</th></tr>"
    body += "".join(
        f"<tr><th scope=row>{name}</th><td class=number>{n} of {m}</td></tr>"
        for name, n, m in hard
    )
    return _document("What the class has passed", f"{body}</table>")


def _count(done: int, of: int) -> str:
    kind = "done" if done == of else "open" if not done else ""
    return f'<td class="number {kind}">{done}/{of}</td>'


def _there(found: dict, names: list[str]) -> list[dict]:
    """Return the passes of those who passed any of these exercises."""
    return [
        passed for passed in found.values() if any(name in passed for name in names)
    ]


def _hard(found: dict, tasks: dict[str, list[str]]) -> list[tuple[str, int, int]]:
    """Return (exercise, passed by how many, of how many on its lesson), worst first."""
    rows = []
    for names in tasks.values():
        there = _there(found, names)
        rows += [(x, sum(x in p for p in there), len(there)) for x in names]
    rows = [row for row in rows if row[1] < row[2]]
    return sorted(rows, key=lambda row: row[1] / row[2])[:12]


def _document(title: str, body: str) -> str:
    made = f"<p class=cost>{time.strftime('%Y-%m-%d %H:%M')}</p>"
    return page.document(title, f"<main>{body}{made}</main>", STYLE)
