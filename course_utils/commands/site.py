"""The website: the executed lessons, a gallery of them, the slides.

All pages are first laid out in build/site-source, as in the repository: those of
`docs/`, the lessons, and what README, slides and deploy say. Then Sphinx, which
docs/conf.py tells how, makes build/site of them.
"""

import base64
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from course_utils.commands import address, choice, gallery, site_lessons, slides
from course_utils.training import write_whole

GUIDES = ("slides/INSTRUCTORS.md", "deploy/README.md", "deploy/capacity.md")
ABOUT = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
LINK = re.compile(r"\]\((?!\w+:)([^)\s#]+)")
TREE = "\n```{{toctree}}\n:caption: {}\n:hidden:\n\n{}\n```\n"
DECKS = """# Slides

One talk that tells the whole story, and a deck for each lesson. In a deck, the key `f`
fills the screen, and `p` opens what the speaker reads. Each picture and number on a
slide comes from the lessons.

"""
# What a page of the website may do: show and search what lies beside it. The scripts of
# Sphinx and the theme run, known by their place or a hash; none that a lesson printed
POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: {badges}; media-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'"
)
HEAD = re.compile(r"<head>\s*(<meta charset=\"utf-8\" ?/?>)?")
OWN = re.compile(r"<body>\s*<script>(.*?)</script>", re.DOTALL)
LINE = '- <a href="slides/{}.html">{}</a>\n'
NO_DECKS = """# Slides

This copy of the website was made without them, for want of Node.js. In the course's
folder, `make slides` makes them.
"""


def website(folder: Path | None = None) -> Path:
    """Build the website in `folder`, or in build/site if none is given; return it.

    ValueError if Sphinx is missing, or finds a fault in a page.
    """
    if not importlib.util.find_spec("myst_nb"):
        raise ValueError(
            "the website needs Sphinx: say `make site`, or "
            '`pip install -c constraints.txt -e ".[site]"`'
        )
    folder = folder or choice.root() / "build" / "site"
    source = folder.with_name(f"{folder.name}-source")
    for place in (folder, source):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    lay_out(source, _decks(folder / "slides"))
    _sphinx(source, folder)
    for page in folder.rglob("*.html"):
        if page.parent != folder / "slides":  # Marp's own pages
            guard(page)
    for path in choice.lessons():  # to download
        shutil.copy(path, folder / "notebooks")
    print(f"website: open {os.path.relpath(folder / 'index.html')}")
    return folder


def guard(page: Path) -> None:
    """Write a content security policy into a page: see POLICY.

    Of scripts in the page itself only the theme's, the first thing in its body, may
    run.
    """
    text = page.read_text("utf-8")
    own = OWN.match(text, max(text.find("<body>"), 0))
    scripts = f" {_hashed(own[1])}" if own else ""
    badges = " ".join((address.BADGE, f"{address.BINDER}/"))
    policy = POLICY.format(scripts=scripts, badges=badges)
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    head = HEAD.search(text)
    if not head:
        raise ValueError(f"{page} has no <head>: Sphinx made something unknown of it")
    write_whole(page, text[: head.end()] + tag + text[head.end() :])


def _hashed(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def lay_out(source: Path, decks: Sequence[Path] = ()) -> None:
    """Put all pages into `source`, each where its links lead to the others."""
    root, lessons = choice.root(), choice.lessons()
    written = {path.name: path for path in root.glob("docs/*.md")}
    taken = [x for x in ("README.md", *GUIDES, *ABOUT) if (root / x).is_file()]
    for name, path in (written | {name: root / name for name in taken}).items():
        _take(path, source / name)
    for path in lessons:
        deck = f"{path.stem}.html" in {deck.name for deck in decks}
        site_lessons.take(path, source / "notebooks", deck)
    pages = {"gallery.md": gallery.text(lessons), "slides.md": _slides(decks)}
    for name, text in pages.items():
        (source / name).write_text(text, "utf-8")
    trees = {"The course": ["start.md", "gallery.md"]}
    for part, paths in gallery.parts(lessons).items():
        trees[part] = [f"notebooks/{path.name}" for path in paths]
    trees["Teach it"] = ["slides.md", *(name for name in taken if name in GUIDES)]
    notes = sorted(written.keys() - {"index.md", "start.md"})
    trees["About"] = [*notes, *(name for name in taken if name in ABOUT)]
    with (source / "index.md").open("a", encoding="utf-8") as index:
        for caption, names in trees.items():
            index.write(TREE.format(caption, "\n".join(names)))


def _take(path: Path, target: Path) -> None:
    """Lay out a page, and what it links to beside the pages."""
    text = path.read_text("utf-8")
    if target.name == "README.md" and path.parent == choice.root():
        text = text.replace("](#", "](README.md#")  # its parts are on several pages
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(site_lessons.redirected(text), "utf-8")
    for link in LINK.findall(text):
        linked, place = path.parent / link, target.parent / link
        if linked.is_file() and linked.suffix not in (".md", ".ipynb"):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(linked, place)


def _decks(folder: Path) -> list[Path]:
    """Build the decks as HTML; without Node.js say so, and do without."""
    try:
        slides.marp()
    except ValueError as missing:
        print(f"without slides: {missing}")
        return []
    return slides.typeset((), ["html"], folder)


def _slides(decks: Sequence[Path]) -> str:
    """Return the page that leads to the decks, the talk first."""
    if not decks:
        return NO_DECKS
    written = sorted(slides.decks(), key=lambda path: path.stem != "talk")
    lines = (LINE.format(path.stem, slides.deck_title(path)) for path in written)
    return DECKS + "".join(lines)


def _sphinx(source: Path, folder: Path) -> None:
    """Let Sphinx make the pages; a warning of its is a fault."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-c"]
    command += [choice.root() / "docs", "-d", source / ".doctrees"]
    command += ["-j", "auto", "-q", "-W", "--keep-going", source, folder]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"Sphinx finds fault with the website:\n{done.stderr.strip()}")
