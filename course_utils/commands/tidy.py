"""Notebooks fit to be kept: no widget state, no paths, no times, the same ids."""

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat

WIDGET = "application/vnd.jupyter.widget-view+json"
KEEP = ("tags", "jupyter", "slideshow")  # all other cell metadata belongs to an editor


def strip_notebook(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove from a notebook, in place, all that a run on another machine would change.

    Widget state goes, and so do papermill's paths and times, editors' metadata and the
    machine's paths. Cell ids become a hash of the source: unique, and the same again.
    What `dress` noted about the lesson stays.
    """
    noted = {"course": nb.metadata["course"]} if "course" in nb.metadata else {}
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        }
        | noted
    )
    banner = "papermill-error-cell-tag"
    nb.cells = [c for c in nb.cells if banner not in c.metadata.get("tags", [])]
    seen: dict[str, int] = {}
    for cell in nb.cells:
        cell.id = _new_id(cell, seen)
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in KEEP and v}
        if cell.cell_type == "code":
            cell.outputs = _join([o for o in map(_clean, cell.outputs) if o])
    nb.nbformat, nb.nbformat_minor = 4, 5
    return nb


def dress(
    nb: nbformat.NotebookNode, seconds: float, peak_mb: float, weights: Sequence[str]
) -> None:
    """Put into a notebook what only a run knows: the lesson's picture and its cost.

    The picture is the first image of the cell tagged `picture`; the title shows it as
    `attachment:picture.png`, so that it travels with the file. The cost follows the
    word **Needs**. The shipped weights that the lesson opened go into the metadata,
    where the doctor looks.
    """
    from course_utils import session  # brings torch: not for every command

    title = nb.cells[0]
    tagged = (c for c in nb.cells if "picture" in c.metadata.get("tags", []))
    outputs = (o.get("data", {}) for c in tagged for o in c.get("outputs", []))
    images = [{m: d for m, d in o.items() if m.startswith("image/")} for o in outputs]
    if any(images):
        title.attachments = {"picture.png": next(i for i in images if i)}
    step = 5 if seconds < 90 else 30  # promise no more than the next run keeps
    took = session.duration(max(step, step * round(seconds / step)))
    took = took.replace(" 00 s", "").replace("5.0 s", "5 s")
    cores = "one core" if session.threads() == 1 else f"{session.threads()} cores"
    cost = f"about {took} and {peak_mb / 1000:.1f} GB on {cores}"
    title.source = re.sub(
        r"\*\*Needs\*\* .*?(?=\. \*\*Before this)", f"**Needs** {cost}", title.source
    )
    nb.metadata["course"] = {"weights": sorted(weights)}


def save_notebook(nb: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all: the old one stays until the new is full."""
    from course_utils.training import write_whole  # late: it imports torch

    text = nbformat.writes(nb, version=4) + "\n"
    write_whole(path, text)


def _new_id(cell: nbformat.NotebookNode, seen: dict[str, int]) -> str:
    digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
    seen[digest] = seen.get(digest, 0) + 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _clean(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    if "data" in output:
        if WIDGET in output.data and set(output.data) <= {WIDGET, "text/plain"}:
            return None  # a live widget only; its still picture is an output of its own
        output.data.pop(WIDGET, None)
        for mime in [m for m in output.data if m.startswith("text/")]:
            output.data[mime] = hide_paths(output.data[mime])
    for key in ("text", "evalue"):
        if key in output:
            output[key] = hide_paths(output[key])
    if "traceback" in output:
        output.traceback = [hide_paths(line) for line in output.traceback]
    return output


def _join(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Merge neighbouring pieces of one stream, which arrive split at random."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def hide_paths(text: str) -> str:
    """Replace this machine's folders in a text by what they stand for."""
    text = re.sub(r"\S*ipykernel_\d+[/\\]\d+\.py", "<cell>", text)
    places = {
        str(Path(__file__).resolve().parents[2]): "<course>",
        sys.prefix: "<python>",
        sys.base_prefix: "<python>",
        tempfile.gettempdir(): "<temp>",
        os.path.expanduser("~"): "~",  # itself where there is no home folder
    }
    for place in sorted(places, key=len, reverse=True):
        if len(place) > 3:
            pattern = rf"(?<![\w.~-]){re.escape(place)}(?=[/\\])"
            text = re.sub(pattern, lambda _, p=place: places[p], text)
    # the folder that runner.run makes
    its_own = r"<temp>[/\\]course-\d+-\w+-\w+(?=[/\\])"
    return re.sub(its_own, "<temp>", text)
