"""The talk's systems in the README: each with its lesson and that lesson's number."""

import re
from pathlib import Path

import pytest

from course_utils.commands import choice, guide, systems

README = (Path(__file__).resolve().parent.parent / "README.md").read_text("utf-8")
TALK = (Path(__file__).resolve().parent.parent / "slides" / "talk.md").read_text(
    "utf-8"
)


def test_the_readme_has_the_numbers_that_the_lessons_have_now():
    assert "<!-- systems -->" in README
    assert guide.refreshed(README) == README, "stale: python -c 'from course_utils." \
        "commands import guide; guide.refresh()'"  # fmt: skip


def test_every_lesson_that_makes_a_system_of_the_talk_work_has_a_row():
    named = [systems.lesson_of(measured) for *_, measured in systems.SYSTEMS]
    assert named == sorted(named)
    # 00, 01, 05 and 27 take no system as theirs: tools, a tour, half of DDPM, downloads
    rest = {path.stem[:2] for path in choice.lessons()} - {*named}
    assert rest == {"00", "01", "05", "27"}


def test_every_sentence_holds_a_number_of_its_lesson():
    for row in systems.systems_table().splitlines()[2:]:
        system, paper, link, said = re.split(r" *\| *", row)[1:-1]
        assert re.search(r"\d", said) and "{{" not in said, system
        assert re.search(r" (19|20)\d\d$", paper), system
        assert re.fullmatch(r"\[(\d\d)\]\(notebooks/\1_\w+\.ipynb\)", link), system


def test_a_sentence_about_two_lessons_or_none_is_refused():
    for wrong in ("{{05.a}} and {{06.b}}", "nothing measured"):
        with pytest.raises(ValueError, match="exactly one lesson"):
            systems.lesson_of(wrong)


def test_the_methods_that_the_talk_names_are_in_the_table():
    known = " ".join(system for system, *_ in systems.SYSTEMS)
    for name in ("SRGAN", "pix2pix", "GAN-INT-CLS", "iGAN", "DDIM", "DPM-Solver++",
                 "SDEdit", "DiffEdit", "Imagic", "Prompt-to-Prompt", "InstructPix2Pix",
                 "DreamBooth", "Textual Inversion", "ControlNet", "DreamFusion",
                 "PixelDance", "MagicAnimate", "SDXL-Lightning", "Visual Anagrams",
                 "Diffusion Illusions", "Zeroscope"):  # fmt: skip
        assert name in TALK and name in known, name
