"""The instructors' guide: nothing missing, nothing stale, every answer right."""

import ast
import json
import math
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from test_notebook_hygiene import broken_links

from course_utils.check import PASSED, assess
from course_utils.commands import cli, evidence, guide, page, report, room, slides

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "slides" / guide.NAME
TEXT = PATH.read_text("utf-8")
LESSONS = {path.stem[:2]: path for path in sorted(ROOT.glob("notebooks/*.ipynb"))}
DECKS = {path.stem[:2]: path for path in slides.decks() if path.stem != "talk"}
COURSE = evidence.Lessons()
PARTS = ("**Goals.**", "**They stumble.**", "**Ask.**", "**Short of time.**",
         "<details><summary>Answers</summary>")  # fmt: skip
ANSWER = re.compile(
    r"^\*\*(\d\d\.\d)\*\* (?:`(\w+ = [^`]+)` )?(.+)\n(?:\n```python\n((?s:.*?))```)?",
    re.MULTILINE,
)


def part(heading):
    """What stands under a heading, up to the next one of its kind."""
    found = re.search(rf"^{heading}.*?$\n(.*?)(?=^##+ |\Z)", TEXT, re.M | re.S)
    return found[1] if found else ""


def section(number):
    return part(rf"### \[{number} · ")


def answers(number):
    """{exercise: (its code, the sentence that says why)}."""
    found = ANSWER.findall(section(number).partition("<details>")[2])
    return {name: (line or code, why) for name, line, why, code in found}


# The lessons


@pytest.mark.parametrize("number", LESSONS)
def test_every_lesson_has_a_section_with_all_parts(number):
    text, path = section(number), LESSONS[number]
    assert text, f"write ### [{number} · its title](../notebooks/{path.name})"
    assert not [name for name in PARTS if name not in text]
    assert len(re.findall(r"^- ", text, re.M)) >= 3, "where do they stumble?"
    assert text.partition("**Ask.**")[2].partition("\n\n")[0].count("?") >= 2


def test_sections_are_those_of_the_lessons_in_their_order():
    found = re.findall(r"^### \[(.+)\]\(\.\./notebooks/(.+)\)$", TEXT, re.M)
    titles = {p.name: page.title(nbformat.read(p, 4), "") for p in LESSONS.values()}
    assert [(title, name) for name, title in titles.items()] == found


@pytest.mark.parametrize("number", LESSONS)
def test_what_is_named_in_a_section_is_in_the_lesson(number):
    """Words in italics are headings; *look here* is what the doctor says."""
    headings = re.findall(r"^##+ (.+)$", COURSE[number].text, re.M)
    text = " ".join(re.sub(r"```.*?```|`.*?`", "", section(number), flags=re.S).split())
    named = set(re.findall(r"(?<![*\w])\*([A-Z][^*]+)\*(?!\*)", text))
    assert named and not named - set(headings)
    known = set(guide.exercise_minutes(COURSE[number]))
    assert set(re.findall(rf"\b{number}\.\d\b", text)) <= known


@pytest.mark.parametrize("number", LESSONS)
def test_every_exercise_has_an_answer_and_a_reason(number):
    found = answers(number)
    assert list(found) == list(guide.exercise_minutes(COURSE[number]))
    for name, (code, why) in found.items():
        assert code and 4 <= len(why.split()) <= 30, f"{name}: {why}"


def checked(number):
    """{exercise: what the lesson hands to its check}."""
    trees = [ast.parse(cell.source) for cell in COURSE[number].cells]
    calls = [n for t in trees for n in ast.walk(t) if isinstance(n, ast.Call)]
    calls = [n for n in calls if getattr(n.func, "id", "") == "check"]
    return {n.args[0].value: n.args[1].id for n in calls}


def imports(number):
    """What the lesson itself has imported: an answer may use nothing else."""
    kinds = ast.Import | ast.ImportFrom
    trees = [ast.parse(cell.source) for cell in COURSE[number].cells]
    return "\n".join(
        ast.unparse(n) for t in trees for n in t.body if isinstance(n, kinds)
    )


@pytest.mark.parametrize("number", LESSONS)
def test_every_answer_is_right_in_the_eyes_of_the_check(number):
    """As if it were typed into the lesson, in place of the three dots."""
    names = checked(number)
    for exercise, (code, _) in answers(number).items():
        space = {}
        exec(imports(number), space)
        exec(code, space)
        verdict = assess(exercise, space[names[exercise]])
        assert verdict.status == PASSED, f"{exercise}: {verdict.message}"


