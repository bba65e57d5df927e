"""What a committed notebook must look like; no kernel is started here."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from course_utils.commands import address, page, tidy
from course_utils.models import shipped

ROOT = Path(__file__).resolve().parent.parent

LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PATHS = re.compile(
    r"(?<![\w.:/<>~-])(/home/|/root/|/Users/|/tmp/|/work/|/mnt/|/content/|/opt/)"
    r"|[A-Z]:\\|ipykernel_\d|site-packages"
)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def nb(path):
    return nbformat.read(path, as_version=4)


def code(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def markdown(nb):
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


def outputs(nb):
    return [output for cell in code(nb) for output in cell.outputs]


def tagged(nb, tag):
    return [cell for cell in nb.cells if tag in cell.metadata.get("tags", [])]


def test_there_are_lessons_and_their_names_are_in_the_form():
    assert LESSONS
    for path in LESSONS:
        assert re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name)


def test_the_map_in_lesson_00_leads_to_it(path):
    text = "".join(markdown(nbformat.read(LESSONS[0], as_version=4)))
    assert path == LESSONS[0] or f"[{path.stem[:2]}]({path.name})" in text


def test_it_was_run_from_top_to_bottom_once(nb):
    counts = [cell.execution_count for cell in code(nb)]
    assert counts == list(range(1, len(counts) + 1))


def test_it_says_which_shipped_weights_it_opens(nb):
    """`make notebooks` notes them: the doctor's verdict on the lesson leans on it."""
    weights = nb.metadata["course"]["weights"]
    assert all((shipped.shelf(name) / name).is_dir() for name in weights)


def test_it_shows_no_error_and_no_warning(nb):
    assert not [o for o in outputs(nb) if o.output_type == "error"]
    assert not [o.text for o in outputs(nb) if o.get("name") == "stderr"]


def test_it_is_stripped(nb):
    """Widgets, paths and times are gone: stripping it again changes nothing."""
    before = nbformat.writes(nb)
    assert "widget-view" not in before and "widgets" not in nb.metadata
    assert nbformat.writes(tidy.strip_notebook(nb)) == before
    texts = [line for o in outputs(nb) for line in str(o.get("text", "")).splitlines()]
    texts += [str(v) for o in outputs(nb) for m, v in o.get("data", {}).items() if
              m.startswith("text/") and "base64" not in v]  # fmt: skip
    assert not [text for text in texts if PATHS.search(text)]


def test_it_is_valid_and_its_ids_are_unique(nb):
    nbformat.validate(nb)
    ids = [cell.id for cell in nb.cells]
    assert len(ids) == len(set(ids))
    assert nb.metadata.kernelspec.name == "python3"


def test_it_is_small_enough_to_open_anywhere(path, nb):
    assert path.stat().st_size <= 1_000_000
    for output in outputs(nb):
        assert len(str(output)) <= 300_000, str(output)[:200]


def bootstrap():
    return code(nbformat.read(LESSONS[0], as_version=4))[0].source


def test_the_bootstrap_comes_first_and_is_the_same_everywhere(nb):
    assert code(nb)[0].source == bootstrap()


def test_one_parameters_cell_holds_annotated_literals_only(nb):
    [cell] = tagged(nb, "parameters")
    assert code(nb).index(cell) == 1, "right after the bootstrap"
    body = ast.parse(cell.source).body
    assert all(isinstance(node, ast.AnnAssign) for node in body)
    values = {node.target.id: ast.literal_eval(node.value) for node in body}
    assert values["run"] == "laptop" and values["seed"] == 0
    for line in cell.source.splitlines():
        assert "# " in line or line.startswith("seed:"), "say what may be chosen"


def test_at_least_three_cells_are_compared_by_nbval(nb):
    cells = tagged(nb, "nbval-check-output")
    assert len(cells) >= 3
    for cell in cells:
        assert cell.outputs, cell.source
        for output in cell.outputs:
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            assert not re.search(r"\d\.\d{5,}|0x[0-9a-f]{6,}", text), text


def test_it_has_one_title_and_its_badge_opens_it(path, nb):
    headings = [x for cell in markdown(nb) for x in headings_of(cell, "# ")]
    assert len(headings) == 1 and headings[0].startswith(f"# {path.stem[:2]} ")
    assert address.badge(address.current(ROOT), path.name) in markdown(nb)[0]


