"""Decks say only what the lessons' committed runs show; no browser is needed here."""

import re
from pathlib import Path

import pytest

from course_utils import session
from course_utils.commands import evidence, slides

ROOT = Path(__file__).resolve().parent.parent
DECKS = slides.decks()
# Lessons whose deck is still to be written: this list only gets shorter.
WITHOUT: list[str] = []
COURSE = evidence.Lessons()


@pytest.fixture(params=DECKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def parts(path):
    return slides.split(path.read_text("utf-8"))


def visible(slide):
    """What the audience reads as prose: no notes, code, equations or references."""
    for pattern in (r"<!--.*?-->", r"```.*?```", r"\$\$.*?\$\$", r"\$.*?\$", r"`.*?`"):
        slide = re.sub(pattern, " ", slide, flags=re.DOTALL)
    slide = re.sub(r"!\[.*?\]\(.*?\)|\{\{.*?\}\}", " ", slide)
    return re.sub(r"\*\*References\.\*\*.*", " ", slide, flags=re.DOTALL)


def test_every_lesson_has_a_deck_of_the_same_stem():
    lessons = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    decks = {path.stem for path in DECKS} - {"talk"}
    assert decks == lessons - set(WITHOUT)
    assert set(WITHOUT) <= lessons


def test_what_it_takes_from_lessons_is_there(path):
    """A picture, number or cell that no run has any more is an error that names it."""
    filled = slides.deck(path, COURSE)
    assert "figure:" not in filled and "{{" not in re.sub(r"data:\S+", "", filled)


def test_nothing_that_a_run_gives_is_typed_by_hand(parts):
    for slide in parts:
        text = re.sub(r"\b\d\d\.\d\b", " ", visible(slide))  # exercise 05.1
        assert not re.search(r"\d\s?%|\d\.\d|\d\s?(dB|s|seconds)\b", text), text


def test_code_on_a_slide_is_a_cell_of_a_lesson(parts):
    for slide in parts:
        for body in re.findall(r"```python\n(.*?)\n```", slide, re.DOTALL):
            assert re.fullmatch(r'\{\{\d\d code "[^"]+"\}\}', body), body


def test_every_slide_has_notes_that_say_how_long_and_what_to_do(parts):
    for slide in parts:
        said = slides.notes(slide)
        assert re.match(r"\d+(\.5)? min\.\n", said), slide
        assert len(said.split()) >= 15, slide


def test_it_runs_cells_and_asks_questions(path, parts):
    said = "\n".join(map(slides.notes, parts))
    assert said.count("Ask") + said.count("?") >= len(parts) // 2
    assert path.stem == "talk" or len(re.findall(r"\{\{\d\d cell ", said)) >= 4


def test_a_slide_is_one_idea_in_few_words(parts):
    for slide in parts:
        assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", slide, flags=re.DOTALL),
                              re.MULTILINE)) == 1, slide  # fmt: skip
        words = len(re.findall(r"\w+", visible(slide)))
        assert words <= (90 if "credits" in slide else 60), f"{words} words: {slide}"


def test_it_opens_with_a_title_and_closes_with_credits(path, parts):
    number = path.stem[:2]
    assert "_class: lead" in parts[0] and "_class: credits" in parts[-1]
    assert "**References.**" in parts[-1] and "**Pictures:**" in parts[-1]
    if path.stem != "talk":
        assert 8 <= len(parts) <= 13
        assert re.search(rf"^# {number} · ", parts[0], re.MULTILINE)
        assert f"figure:{number}/" in parts[0], "the lesson's picture comes first"


def test_the_words_of_a_picture_that_a_deck_gives_itself_are_words(parts):
    for slide in parts:
        for words, address in re.findall(r"!\[(.*?)\]\((.*?)\)", slide):
            assert re.match(r"(figure|diagram):", address), address
            assert not words or len(words) > 8, "leave it empty: the lesson's are taken"


TALK = (ROOT / "slides" / "talk.md").read_text("utf-8")
SECTIONS = (
    "landscape, good for, GAN, Shortcoming, trilemma, Diffusion, Stable Diffusion, "
    "language model, Illusions, SDEdit, DiffEdit, Imagic, InstructPix2Pix, DreamBooth, "
    "Textual Inversion, ControlNet, solid, move, Lightning, Cascade, Getting started"
)


def test_the_talk_tells_the_whole_story_in_an_hour_and_a_bit():
    titles = " ".join(re.findall(r"^# (.+)$", TALK, re.MULTILINE)).lower()
    assert not [x for x in SECTIONS.lower().split(", ") if x not in titles]
    minutes = re.findall(r"^([\d.]+) min\.$", TALK, re.MULTILINE)
    assert 60 <= sum(map(float, minutes)) <= 75


