"""Decks: Markdown whose pictures and numbers come from the lessons' own runs.

`slides/NN_stem.md` is the deck of a lesson. In it

    ![](figure:05/the-0-is-gone)      a picture of lesson 05, by the start of its words
    ![](diagram:trilemma)             a drawing by a function of slides/diagrams.py
    {{05.readable_until_linear|.0f}}  a recorded score; also its .floor or .ceiling
    {{05 says "noise outweighs"}}     the number that the lesson printed after words
    {{05 says "linear" 2}}            the second number after them
    {{05 cell "def add_noise"}}       the number of the cell with that code
    {{05 code "def add_noise"}}       its code
    {{05 needs}}                      what the lesson takes, as measured

`|` and a format of Python's may follow each number. Marp makes HTML, PDF and PPTX.
"""

import base64
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from course_utils.commands import choice
from course_utils.commands.evidence import Lessons

KINDS = ("html", "pdf", "pptx")
HEADER = """---
marp: true
theme: course
lang: en
math: mathjax
paginate: true
title: {title}
---

"""
PICTURE = re.compile(r"!\[([^]]*)\]\((figure|diagram):([^)]*)\)")
ASKED = re.compile(
    r"\{\{(?P<lesson>\d\d)"
    r"(?:\.(?P<metric>\w+)(?:\.(?P<what>\w+))?"
    r'| (?P<verb>says|cell|code|needs)(?: "(?P<quote>[^"]+)")?(?: (?P<nth>\d))?)'
    r"(?:\|(?P<format>[^}]+))?\}\}"
)


def typeset(
    chosen: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
    folder: Path | None = None,
) -> list[Path]:
    """Build the chosen decks, or all, into `folder`, or build/slides if none is given.

    Return the files made. ValueError if a deck asks for what no lesson has, and if
    Node.js or Marp is missing.
    """
    paths, lessons = decks(chosen), Lessons()
    folder = folder or choice.root() / "build" / "slides"
    folder.mkdir(parents=True, exist_ok=True)
    filled = {folder / path.name: deck(path, lessons) for path in paths}
    try:
        for path, text in filled.items():
            path.write_text(text, encoding="utf-8")
        for kind in kinds:
            print(f"{kind}: {len(filled)} in {folder}", flush=True)
            _marp(list(filled), kind)
    finally:
        for path in filled:
            path.unlink(missing_ok=True)
    return [path.with_suffix(f".{kind}") for path in filled for kind in kinds]


def decks(chosen: Sequence[str] = ()) -> list[Path]:
    """Return the decks of the chosen lessons ("05", "talk"), or all if none.

    ValueError for a deck that is not there.
    """
    there = {p.stem: p for p in sorted((choice.root() / "slides").glob("*.md"))}
    there = {k: p for k, p in there.items() if k == "talk" or re.match(r"\d\d_", k)}
    numbers = {name.split("_")[0]: path for name, path in there.items()}
    names = [name for text in chosen for name in re.split(r"[,\s]+", text) if name]
    for name in names:
        if name not in numbers | there:
            there_are = " ".join(numbers)
            raise ValueError(f"deck {name} is not here; there are {there_are}")
    return list(dict.fromkeys((numbers | there)[name] for name in names or numbers))


def deck(path: Path, lessons: Lessons) -> str:
    """Return a deck as Marp reads it, with every picture and number in its place.

    ValueError with the slide for a picture or number that no lesson has.
    """
    filled = []
    for k, slide in enumerate(split(path.read_text("utf-8")), 1):
        try:
            filled.append(fill(slide, lessons))
        except ValueError as error:
            raise ValueError(f"{path.name}, slide {k}: {error}") from None
    return HEADER.format(title=repr(deck_title(path))) + "\n---\n".join(filled)


def deck_title(path: Path) -> str:
    """Return the title of a deck; ValueError if its first slide has none."""
    found = re.search(r"^# (.+)$", split(path.read_text("utf-8"))[0], re.MULTILINE)
    if not found:
        raise ValueError(f"{path.name} needs a first slide with a title, as in `# GAN`")
    return found[1]


def split(text: str) -> list[str]:
    """Return the slides of a deck: what stands between lines of three hyphens."""
    return re.split(r"^---$", text, flags=re.MULTILINE)


