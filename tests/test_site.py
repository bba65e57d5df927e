"""What the website is made of; Sphinx and a browser are asked in test_site_page."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml

from course_utils import show
from course_utils.commands import choice, evidence, gallery, index, site, site_lessons
from course_utils.commands import slides as decks

ROOT = Path(__file__).resolve().parent.parent
LESSONS = choice.lessons()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The pages as they are laid out for Sphinx, without decks."""
    folder = tmp_path_factory.mktemp("source")
    site.lay_out(folder)
    return folder


def trees(source):
    """The contents: {part: [page, ...]}."""
    text = (source / "index.md").read_text("utf-8")
    tree = r"```\{toctree\}\n:caption: ([^\n]+)\n:hidden:\n\n(.*?)\n```"
    found = re.findall(tree, text, re.DOTALL)
    return {part: pages.splitlines() for part, pages in found}


def test_the_contents_name_every_lesson_once_and_in_order(source):
    pages = [page for part in trees(source).values() for page in part]
    lessons = [page for page in pages if page.startswith("notebooks/")]
    assert lessons == [f"notebooks/{path.name}" for path in LESSONS]
    assert all((source / page).is_file() for page in pages)
    assert len(pages) == len(set(pages))


def test_a_part_begins_where_the_one_before_it_ends():
    assert list(gallery.PARTS) == sorted(gallery.PARTS)
    assert min(gallery.PARTS) == "00"
    assert [p for part in gallery.parts(LESSONS).values() for p in part] == LESSONS


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_gallery_shows_what_a_lesson_makes_and_its_score(path, source):
    text = (source / "gallery.md").read_text("utf-8")
    [card] = [x for x in text.split("::::{grid-item-card}") if f"/{path.stem}\n" in x]
    image = re.search(r":img-top: (\S+)\n:img-alt: (.{9,})\n", card)
    assert (source / image[1]).stat().st_size > 1000
    scores = evidence.Lesson(path).scores
    assert scores, "a lesson records what it scored"
    for row in scores[: gallery.SHOWN]:
        assert index.bar(row) in card
    assert card.count('class="bar"') == min(len(scores), gallery.SHOWN)
    assert re.search(r"^[A-Z].+\?$", card, re.MULTILINE), "the lesson's question"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_keeps_all_it_has_and_gets_what_a_reader_needs(path, source):
    before = nbformat.read(path, as_version=4)
    after = nbformat.read(source / "notebooks" / path.name, as_version=4)
    code = [[c for c in nb.cells if c.cell_type == "code"] for nb in (before, after)]
    for was, now in zip(*code, strict=True):
        assert (was.source, was.outputs) == (now.source, now.outputs)
    title = after.cells[0].source
    assert f'<a href="{path.name}" download>' in title
    assert "attachment:" not in title and "README.md" not in title
    folded = [c for c in code[1] if "hide-input" in c.metadata.get("tags", [])]
    assert len(folded) == len(site_lessons.FOLDED)
    notes = sum(cell.source == site_lessons.STILL for cell in after.cells)
    moving = sum(output_moves(cell) for cell in code[0])
    assert notes == moving >= 1, "every widget says that it stands still"


def output_moves(cell):
    return bool(re.search(r"\bshow\.(widget|button|canvas|viewer)\(", cell.source))


def test_what_moves_in_a_lesson_is_known_by_its_names():
    makers = {name for name in dir(show) if callable(getattr(show, name))}
    assert {"widget", "button", "canvas", "viewer"} <= makers


def test_a_lesson_that_arrives_joins_by_itself(notebook, tmp_path, monkeypatch):
    for name in ("README.md", "docs", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    path = notebook("22_solid", "print(1)")
    monkeypatch.chdir(path.parent)
    site.lay_out(tmp_path / "source")
    assert trees(tmp_path / "source")["Into space and time"] == [
        "notebooks/" + path.name
    ]
    assert "notebooks/22_solid" in (tmp_path / "source/gallery.md").read_text()


def test_pages_quote_the_readme_where_it_can_be_quoted():
    readme = (ROOT / "README.md").read_text("utf-8")
    quotes = 0
    for path in sorted((ROOT / "docs").glob("*.md")):
        for ends in re.findall(
            r":(?:start-after|end-before): \"(.+)\"", path.read_text()
        ):
            assert readme.count(ends) == 1, f"{path.name} looks for {ends!r} in README"
            quotes += 1
    assert quotes >= 6


def written(path):
    """What a page says in Markdown, without its code."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    return re.sub(r"```.*?```|`[^`\n]*`|\$[^$]*\$", "", text, flags=re.DOTALL)


def test_every_link_of_a_page_has_something_to_lead_to(source):
    found = 0
    for path in [*source.rglob("*.md"), *source.rglob("*.ipynb")]:
        for link in site.LINK.findall(written(path)):
            place = source if link.startswith("/") else path.parent
            assert (place / link.lstrip("/")).is_file(), f"{path.name}: {link}"
            found += 1
    assert found > 50


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("[x](../README.md#on-colab)", "[x](/start.md#on-colab)"),
        ("[x](README.md)", "[x](/index.md)"),
        ("[x](talk.md) [y](../slides/05_x.md)", "[x](/slides.md) [y](/slides.md)"),
        ("[x](docs/x.md) [y](../docs/y.md)", "[x](/x.md) [y](/y.md)"),
        ("[x](deploy/README.md) [y](#here)", "[x](deploy/README.md) [y](#here)"),
    ],
)
def test_links_to_what_is_no_page_lead_to_the_page_in_its_place(text, leads):
    assert site_lessons.redirected(text) == leads


def test_without_node_the_site_says_so_and_has_no_decks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decks.shutil, "which", lambda name: None)
    assert site._decks(tmp_path) == []
    assert "without slides: slides need Node.js" in capsys.readouterr().out
    assert "made without them" in site._slides([])


def test_the_talk_comes_first_among_the_decks():
    made = [Path(f"{path.stem}.html") for path in decks.decks()]
    links = re.findall(r'href="slides/(\w+)\.html"', site._slides(made))
    assert links[0] == "talk" and sorted(links) == sorted(path.stem for path in made)


def test_without_sphinx_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(site.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r'pip install -c constraints.txt -e "\.\[site\]"'
    ):
        site.website(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_the_workflow_publishes_what_make_site_builds():
    text = (ROOT / ".github/workflows/pages.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    said = [step["run"] for step in steps if "run" in step]
    assert said == ["make site"]
    assert re.search(r"^site: ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    used = {step["uses"].split("@")[0]: step for step in steps if "uses" in step}
    assert used["actions/upload-pages-artifact"]["with"]["path"] == "build/site"
    assert {"actions/deploy-pages", "actions/setup-node"} <= set(used)
    rights = jobs["publish"]["permissions"]
    assert rights == {"pages": "write", "id-token": "write"}
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