def test_the_talk_says_what_is_to_come_and_shows_what_is_here():
    lessons = {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}
    coming = re.findall(r"^\*Lessons? (.+) (?:is|are) to come", TALK, re.MULTILINE)
    coming = set(re.findall(r"\d\d", " ".join(coming)))
    assert not coming & lessons, "it is here: show its pictures instead of a diagram"
    shown = set(re.findall(r"figure:(\d\d)", TALK))
    assert lessons == shown, "a lesson has no picture in slides/talk.md"


def test_every_drawing_is_used_and_says_what_it_shows():
    used = set(re.findall(r"diagram:(\w+)", "".join(p.read_text() for p in DECKS)))
    assert all(len(slides._drawn(name)[0]) > 8 for name in used)


def test_recorded_scores_are_read_back_from_what_the_lesson_printed(capsys):
    session.record("99", fid=1.75e-5, floor=35.05, ceiling=0, better="lower", seeds=3)
    ends = dict(floor={"a": 0, "b": -1}, ceiling={"a": 1, "b": 20})
    session.record("99", a=0.5, b=12.25, **ends, seeds=2, n=60)
    fid, a, b = evidence.recorded(capsys.readouterr().out)
    assert fid == dict(metric="fid", value=1.75e-5, floor=35.05, ceiling=0, seeds=3)
    assert a == dict(metric="a", value=0.5, floor=0, ceiling=1, seeds=2, n=60)
    assert b == dict(metric="b", value=12.25, floor=-1, ceiling=20, seeds=2, n=60)


def test_what_is_asked_for_is_put_in_its_place():
    fill = lambda text: slides.fill(text, COURSE)  # noqa: E731
    lesson = COURSE["05"]
    score = lesson.score("readable_until_linear")
    assert fill("{{05.readable_until_linear|.0f}}") == f"{score:.0f}"
    assert fill('{{05 cell "def add_noise"}}').startswith("[")
    assert fill('{{05 code "def add_noise"}}').startswith("def add_noise")
    assert fill("{{05 needs}}").startswith("about ")
    [picture] = [p for p in lesson.pictures if p.words.startswith("The cosine")]
    mime = f"data:{picture.mime};base64,"
    assert fill("![](figure:05/the-cosine)").startswith(f"![{picture.words}]({mime}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{05.fid}}", "records no fid; it records readable_until_linear"),
        ("{{05.readable_until_linear.top}}", "has metric, value, floor, ceiling"),
        ("{{05}}", "{{05}} is not understood: write {{05.metric}}"),
        ("{{99.fid}}", "lesson 99 is not here"),
        ('{{05 says "nobody said this"}}', "prints no number after 'nobody said this'"),
        ('{{05 says "t ="}}', "prints several numbers"),
        ('{{05 cell "nowhere"}}', "exactly one cell with 'nowhere' is wanted"),
        ('{{05 cell "torch"}}', "exactly one cell with 'torch' is wanted"),
        ("![](figure:05/gone)", "exactly one picture gone is wanted, there is none of"),
        ("![](figure:05/the)", "name another, or say more of it"),
        ("![](diagram:gone)", "slides/diagrams.py has no function 'gone'"),
    ],
)
def test_what_no_lesson_has_is_refused_with_the_cure(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        slides.fill(text, COURSE)


def test_the_error_names_the_deck_and_the_slide(tmp_path):
    path = tmp_path / "05_x.md"
    path.write_text("# Fine\n\n---\n\n{{05.gone}}\n")
    with pytest.raises(ValueError, match="05_x.md, slide 2: lesson 05_ddpm_forward"):
        slides.deck(path, COURSE)


@pytest.mark.parametrize("missing", ["node", "marp"])
def test_without_node_or_marp_it_says_what_to_install(missing, monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    which = {"node": lambda name: None, "marp": lambda name: name}
    monkeypatch.setattr(slides.shutil, "which", which[missing])
    said = {"node": "need Node.js 20", "marp": "npm ci --ignore-scripts"}
    with pytest.raises(ValueError, match=said[missing]):
        slides._marp([tmp_path / "x.md"], "html")


def test_marp_and_axe_are_pinned_and_locked():
    import json

    folder = ROOT / "slides"
    package = json.loads((folder / "package.json").read_text())
    wanted = package["dependencies"] | package["devDependencies"]
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in p for name, p in locked.items() if name)
