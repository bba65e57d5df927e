"""The decks in a real browser: nothing is asked for, cut off, missing or pale."""

import contextlib
import re
import zipfile
import zlib
from pathlib import Path

import pytest
from lab import BROWSER

from course_utils.commands import slides

ROOT = Path(__file__).resolve().parent.parent
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
def pages(tmp_path_factory):
    """All decks as HTML: {stem: path}."""
    folder = tmp_path_factory.mktemp("slides")
    return {path.stem: path for path in slides.typeset((), ["html"], folder)}


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


def unpacked(pdf):
    """All that a PDF says of its pages: its objects are packed in streams."""
    said = b""
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        with contextlib.suppress(zlib.error):  # a picture is packed in another way
            said += zlib.decompressobj().decompress(stream)
    return said


def test_pdf_and_pptx_have_a_page_a_slide_and_notes(tmp_path):
    pdf, pptx = slides.typeset(["05"], ["pdf", "pptx"], tmp_path)
    count = len(slides.split((ROOT / "slides" / "05_ddpm_forward.md").read_text()))
    said = unpacked(pdf.read_bytes())
    assert len(re.findall(rb"/Type\s*/Page\b", said)) == count
    assert len(re.findall(rb"/Subtype\s*/Text\b", said)) == count, "notes"
    names = zipfile.ZipFile(pptx).namelist()
    for part in ("slides/slide", "notesSlides/notesSlide"):
        assert len([x for x in names if re.search(rf"{part}\d+\.xml$", x)]) == count
