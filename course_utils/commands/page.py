"""Executed lessons as pages that open with no network."""

import base64
import html
import mimetypes
import re
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from course_utils.session import duration

IMAGES = ("image/png", "image/jpeg", "image/gif")
# what a page may do: show what is in it, and nothing else
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)
ACTS = "script iframe frame object embed link meta base form".split()
STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")


def title(nb: nbformat.NotebookNode, otherwise: str) -> str:
    """Return the text of a notebook's first heading."""
    for cell in nb.cells:
        if heading := re.search(r"^# (.+)$", cell.source, re.MULTILINE):
            return heading[1].strip()
    return otherwise


def lesson(nb: nbformat.NotebookNode, row: dict, path: Path) -> str:
    """Return an executed notebook as one HTML page that asks for nothing else.

    `row` has the run's title, seconds, peak_mb and error; `path` is the notebook, with
    its pictures beside it.
    """
    for output in [o for c in nb.cells for o in c.get("outputs", []) if "data" in o]:
        _show(output)
    for cell in nb.cells:
        drop_missing(cell)
    exporter = Offline(template_name="basic", anchor_link_text="#")
    body = BeautifulSoup(exporter.from_notebook_node(nb)[0], "html.parser")
    for image in body.select("img:not([src^=data])"):
        _embed(image, path.parent)
    for link in body.select("a[href$='.ipynb']"):
        if "://" not in link["href"]:  # another lesson: its page lies beside this one
            link["href"] = link["href"].removesuffix(".ipynb") + ".html"
    disarm(body)
    head = f'<nav><a href="index.html">All lessons</a> <span>{cost(row)}</span></nav>'
    if row["error"]:
        head += _note(body.select(".output_error")[-1:], "stopped", row["error"])
    for said in row.get("warnings", ())[:1]:
        head += _note(body.select(".output_stderr")[:1], "warned", said)
    return document(row["title"], f"{head}<main>{body}</main>", highlighting())


def disarm(body: BeautifulSoup) -> None:
    """Take out, in place, all of a page that could act or ask: it is there to be read.

    The page's content security policy forbids the same; a reader without one is safe.
    """
    for tag in body.select(
        "script, iframe, frame, object, embed, link, meta, base, form"
    ):
        tag.decompose()
    for tag in body.find_all(True):
        for name, value in [*tag.attrs.items()]:
            scheme = re.sub(r"[\s\x00-\x1f]", "", str(value)).lower()
            acts = scheme.startswith(("javascript:", "vbscript:", "data:text"))
            if name.lower().startswith("on") or acts or name.lower() == "srcdoc":
                del tag[name]


def _note(outputs: list[Tag], what: str, said: str) -> str:
    """Return a line that leads to the first of `outputs`."""
    for output in outputs[:1]:
        output["id"] = what
    word = what.capitalize()
    return f'<p class="{what}"><a href="#{what}">{word}</a> at {html.escape(said)}</p>'


def drop_missing(cell: nbformat.NotebookNode) -> None:
    """A lesson that was never saved with its picture has a page without it."""
    for picture in re.findall(r"!\[[^]]*\]\(attachment:[^)]*\)", cell.source):
        name = picture.partition("attachment:")[2].rstrip(")")
        if name not in cell.get("attachments", {}):
            cell.source = cell.source.replace(picture, "")


class Math(IPythonRenderer):
    """Markdown whose equations become MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        """Return an equation within a line."""
        return mathml(body)

    def block_math(self, body: str) -> str:
        """Return an equation on lines of its own."""
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        """Return an environment such as align."""
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")


class Offline(HTMLExporter):
    """The notebook exporter with equations as MathML instead of a script from afar."""

    @pass_context
    def markdown2html(self, context: dict, source: str) -> str:
        """Return Markdown as HTML, its equations as MathML."""
        cell = context.get("cell", {})
        renderer = Math(
            escape=False,
            attachments=cell.get("attachments", {}),
            anchor_link_text=self.anchor_link_text,
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def mathml(tex: str, display: str = "inline") -> str:
    """Return TeX as MathML; what cannot be converted stays readable as code."""
    known = re.sub(r"(begin|end)\{aligned\}", r"\1{align*}", tex.strip())
    try:
        drawn = convert(known, display=display)
        drawn = drawn.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
        return drawn.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")  # \sim
    except Exception:  # whatever a stray brace may raise, the page must be written
        return f"<code>{html.escape(tex)}</code>"


def _embed(image: Tag, folder: Path) -> None:
    """Put a picture that lies beside the notebook into the page; of others the words.

    A badge from a web site would be asked for each time that the page is opened.
    """
    file = folder / image["src"]
    if "://" in image["src"] or not file.is_file():
        image.replace_with(image.get("alt", ""))
    else:
        kind = mimetypes.guess_type(file)[0]
        content = base64.b64encode(file.read_bytes()).decode()
        image["src"] = f"data:{kind};base64,{content}"


def _show(output: nbformat.NotebookNode) -> None:
    """Turn a picture or an equation, in place, into HTML with its description."""
    data = output.data
    mime = next((m for m in IMAGES if m in data), None)
    if "text/html" in data:
        return
    if mime:
        notes = output.metadata.get(mime, {})
        alt = notes.get("alt") or data.get("text/plain", "")
        shown = [f' {k}="{notes[k]}"' for k in ("width", "height") if k in notes]
        source = f"data:{mime};base64,{''.join(data[mime].split())}"
        tag = f'<img src="{source}" alt="{html.escape(alt)}"{"".join(shown)}>'
        output.data = nbformat.from_dict({"text/html": tag})
    elif "text/latex" in data:
        tex = data["text/latex"].strip().strip("$")
        output.data = nbformat.from_dict({"text/html": mathml(tex, "block")})


def cost(row: dict) -> str:
    """Return what a lesson took: 41 s · 0.9 GB."""
    return f"{duration(row['seconds'])} · {row['peak_mb'] / 1000:.1f} GB"


def highlighting() -> str:
    """Return the style of highlighted code, by day and by night."""
    light = HtmlFormatter(style="xcode").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def document(name: str, body: str, style: str = "") -> str:
    """Return a whole page with the course's style, which asks for no other file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(name)}</title><style>{style}\n{STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )
