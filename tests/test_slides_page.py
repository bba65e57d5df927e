"""The decks in a real browser: nothing is asked for, cut off, missing or pale."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.commands import slides

ROOT = Path(__file__).resolve().parent.parent
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
MARP = ROOT / "slides" / "node_modules" / "@marp-team" / "marp-cli"
pytestmark = [
    pytest.mark.skipif(not BROWSER, reason="needs chromium"),
    pytest.mark.skipif(not MARP.is_dir(), reason="needs npm ci in slides/"),
]
# Every slide, wherever the page shows it: what is wrong with it, in words.
FAULTS = """() => [...document.querySelectorAll('section[id]')].flatMap((slide, k) => {
    const faults = [], say = text => faults.push(`slide ${k + 1}: ${text}`);
    const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(x => x / 255).map(
        x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b };
    if (slide.scrollHeight > slide.clientHeight) say(`${slide.scrollHeight} high`);
    if (slide.scrollWidth > slide.clientWidth) say(`${slide.scrollWidth} wide`);
    for (const box of slide.querySelectorAll('pre, td, li, p, h1'))
        if (box.scrollWidth > box.clientWidth + 1) say(`cut off: ${box.textContent}`);
    for (const image of slide.querySelectorAll('img')) {
        if (!image.naturalWidth) say('a picture is not loaded');
        if (image.alt.length < 9) say(`alt: ${image.alt}`);
        if (image.clientHeight < 150) say(`${image.clientHeight} high: ${image.alt}`);
    }
    const back = e => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)|transparent/.test(c)) return c } return 'rgb(255, 255, 255)' };
    const words = 'h1, h2, p, li, td, th, code, em, strong, a, code span';
    for (const e of slide.querySelectorAll(words)) {
        if (!e.textContent.trim()) continue;
        const both = [getComputedStyle(e).color, back(e)].map(light);
        const [a, b] = both.sort((x, y) => x - y);
        if ((b + 0.05) / (a + 0.05) < 4.5) say(`pale: ${e.textContent}`);
    }
    return faults })"""


@pytest.fixture(scope="module")
def pages():
    """All decks as HTML: {stem: path}."""
    return {path.stem: path for path in slides.typeset(kinds=["html"])}


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as play:
        window = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield window
        window.close()


@pytest.mark.parametrize("stem", [path.stem for path in slides.decks()])
def test_a_deck_opens_alone_and_every_slide_is_whole(stem, pages, browser):
    page, asked, said = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda x: said.append(x.text) if x.type == "error" else None)
    page.goto(pages[stem].as_uri())
    page.wait_for_function("[...document.images].every(image => image.complete)")
    deck = (ROOT / "slides" / f"{stem}.md").read_text("utf-8")
    assert page.locator("section[id]").count() == len(slides.split(deck))
    assert page.evaluate(FAULTS) == []
    assert page.locator("mjx-container, svg").count() >= deck.count("$$") // 2
    assert page.evaluate("document.documentElement.lang") == "en"
    away = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert not away and not said
    page.close()


BAD = """# Fine

---

<!-- _color: "#c0d0e0" -->

# Bad

- line
- line
- line
- line
- line
- line
- line
- line
- line
- line
- line
- line

![](data:image/png;base64,xxxx)
"""


def test_a_slide_that_is_cut_off_pale_or_without_its_picture_is_seen(tmp_path, browser):
    path = tmp_path / "bad.md"
    path.write_text(slides.HEADER.format(title="bad") + BAD)
    slides._marp([path], "html")
    page = browser.new_page()
    page.goto(path.with_suffix(".html").as_uri())
    page.wait_for_function("[...document.images].every(image => image.complete)")
    told = " ".join(page.evaluate(FAULTS))
    assert "slide 1" not in told
    for fault in (" high", ": pale: line", ": a picture is not loaded", ": alt: "):
        assert fault in told, told
    page.close()


def test_the_speaker_reads_the_notes(pages):
    text = next(iter(pages.values())).read_text("utf-8")
    assert len(re.findall(r"class=\"bespoke-marp-note\"", text)) >= 8


def test_pdf_and_pptx_have_a_page_a_slide(tmp_path):
    files = slides.typeset(["05"], kinds=["pdf", "pptx"])
    assert [path.suffix for path in files] == [".pdf", ".pptx"]
    assert all(path.stat().st_size > 50_000 for path in files)
    count = len(slides.split((ROOT / "slides" / "05_ddpm_forward.md").read_text()))
    assert len(re.findall(rb"/Type /Page\b", files[0].read_bytes())) in (0, count)
    command = [sys.executable, "-m", "zipfile", "-l", str(files[1])]
    listed = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert len(set(re.findall(r"ppt/slides/slide\d+\.xml", listed.stdout))) == count
    assert "notesSlide1.xml" in listed.stdout