def notes(slide: str) -> str:
    """Return what the speaker reads: a slide's comments, less directives to Marp."""
    said = re.findall(r"<!--(.*?)-->", slide, re.DOTALL)
    return "\n".join(x.strip() for x in said if not re.match(r"\s*_?\w+:", x))


def fill(slide: str, lessons: Lessons) -> str:
    """Put pictures and numbers in the place of what asks for them."""
    slide = ASKED.sub(lambda asked: _answer(asked, lessons), slide)
    if left := re.search(r"\{\{\d\d[^}]*\}*", slide):
        raise ValueError(
            f"{left[0]} is not understood: write "
            '{{05.metric}}, {{05 says "words"}}, {{05 cell "code"}}, '
            '{{05 code "code"}} or {{05 needs}}, and |.2f at the end for a format'
        )
    return PICTURE.sub(lambda asked: _picture(asked, lessons), slide)


def _answer(asked: re.Match, lessons: Lessons) -> str:
    """Return the text for one {{...}}."""
    lesson, quote = lessons[asked["lesson"]], asked["quote"] or ""
    if asked["verb"] == "needs":
        return lesson.needs()
    if asked["verb"] == "cell":
        return f"[{lesson.cell(quote)[0]}]"
    if asked["verb"] == "code":
        return lesson.cell(quote)[1]
    if asked["verb"] == "says":
        number = lesson.number(quote, int(asked["nth"] or 1))
    else:
        number = lesson.score(asked["metric"], asked["what"] or "value")
    return format(number, asked["format"] or ".4g")


def _picture(asked: re.Match, lessons: Lessons) -> str:
    """Return a picture within the Markdown, so that a deck is one file."""
    own, kind, name = asked.groups()
    if kind == "figure":
        number, _, start = name.partition("/")
        words, mime, data = lessons[number].picture(start)
    else:
        words, mime, data = _drawn(name)
    words = re.sub(r"[][\\]", "", own or words)
    return f"![{words}](data:{mime};base64,{data})"


def _drawn(name: str) -> tuple[str, str, str]:
    """Draw a diagram of slides/diagrams.py."""
    from course_utils.show import output  # brings matplotlib: only if it is wanted

    drawings = runpy.run_path(str(choice.root() / "slides" / "diagrams.py"))
    if name not in drawings:
        raise ValueError(f"slides/diagrams.py has no function {name!r}")
    figure = drawings[name]()
    words = output.alt_text(None, figure)
    if not figure.images:  # pixels stay as they are; lines are drawn for a large screen
        figure.set_dpi(2 * figure.dpi)
    mime, content = output.compressed(figure)
    return words, mime, base64.b64encode(content).decode()


def marp() -> list[str | Path]:
    """Return the command that turns decks into files; ValueError if it is missing."""
    slides = choice.root() / "slides"
    program = slides / "node_modules" / "@marp-team" / "marp-cli" / "marp-cli.js"
    node = shutil.which("node")
    if not node:
        raise ValueError("slides need Node.js 20 or newer: install it (nodejs.org)")
    if not program.is_file():
        raise ValueError("Marp is missing: say `npm ci --ignore-scripts` in slides/")
    return [node, program]


def _marp(files: Sequence[Path], kind: str) -> None:
    """Turn filled decks into files of one kind, beside them."""
    options = {"html": [], "pdf": ["--pdf", "--pdf-notes"], "pptx": ["--pptx"]}[kind]
    options += [] if kind == "html" else ["--no-parallel", "--browser-timeout", "120"]
    command = [*marp(), "--no-stdin", *options]
    done = subprocess.run(
        [*map(str, command), *map(str, files)],
        cwd=choice.root() / "slides",  # package.json says which theme
        env=_with_a_browser(),
        capture_output=True,
        text=True,
    )
    missing = [p for p in files if not p.with_suffix(f".{kind}").is_file()]
    if done.returncode or missing:
        raise ValueError(f"Marp made no {kind}: {done.stderr.strip()[-600:]}")


def _with_a_browser() -> dict[str, str]:
    """Return the environment in which Marp finds a browser for PDF and PPTX."""
    env = dict(os.environ)
    if found := shutil.which("chromium") or shutil.which("chromium-browser"):
        env.setdefault("CHROME_PATH", found)
    if getattr(os, "geteuid", lambda: 1)() == 0:
        env.setdefault("CHROME_NO_SANDBOX", "1")  # a container: where else to be root
    return env
