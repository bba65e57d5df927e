"""Pages that open with no network: executed lessons and the index of a run."""

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

IMAGES = ("image/png", "image/jpeg", "image/gif")
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
        _drop_missing(cell)
    exporter = Offline(template_name="basic", anchor_link_text="#")
    body = BeautifulSoup(exporter.from_notebook_node(nb)[0], "html.parser")
    for image in body.select("img:not([src^=data])"):
        _embed(image, path.parent)
    for link in body.select("a[href$='.ipynb']"):
        if "://" not in link["href"]:  # another lesson: its page lies beside this one
            link["href"] = link["href"].removesuffix(".ipynb") + ".html"
    for script in body.select("script, iframe, link"):
        script.decompose()
    head = f'<nav><a href="index.html">All lessons</a> <span>{_cost(row)}</span></nav>'
    if row["error"]:
        error = html.escape(row["error"])
        head += f'<p class="failed"><a href="#stopped">Stopped</a> at {error}</p>'
        for output in body.select(".output_error")[-1:]:
            output["id"] = "stopped"
    return _html(row["title"], f"{head}<main>{body}</main>", _highlighting())


def _drop_missing(cell: nbformat.NotebookNode) -> None:
    """A lesson that was never saved with its picture has a page without it."""
    for picture in re.findall(r"!\[[^]]*\]\(attachment:[^)]*\)", cell.source):
        name = picture.partition("attachment:")[2].rstrip(")")
        if name not in cell.get("attachments", {}):
            cell.source = cell.source.replace(picture, "")


def index(done: dict[str, dict]) -> str:
    """Return the page of a run: {lesson name: row} as a table with scores as bars."""
    failed = sum(bool(row["error"]) for row in done.values())
    minutes = sum(row["seconds"] for row in done.values()) / 60
    peak = max((row["peak_mb"] for row in done.values()), default=0)
    machines = sorted({row["machine"] for row in done.values()})
    summary = [f"{len(done)} lessons", f"{minutes:.1f} minutes", f"peak {peak} MB"]
    summary += [f"{failed} failed" if failed else "all ran to the end", *machines]
    body = (
        "<main class='index'><h1>Generative AI for vision, from GANs to video</h1>"
        f"<p class='summary'>{' · '.join(map(html.escape, summary))}</p>"
        "<p>Every lesson as it ran. Each score lies on a bar between its floor (no "
        "skill: chance, untouched input) and its ceiling (the best possible).</p>"
        + "".join(_card(name, row) for name, row in done.items())
        + "</main>"
    )
    return _html("The course, run", body)


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


def rounded(value: float) -> str:
    """Return a score with three digits that matter: 0.0374, 12.1, 1000."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


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


def _card(name: str, row: dict) -> str:
    scores = "".join(_bar(score) for score in row["scores"])
    state, word = ("failed", "failed") if row["error"] else ("ok", "ok")
    error = f'<p class="failed">{html.escape(row["error"])}</p>' if row["error"] else ""
    return (
        f'<section><h2><a href="{name}.html">{html.escape(row["title"])}</a> '
        f'<span class="pill {state}">{word}</span></h2>'
        f'<p class="cost">{_cost(row)} · size {row["run"]}</p>{error}{scores}</section>'
    )


def _cost(row: dict) -> str:
    seconds = row["seconds"]
    took = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    return f"{took} · {row['peak_mb']} MB"


def _bar(score: dict) -> str:
    """Return one score as a bar from the worst of floor and ceiling to the best."""
    ends = sorted((score["floor"], score["ceiling"]))
    worst, best = ends if score["better"] == "higher" else ends[::-1]
    share = (score["value"] - worst) / ((best - worst) or 1)
    share = 100 * min(1, max(0, share))
    count = f", n={score['n']}" if score.get("n") else ""
    told = f"seeds={score['seeds']}{count}, {score['better']} is better"
    return (
        f'<div class="score"><b>{html.escape(score["metric"].replace("_", " "))}</b>'
        f"<span>{rounded(worst)}</span>"
        f'<div class="bar" role="img" aria-label="{share:.0f} % of the way"'
        f' title="{told}"><i style="width:{share:.1f}%"></i></div>'
        f"<span>{rounded(best)}</span><strong>{rounded(score['value'])}</strong></div>"
    )


def _highlighting() -> str:
    light = HtmlFormatter(style="xcode").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _html(name: str, body: str, style: str = "") -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(name)}</title><style>{style}\n{STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )
