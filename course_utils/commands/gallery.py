"""The website's gallery: what each lesson makes, and how well, as its last run says."""

import re
from pathlib import Path

from course_utils.commands import choice, evidence, index, page, site_lessons

# A part begins with its first number, so that a lesson that joins falls into its part.
PARTS = {
    "00": "Begin",
    "02": "GANs",
    "05": "Diffusion",
    "09": "Stable Diffusion",
    "13": "Change a picture",
    "19": "Your toy, your layout",
    "22": "Into space and time",
    "26": "Go on",
}
SHOWN = 3  # scores on a card
GRID = """---
hide-toc: true
---

# Gallery

What each lesson makes, and its scores as its notebook recorded them. A score stands on
a bar between its *floor* (no skill: chance, an untouched input) and its *ceiling* (the
best possible). Seconds, and what spans three powers of ten, are on a logarithmic scale.

:::::{{grid}} 1 2 2 2
:gutter: 3
:class-container: gallery
{}
:::::
"""
CARD = """
::::{{grid-item-card}} {title}
:link: notebooks/{name}
:link-type: doc
:link-alt: {title}
{image}

{question}

:::{{card-footer}}
{scores}
:::
::::
"""


def parts(lessons: list[Path]) -> dict[str, list[Path]]:
    """Return the lessons of each part that has any."""
    found = {}
    for path in lessons:
        first = max(number for number in PARTS if number <= path.stem[:2])
        found.setdefault(PARTS[first], []).append(path)
    return found


def text(lessons: list[Path]) -> str:
    """Return the gallery as Markdown, with a card for each lesson."""
    return GRID.format("".join(map(_card, lessons)))


def _card(path: Path) -> str:
    lesson, picture = evidence.Lesson(path), site_lessons.title_picture(path)
    image = ""
    if picture:
        image = f":img-top: notebooks/{picture.file}\n:img-alt: {picture.words}\n"
    question = re.search(r"\*\*The question\.\*\* (.+)", lesson.text)
    rest = len(lesson.scores) - SHOWN
    more = f'<p class="rest">and {rest} more</p>\n'
    return CARD.format(
        title=page.title(choice.read_notebook(path), path.stem),
        name=path.stem,
        image=image,
        question=question[1] if question else "",
        scores="".join(map(index.bar, lesson.scores[:SHOWN])) + more * (rest > 0),
    )
