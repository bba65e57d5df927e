import json
import re
from html.parser import HTMLParser

import nbformat
import pytest

from course_utils.commands import page, report

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
    assert report.course(("06", "05"), "quick", {}) is False
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


def test_a_later_run_of_some_lessons_keeps_the_others(course):
    report.course(("06",), "quick", {})
    assert report.course(("05",), "laptop", {}) is True
    rows = json.loads((course / "scores.json").read_text())
    assert {r["lesson"]: r["run"] for r in rows} == {"05": "laptop", "06": "quick"}
    assert "06_bad.html" in (course / "index.html").read_text()


def test_pages_ask_for_nothing_and_describe_their_pictures(course):
    report.course(("05",), "quick", {"seed": "2"})
    for name in ("05_fine", "index"):
        assert Requests((course / f"{name}.html").read_text()).outside() == []
    text = (course / "05_fine.html").read_text()
    assert "alt='one \"dot\"'" in text or 'alt="one &quot;dot&quot;"' in text
    assert "<math" in text and "seed = 2" in re.sub("<[^>]+>", "", text)


def test_bad_settings_are_refused_before_anything_runs(course):
    with pytest.raises(ValueError, match="no parameter 'sed'"):
        report.course(("05",), "quick", {"sed": "2"})
    with pytest.raises(ValueError, match="of type int"):
        report.course(("05",), "quick", {"seed": "two"})
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


@pytest.mark.parametrize(
    ("value", "floor", "ceiling", "better", "share"),
    [
        (0.9, 0.1, 1, "higher", 89),
        (3, 0, 12, "lower", 75),
        (3, 12, 0, "lower", 75),
        (-5, 0, 1, "higher", 0),
        (1, 1, 1, "higher", 0),
    ],
)
def test_bars_fill_towards_the_better_end(value, floor, ceiling, better, share):
    score = {"metric": "m", "value": value, "floor": floor, "ceiling": ceiling}
    bar = page._bar(score | {"better": better, "seeds": 1, "n": None})
    assert f'aria-label="{share} % of the way"' in bar


def test_a_lesson_that_was_never_saved_with_its_picture_has_a_page(tmp_path):
    text = "# A title\n\n![a strip](attachment:picture.png)\n\nand more"
    body = lesson_of(text, tmp_path)
    assert "attachment" not in str(body) and "and more" in str(body)
