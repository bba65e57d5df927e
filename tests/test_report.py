import json
import re
from html.parser import HTMLParser

import nbformat
import pytest

from course_utils import session
from course_utils.commands import index, page, report, runner

QUICK = {"run": "quick"}
FINE = (
    "from course_utils import session\n"
    "session.record('05', share=0.5, floor=0, ceiling=1)"
)
PICTURE = (
    "from IPython.display import display\n"
    "gif = {'image/gif': 'R0lGODlhAQABAAAAACw=', 'text/plain': 'one \"dot\"'}\n"
    "display(gif, raw=True)"
)


@pytest.fixture
def course(notebook, monkeypatch, tmp_path):
    notebook("05_fine", FINE, PICTURE)
    notebook("06_bad", "1 / 0")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "build" / "course"


class Requests(HTMLParser):
    """Collects what a browser would fetch to show a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag != "a":
            self.found += [attributes.get(k) for k in ("src", "href", "srcset", "data")]
        assert tag not in ("script", "iframe", "object", "link")

    def outside(self):
        return [x for x in self.found if x and not x.startswith("data:")]


def test_a_failing_lesson_does_not_stop_the_others(course, capsys):
    assert report.course(("06", "05"), QUICK, jobs=1) is False
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"06_bad +[\d.]+ s +\d+ MB  FAILED cell \[3\] `1 / 0`", lines[0])
    assert re.match(r"05_fine +[\d.]+ s +\d+ MB  share 0.5 \(floor 0, ceil", lines[1])
    rows = json.loads((course / "scores.json").read_text())
    assert [(r["lesson"], r["metric"]) for r in rows] == [
        ("05", "share"),
        ("05", "seconds"),
        ("05", "peak_mb"),
        ("06", "seconds"),
        ("06", "peak_mb"),
    ]
    index = (course / "index.html").read_text()
    assert "ZeroDivisionError" in index and 'href="05_fine.html"' in index
    assert 'id="stopped"' in (course / "06_bad.html").read_text()
    kept = json.loads((course / "lessons.json").read_text())
    first, second = kept["06_bad"], kept["05_fine"]
    assert 0 <= first["began"] < second["began"] < 120
    assert first["nth"] == second["nth"] == 1


@pytest.fixture
def pretend(course, monkeypatch):
    """Lessons that end at once, with a warning."""

    def run(source, out, values, **_):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(source.read_bytes())
        said = ("cell [3]: careful",)
        return runner.Result(out, 2.0, 300.0, [], "", said, ("oracle",))

    monkeypatch.setattr(runner, "run", run)


def test_a_later_run_of_some_lessons_keeps_the_others(course, pretend):
    report.course(("06",), QUICK)
    assert report.course(("05",)) is True
    rows = json.loads((course / "scores.json").read_text())
    assert {r["lesson"]: r["run"] for r in rows} == {"05": "laptop", "06": "quick"}
    assert "06_bad.html" in (course / "index.html").read_text()


def test_pages_ask_for_nothing_and_describe_their_pictures(course):
    report.course(("05",), QUICK | {"seed": "2"})
    for name in ("05_fine", "index"):
        assert Requests((course / f"{name}.html").read_text()).outside() == []
    text = (course / "05_fine.html").read_text()
    assert "alt='one \"dot\"'" in text or 'alt="one &quot;dot&quot;"' in text
    assert "<math" in text and "seed = 2" in re.sub("<[^>]+>", "", text)


def test_bad_settings_are_refused_before_anything_runs(course):
    with pytest.raises(ValueError, match="no parameter 'sed'"):
        report.course(("05",), {"sed": "2"})
    with pytest.raises(ValueError, match="of type int"):
        report.course(("05",), {"seed": "two"})
    assert not course.exists()


def test_saving_in_place_keeps_a_lesson_that_fails(course, tmp_path):
    fine, bad = (tmp_path / "notebooks" / f"{n}.ipynb" for n in ("05_fine", "06_bad"))
    before = bad.read_bytes()
    assert report.in_place(()) is False
    assert bad.read_bytes() == before
    counts = [c.execution_count for c in nbformat.read(fine, 4).cells[1:]]
    assert counts == [1, 2, 3]


def lesson_of(markdown, tmp_path, row=None):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(markdown)])
    row = {"title": "t", "seconds": 1, "peak_mb": 2, "error": ""} | (row or {})
    return page.lesson(nb, row, tmp_path / "05_x.ipynb")


def test_the_page_of_a_lesson_leads_to_what_went_to_stderr(tmp_path):
    said = [nbformat.v4.new_output("stream", name="stderr", text="careful")]
    cells = [nbformat.v4.new_code_cell("x", outputs=said)]
    warned = row(warnings=["cell [3]: careful"])
    nb = nbformat.v4.new_notebook(cells=cells)
    text = page.lesson(nb, warned, tmp_path / "05_x.ipynb")
    assert 'href="#warned"' in text and text.count('id="warned"') == 1


@pytest.mark.parametrize(
    "tex",
    [
        r"$\sqrt{\bar\alpha_t}\,x_0$",
        r"$$x_t \sim \mathcal{N}(0, \mathbf{I}) \qquad \text{(eq. 4)}$$",
        r"$$\begin{aligned} a &= b \\ c &= \frac{1}{2} \end{aligned}$$",
        "\\begin{align}\na &= b\n\\end{align}",
        "| $x_t$ | $a*b*c$ |\n|---|---|\n| 1 | 2 |",
    ],
)
def test_equations_need_no_script(tex, tmp_path):
    text = lesson_of(tex, tmp_path)
    assert "<math" in text and "$" not in text and "<em>" not in text
    assert "&amp;" not in re.search("<math.*</math>", text, re.DOTALL)[0]


def test_an_equation_that_cannot_be_drawn_stays_readable():
    assert page.mathml(r"\left( x") == r"<code>\left( x</code>"


def test_hints_stay_folded_badges_become_words_and_links_lead_to_pages(tmp_path):
    text = lesson_of(
        "[![Open in Colab](https://example.org/badge.svg)](https://example.org)\n\n"
        "[next](06_x.ipynb) [far](https://example.org/07_x.ipynb)\n\n"
        "<details><summary>A hint</summary>\n\nDivide *last*.\n\n</details>",
        tmp_path,
    )
    folded = re.search("<details>.*</details>", text, re.DOTALL)[0]
    assert "<em>last</em>" in folded and "badge.svg" not in text
    assert "Open in Colab</a>" in text
    assert 'href="06_x.html"' in text
    assert 'href="https://example.org/07_x.ipynb"' in text


def test_pictures_beside_the_notebook_are_put_into_the_page(tmp_path):
    (tmp_path / "dot.png").write_bytes(b"dot")
    assert 'src="data:image/png;base64,ZG90"' in lesson_of(
        "![a dot](dot.png)", tmp_path
    )


def score(value, floor, ceiling, metric="m", better="higher"):
    ends = {"floor": floor, "ceiling": ceiling, "better": better}
    return {"metric": metric, "value": value, "seeds": 1, "n": None} | ends


@pytest.mark.parametrize(
    ("value", "floor", "ceiling", "filled"),
    [(0.9, 0.1, 1, 89), (3, 12, 0, 75), (-5, 0, 1, 0), (7, 0, 1, 100), (1, 1, 1, 0)],
)
def test_bars_fill_from_floor_to_ceiling(value, floor, ceiling, filled):
    bar = index.bar(score(value, floor, ceiling))
    assert f'aria-label="{filled} % of the way"' in bar
    assert ('class="below"' in bar) == (value == -5)


@pytest.mark.parametrize("metric", ["seconds_per_picture", "gan_seconds"])
def test_the_bar_of_seconds_is_logarithmic(metric):
    fast, slow = (index.share(score(x, 30, 0.01, metric)) for x in (0.17, 0.31))
    assert fast - slow == pytest.approx(0.075, abs=0.01)
    near = index.share(score(0.17, 1, 0.05, metric))  # of less than three powers, too
    assert near == pytest.approx(0.59, abs=0.01)
    assert index.share(score(0.01, 30, 0.01, metric)) == 1
    assert index.share(score(0, 30, 0, metric)) == 1, "zero has no logarithm"


def test_an_error_of_many_powers_of_ten_does_not_look_like_none():
    assert index.share(score(1e-5, 1, 1e-10)) == pytest.approx(0.5)


def test_small_numbers_cannot_break_in_the_middle():
    bar = index.bar(score(1.48e-5, 1, 1e-10))
    assert "1.48·10<sup>−5</sup>" in bar and "e-" not in bar


def row(**given):
    plain = {"title": "05 · A title", "seconds": 41, "peak_mb": 900, "error": ""}
    plain |= {"scores": [], "run": "quick", "machine": "Linux"}
    return plain | given


def test_the_index_counts_as_one_says_it():
    assert "1 lesson · 41 s of work · peak 0.9 GB · all" in index.index({"05_x": row()})
    two = index.index({"05_x": row(), "06_x": row(error="cell [3]: no")})
    assert "2 lessons" in two and "1 failed" in two and "cell [3]: no" in two


def test_many_lessons_have_a_list_that_leads_to_them():
    page = index.index({f"{i:02d}_x": row() for i in range(28)})
    assert page.count('<a href="#') == page.count("<section id=") == 28
    assert 'class="contents"' not in index.index({"05_x": row()})


def test_lessons_that_ran_side_by_side_lie_on_as_few_lanes_as_hold_them():
    spans = {
        "05": (0, 10),
        "06": (0.5, 4),
        "07": (4, 9),
        "08": (10, 12),
        "09": (11, 13),
    }
    assert index.in_lanes(spans) == [["05", "08"], ["06", "07", "09"]]


def test_the_page_shows_when_each_lesson_of_the_last_run_ran():
    def at(began, seconds, nth=2, **given):
        return row(began=began, seconds=seconds, nth=nth, **given)

    done = {"04_old": at(10, 5, nth=1), "05_x": at(0, 50), "06_x": at(0, 20),
            "07_x": at(20, 80, error="no")}  # fmt: skip
    page = index.index(done)
    assert page.count('class="lane"') == 2
    ran = re.findall(r'style="left:([\d.]+)%;width:([\d.]+)%"\ntitle="(\w+):', page)
    assert sorted(ran, key=lambda x: x[2]) == [
        ("0.00", "50.00", "05_x"), ("0.00", "20.00", "06_x"), ("20.00", "80.00", "07_x")
    ]  # fmt: skip
    assert 'class="failed" style="left:20.00%' in page
    alone = {"04_old": at(10, 5, nth=1), "05_x": at(0, 50)}
    assert 'class="lane"' not in index.index(alone | {"06_x": row(), "07_x": row()})


def test_stderr_is_mentioned_in_the_run_and_in_the_index(course, pretend, capsys):
    assert report.course(("05",), QUICK) is True
    out = capsys.readouterr().out
    assert "WARNED in 1 cell, first cell [3]: careful" in out
    assert out.splitlines()[-1].startswith("1 lesson in ")
    assert "stderr, cell [3]: careful" in (course / "index.html").read_text()


def test_side_by_side_lessons_leave_the_same_rows(course, pretend):
    assert report.course((), QUICK, jobs=2) is True
    rows = json.loads((course / "scores.json").read_text())
    assert [r["lesson"] for r in rows] == ["05", "05", "06", "06"]
    kept = json.loads((course / "lessons.json").read_text())
    assert kept["05_fine"]["machine"].endswith("2 lessons side by side")
    assert kept["05_fine"]["weights"] == ["oracle"]


def test_a_second_run_in_the_same_folder_stops_with_a_sentence(course):
    with session.lock(course, "course run"):
        with pytest.raises(ValueError, match="in use .course run, process"):
            report.course(("05",), QUICK)


def test_torn_rows_of_earlier_runs_do_not_stop_a_new_one(course, pretend):
    course.mkdir(parents=True)
    (course / "lessons.json").write_text('{"06_bad": {"tit')
    assert report.course(("05",), QUICK) is True
    assert list(json.loads((course / "lessons.json").read_text())) == ["05_fine"]


def test_a_lesson_that_was_never_saved_with_its_picture_has_a_page(tmp_path):
    text = "# A title\n\n![a strip](attachment:picture.png)\n\nand more"
    body = lesson_of(text, tmp_path)
    assert "attachment" not in str(body) and "and more" in str(body)
