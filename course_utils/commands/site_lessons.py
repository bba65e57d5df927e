"""A lesson as a page of the website: nothing is run, a few things are put for readers.

Its first code cells are folded, its pictures get files, widgets a word on how to turn
them, and the title a way to take the notebook home.
"""

import re
from base64 import b64decode
from mimetypes import guess_extension
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat.v4 import new_markdown_cell

from course_utils.commands import address, choice, page

FOLDED = {  # what a cell has in it: what its fold says
    "try:\n    import course_utils\n": "Install the course, if it is missing",
    "session.start(": "Imports",
}
MOVES = re.compile(r"^(?:\w+ = )?show\.(?:widget|button|canvas|viewer)\(", re.MULTILINE)
STILL = """:::{note}
Here this picture stands still. In JupyterLab and on Colab it has controls: download the
notebook at the top of this page, and see [how to start](/start.md).
:::"""
README = re.compile(r"\]\((?:\.\./)*README\.md(#[\w-]+)?\)")
NOTE = re.compile(r"\]\((?:\.\./)*docs/(\w+\.md)\)")
DECK = re.compile(r"\]\((?:(?:\.\./)*slides/)?(?:talk|\d\d_\w+)\.md\)")
ATTACHED = re.compile(r"!\[([^]]*)\]\(attachment:([^)]*)\)")


class TitlePicture(NamedTuple):
    """The picture under a lesson's title: its words, its file, its content."""

    words: str
    file: str
    content: bytes


def title_picture(path: Path) -> TitlePicture | None:
    """Return the picture of what a lesson makes; None if it was saved without one."""
    title = choice.read_notebook(path).cells[0]
    page.drop_missing(title)
    if not (shown := ATTACHED.search(title.source)):
        return None
    [(mime, data)] = title.attachments[shown[2]].items()
    return TitlePicture(
        shown[1], f"{path.stem}{guess_extension(mime)}", b64decode(data)
    )


def take(path: Path, folder: Path, deck: bool) -> None:
    """Write the lesson in the file `path` and its title picture into `folder`.

    deck  whether the website has slides for it
    """
    nb, picture = choice.read_notebook(path), title_picture(path)
    folder.mkdir(parents=True, exist_ok=True)
    title = nb.cells[0]
    page.drop_missing(title)
    if picture:
        (folder / picture.file).write_bytes(picture.content)
        title.source = ATTACHED.sub(f"![{picture.words}]({picture.file})", title.source)
        title.pop("attachments")
    title.source = title.source.replace(
        badge := address.badge(address.current(), path.name),
        f"{badge} {_take_home(path, deck)}",
    )
    nb.cells = [cell for old in nb.cells for cell in _for_readers(old)]
    nbformat.write(nb, folder / path.name)


def _take_home(path: Path, deck: bool) -> str:
    """Return the links to the notebook and to its slides."""
    links = f'<a href="{path.name}" download>Download the notebook</a>'
    slides = f' <a href="../slides/{path.stem}.html">Slides</a>'
    return links + slides if deck else links


def _for_readers(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Fold a cell that only sets up; put a word behind one that moves."""
    if cell.cell_type != "code":
        cell.source = redirected(cell.source)
        return [cell]
    for part, says in FOLDED.items():
        if part in cell.source:
            cell.metadata.tags = [*cell.metadata.get("tags", []), "hide-input"]
            words = {"code_prompt_show": says, "code_prompt_hide": says}
            cell.metadata.mystnb = words
    return [cell, new_markdown_cell(STILL)] if MOVES.search(cell.source) else [cell]


def redirected(text: str) -> str:
    """Lead links to the README, to docs and decks to the pages that stand for them."""
    text = README.sub(lambda x: f"](/start.md{x[1]})" if x[1] else "](/index.md)", text)
    text = NOTE.sub(r"](/\1)", text)
    return DECK.sub("](/slides.md)", text)