# The plans


def plans():
    """{plan: [rows]}, each row (at, minutes, what), as minutes after midnight."""
    found, whole = {}, TEXT.partition("\n## Plans\n")[2].partition("\n## ")[0]
    for title, text in re.findall(r"^###+ (.+?)$\n(.*?)(?=^##|\Z)", whole, re.M | re.S):
        rows = re.findall(r"^\| (\d+):(\d\d) \| (\d+) \| (.+) \|$", text, re.M)
        found[title] = [(60 * int(h) + int(m), int(n), what) for h, m, n, what in rows]
    return {title: rows for title, rows in found.items() if rows}


PLANS = plans()
LENGTHS = {"90 minutes": 90, "Half a day": 210, "One day": 450, "Day one": 450,
           "Day two": 450}  # fmt: skip


def told(what):
    """The minutes of all slides that a row names, by their notes."""
    total = 0.0
    for deck, ranges in re.findall(r"(Talk|Slides \d\d): ([\d, -]*\d)", what):
        path = ROOT / "slides" / "talk.md" if deck == "Talk" else DECKS[deck[-2:]]
        minutes = guide.minutes(path)
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", ranges):
            total += sum(minutes[int(first) - 1 : int(last or first)])
            assert int(last or first) <= len(minutes), what
    return total


def worked(what):
    """Minutes that a row's notebooks run, and those of the exercises that it names."""
    ran = own = 0.0
    for number in re.findall(r"Notebook (\d\d)", what):
        lesson = COURSE[number]
        ran += guide.runs(lesson)
        known = guide.exercise_minutes(lesson)
        own += sum(known[x] for x in re.findall(rf"\b{number}\.\d\b", what))
    return ran, own


def test_there_are_four_plans():
    titles = [title.partition(":")[0] for title in PLANS]
    assert titles == list(LENGTHS)


@pytest.mark.parametrize("title", PLANS)
def test_a_plan_is_as_long_as_it_promises(title):
    rows, length = PLANS[title], LENGTHS[title.partition(":")[0]]
    for (at, minutes, _), (next_at, _, what) in zip(rows, rows[1:], strict=False):
        assert at + minutes == next_at, f"before: {what}"
    assert rows[-1][0] + rows[-1][1] - rows[0][0] == length
    hours, rest = divmod(length, 60)
    said = title if "min" in title else "Two days: 2 x 7 h 30 min"
    assert f"{hours} h {rest} min" in said or said.startswith(f"{length} minutes")
    assert said in TEXT


ROWS = [
    pytest.param(*row[1:], id=row[2][:40]) for rows in PLANS.values() for row in rows
]


@pytest.mark.parametrize(("minutes", "what"), ROWS)
def test_a_row_has_time_for_what_it_names(minutes, what):
    """Slides by their notes; a notebook runs, and exercises take a fifth more."""
    slides_take, (ran, own) = told(what), worked(what)
    need = slides_take + max(ran + own, 1.2 * own)
    assert need <= minutes, f"{need:.1f} min: {what}"
    if slides_take and not ran and not re.match(r"[A-Z]\w+('s)? (people|best)", what):
        assert minutes - need < 6, f"only {need:.1f} min: {what}"


def test_nobody_sits_for_two_hours():
    for rows in PLANS.values():
        since = rows[0][0]
        for at, minutes, what in rows:
            assert at + minutes - since <= 125 or what.startswith(("Break", "Lunch"))
            since = at + minutes if what.startswith(("Break", "Lunch")) else since


def test_two_days_have_a_place_for_every_lesson():
    text = " ".join(what for day in ("Day one", "Day two") for *_, what in PLANS[day])
    named = set(re.findall(r"(?:Slides|Notebook) (\d\d)", text))
    assert named == set(LESSONS), "a lesson is in no plan"


# What comes from elsewhere


def test_the_tables_are_those_of_the_lessons_and_of_the_measured_class():
    assert guide.refreshed(TEXT) == TEXT, "stale: python -c 'from course_utils." \
        "commands import guide; guide.refresh()'"  # fmt: skip
    assert TEXT.count("<!-- end -->") == 2


def test_the_times_are_in_the_table_as_the_notebooks_say_them():
    table = guide.times()
    rows = [re.split(r" *\| *", line)[1:-1] for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == [*LESSONS, "all"]
    for number, took, held, *_ in rows[:-1]:
        assert f"about {took} and {held} on" in COURSE[number].needs()
    for column in list(zip(*rows, strict=True))[3:]:
        *each, whole = map(int, column)
        assert sum(each) == whole


def test_a_stale_table_is_written_anew(tmp_path, monkeypatch):
    (tmp_path / "slides").mkdir()
    path = tmp_path / "slides" / guide.NAME
    old = TEXT.replace("| 05 | 10 s |", "| 05 | 99 s |")
    monkeypatch.setattr(guide, "refreshed", lambda text: text.replace("99", "10"))
    monkeypatch.setattr(guide.choice, "root", lambda: tmp_path)
    guide.refresh()
    assert not path.exists(), "where there is no guide, none is made"
    path.write_text(old, "utf-8")
    guide.refresh()
    assert "| 05 | 10 s |" in path.read_text("utf-8")


def test_who_runs_lessons_anew_or_builds_slides_has_a_guide_that_is_true(monkeypatch):
    done = []
    monkeypatch.setattr(guide, "refresh", lambda: done.append("refreshed"))
    monkeypatch.setattr(guide, "printed", lambda: done.append("printed") or True)
    monkeypatch.setattr(report, "_rows", lambda *_: (row for row in ()))
    monkeypatch.setattr(slides, "typeset", lambda decks: True)
    assert report.in_place(("05",))
    assert CliRunner().invoke(cli.main, ["slides", "05"]).exit_code == 0
    assert done == ["refreshed", "printed"]


def test_numbers_of_the_room_are_those_that_the_doctor_uses():
    memory = math.ceil(room.needs_mb(1) / 1000)
    assert f"{memory} GB of free memory and {room.INSTALLED_GB} GB of free disk" in TEXT
    config = (ROOT / "deploy" / "jupyterhub_config.py").read_text("utf-8")
    [limit] = re.findall(r"^MEMORY_GB = (\d+)", config, re.M)
    assert f"One student may hold {limit} GB" in " ".join(TEXT.split())
    server = ROOT / "deploy" / "jupyter" / "jupyter_server_config.json"
    kernels = json.loads(server.read_text("utf-8"))["MappingKernelManager"]
    hours = kernels["cull_idle_timeout"] / 3600
    assert f"done nothing for {hours:g} hour is stopped" in " ".join(TEXT.split())


def test_what_it_tells_to_type_exists():
    make = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    code = re.findall(r"```bash\n(.*?)```", TEXT, re.S)[0].splitlines()
    code += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.S))
    code = "\n".join(line.partition("#")[0] for line in code)
    assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= set(make)
    verbs = re.findall(r"\bcourse ([a-z]+)((?: --[a-z]+)*)", code)
    assert {verb for verb, _ in verbs} >= {"bundle", "doctor", "progress", "lab"}
    for verb, options in verbs:
        known = [o for p in cli.main.commands[verb].params for o in
                 (*p.opts, *p.secondary_opts)]  # fmt: skip
        assert set(options.split()) <= set(known), f"course {verb}{options}"


def test_its_links_lead_somewhere():
    assert broken_links(TEXT, PATH.parent) == []
    slugs = {evidence.slug(x) for x in re.findall(r"^##+ (.+)$", TEXT, re.M)}
    assert {x for x in re.findall(r"\]\(#([^)]+)\)", TEXT)} <= slugs


def test_late_learners_may_come_because_every_lesson_is_run_alone():
    """test_notebooks_run.py does it, with all lessons; here: it still does."""
    import test_notebooks_run as alone

    assert set(alone.LESSONS) == set(LESSONS.values())
    for path in LESSONS.values():
        assert "%store" not in path.read_text("utf-8")


# The printed page


def test_the_page_to_print_has_all_answers_open_and_no_dead_link(tmp_path):
    text = guide.printed(tmp_path).read_text("utf-8")
    assert text.count("<details open>") == len(LESSONS) == TEXT.count("<details>")
    assert not re.findall(r"href=\"(?!https?:|#)", text)
    assert "<!--" not in text and "predict_x0</span>" in text


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
def test_it_can_be_printed_on_fewer_pages_than_there_are_lessons(tmp_path):
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    page_to_print = guide.printed(tmp_path)
    with api.sync_playwright() as play:
        window = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        sheet = window.new_page()
        sheet.goto(page_to_print.as_uri())
        sheet.set_viewport_size({"width": 390, "height": 800})
        wide = "document.documentElement.scrollWidth"
        assert sheet.evaluate(wide) <= 390, "a phone scrolls sideways"
        pdf = sheet.pdf(prefer_css_page_size=True)
        window.close()
    assert 10 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) < len(LESSONS)
