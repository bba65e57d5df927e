"""How Sphinx makes the website. `course site` puts the pages together before."""

import hashlib
import os
from base64 import b64decode

from docutils import nodes

from course_utils.commands import choice, page
from course_utils.commands.evidence import Lesson

project = "Generative AI for vision"
language = "en"
extensions = ["myst_nb", "sphinx_design"]
root_doc = "index"
exclude_patterns = ["README.md"]  # index and start quote it

nb_execution_mode = "off"  # pages show the committed outputs
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

html_title = "Generative AI for vision"
html_theme = "furo"
html_theme_options = {
    "light_css_variables": {
        "color-code-background": "#f5f7fa",
        "color-brand-primary": "#1c5d97",
        "color-brand-content": "#1c5d97",
        "color-brand-visited": "#1c5d97",
    },
    "dark_css_variables": {
        "color-brand-primary": "#79b4ea",
        "color-brand-content": "#79b4ea",
        "color-brand-visited": "#79b4ea",
    },
}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_use_index = False
html_copy_source = html_show_sourcelink = False
html_show_copyright = False
html_math_renderer = "mathml"
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-dark"


def setup(app) -> None:
    """Add what Sphinx leaves to us: equations without a script, words for pictures."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("doctree-read", _describe)
    app.connect("html-page-context", _speak, priority=900)  # after the theme


def _inline(writer, node) -> None:
    writer.body.append(page.mathml(node.astext()))
    raise nodes.SkipNode


def _block(writer, node) -> None:
    writer.body.append(f"<div class='math'>{page.mathml(node.astext(), 'block')}</div>")
    raise nodes.SkipNode


def _describe(app, doctree) -> None:
    """Give a lesson's pictures their words: myst-nb names a picture by its hash."""
    name = app.env.docname.removeprefix("notebooks/")
    images = [node for node in doctree.findall(nodes.image) if "alt" not in node]
    if name == app.env.docname or not images:
        return
    [path] = choice.lessons([name])
    words = {
        hashlib.sha256(b64decode(picture.data)).hexdigest(): picture.words
        for picture in Lesson(path).pictures
    }
    for node in images:
        digest = os.path.splitext(os.path.basename(node["uri"]))[0]
        node["alt"] = words.get(digest, "")  # a test finds what has none


def _speak(app, name, template, context, doctree) -> None:
    """Mend what screen readers would stumble over in the theme and in myst-nb."""
    folded = ' aria-label="Toggle hidden content"'  # hides what the fold says
    context["body"] = context.get("body", "").replace(folded, "")
    tree, heading = "furo_navigation_tree", 'role="heading"'
    context[tree] = context[tree].replace(heading, f'{heading} aria-level="2"')