def test_it_says_what_it_takes_as_measured(nb):
    needs = r"\*\*Needs\*\* about (\d+ s|\d+ min( \d\d s)?) and [\d.]+ GB on "
    needs += r"(one core|\d+ cores)"
    assert re.search(needs, "".join(markdown(nb)[:2]))


def headings_of(text, mark):
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [line for line in text.splitlines() if line.startswith(mark)]


def test_every_picture_is_described(nb):
    for output in outputs(nb):
        for mime in output.get("data", {}):
            if mime.startswith("image/"):
                alt = output.metadata.get(mime, {}).get("alt", "")
                alt = alt or output.data.get("text/plain", "<")
                assert len(alt) > 8 and not alt.startswith("<"), alt
        undescribed(output.get("data", {}).get("text/html", ""))
    for text in markdown(nb):
        undescribed(text)
        assert "![](" not in text


def undescribed(text):
    for tag in re.findall(r"<img\b[^>]*>", "".join(text)):
        assert re.search(r"\balt=[\"'][^\"']{8,}", tag), tag[:200]


def test_its_cells_are_short_and_plain_python(nb):
    for cell in code(nb):
        lines = cell.source.splitlines()
        assert len(lines) <= 25, lines[0]
        assert not [line for line in lines if len(line) > 88], cell.source
        assert not [x for x in lines if x.startswith(("%", "!"))], "no magics"
        ast.parse(cell.source)


def test_every_stub_is_checked(nb):
    """An exercise is a function or a value that is still `...`; check(...) names it."""
    checked, stubs = set(), set()
    for node in (n for cell in code(nb) for n in ast.walk(ast.parse(cell.source))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check":
            checked |= {arg.id for arg in node.args[1:] if isinstance(arg, ast.Name)}
        if isinstance(node, ast.FunctionDef | ast.Assign) and is_stub(node):
            names = [node] if isinstance(node, ast.FunctionDef) else node.targets
            stubs |= {getattr(n, "name", getattr(n, "id", "")) for n in names}
    assert stubs <= checked, f"no check for {stubs - checked}"


def is_stub(node):
    body = node.body if isinstance(node, ast.FunctionDef) else [node]
    body = [x for x in body if not (isinstance(x, ast.Expr) and is_text(x.value))]
    value = getattr(body[0], "value", None) if len(body) == 1 else None
    return isinstance(value, ast.Constant) and value.value is ...


def is_text(value):
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def test_its_equations_can_be_drawn_offline(nb):
    for text in markdown(nb):
        text = re.sub(r"!\[[^]]*\]\(attachment:[^)]*\)", "", text)
        drawn = page.MarkdownWithMath(renderer=page.Math(escape=False)).render(text)
        for equation in re.findall(r"<math.*?</math>", drawn, re.DOTALL):
            assert "\\" not in equation, text
        plain = re.sub(r"<pre.*?</pre>", "", drawn, flags=re.DOTALL)
        assert not re.search(r"<code>[^<]*\\[a-z]+", plain), text


LINK = re.compile(
    r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|<(?:a|img)\b[^>]*(?:href|src)=\"([^\"]+)"
)


def broken_links(text, folder):
    text = re.sub(r"```.*?```|`[^`\n]*`|\$[^$]*\$", "", text, flags=re.DOTALL)
    targets = [first or second for first, second in LINK.findall(text)]
    local = [x.split("#")[0] for x in targets if not re.match(r"\w+:|#", x)]
    return [x for x in local if not (folder / x).exists()]


def test_its_relative_links_lead_somewhere(path, nb):
    assert broken_links("\n\n".join(markdown(nb)), path.parent) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_the_documents_links_lead_somewhere(path):
    assert broken_links(path.read_text("utf-8"), ROOT) == []


def test_the_readme_lists_exactly_the_lessons_that_are_here():
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d\d) \| \[[^]]+\]\(notebooks/([^)]+)\)", text, re.M)
    assert [name for _, name in rows] == [path.name for path in LESSONS]
    assert all(name.startswith(number) for number, name in rows)
    prose = re.sub(r"```.*?```|^\|.*?$", "", text, flags=re.DOTALL | re.M)
    assert 400 <= len(re.findall(r"\S*\w\S*", prose)) <= 650
