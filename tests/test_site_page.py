"""The website in a real browser, on a desk and on a phone, by day and by night."""

import functools
import http.server
import importlib.util
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup

from course_utils.commands import address, choice, site, slides

ROOT = Path(__file__).resolve().parent.parent
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = ROOT / "slides" / "node_modules" / "axe-core" / "axe.min.js"
MISSING = [x for x in ("myst_nb", "playwright") if importlib.util.find_spec(x) is None]
MISSING += [] if BROWSER else ["chromium"]
MISSING += [] if AXE.is_file() else ["npm ci in slides/"]
pytestmark = [
    pytest.mark.room,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]
LESSONS = [f"notebooks/{path.stem}.html" for path in choice.lessons()]
WRITTEN = [p.name for p in (ROOT / "docs").glob("*.md")] + ["gallery.md", "slides.md"]
WRITTEN += [name for name in (*site.GUIDES, *site.ABOUT) if (ROOT / name).is_file()]
NAMES = sorted([name.replace(".md", ".html") for name in WRITTEN] + LESSONS)
LOOKS = {"desk, by day": (1280, 900, "light"), "phone, by night": (390, 844, "dark")}
BADGES = (address.BADGE, address.BINDER)
# What a picky reader sees on a page: words for each fault.
FAULTS = """() => {
    const faults = [], root = document.documentElement;
    if (root.scrollWidth > innerWidth) faults.push(`${root.scrollWidth} wide`);
    for (const image of document.images) {
        const badge = image.src.startsWith('https:');
        if (!image.naturalWidth && !badge) faults.push(`not loaded: ${image.src}`);
        if (image.alt.trim().length < 5) faults.push(`no words: ${image.src}`);
        if (image.clientWidth > Math.max(image.naturalWidth, 117) && !badge
            && !image.closest('.gallery')) faults.push(`blown up: ${image.src}`);
    }
    for (const number of document.querySelectorAll('.score span, .score strong'))
        if (number.clientHeight > 24 || number.scrollWidth > number.clientWidth + 1)
            faults.push(`broken number: ${number.textContent}`);
    return faults }"""
# axe takes a millisecond for each coloured word of code, and a lesson has thousands: of
# words that look alike in places alike, the first stands for all.
ALIKE = """() => {
    const seen = new Set(), others = [];
    for (const word of document.querySelectorAll('pre span')) {
        const s = getComputedStyle(word), places = [];
        for (let e = word.parentElement; e; e = e.parentElement)
            places.push(e.tagName + e.className + (e.getAttribute('style') || ''));
        const look = [s.color, s.backgroundColor, s.backgroundImage, s.opacity,
            s.fontSize, s.fontWeight, s.display, s.position, ...places].join('|');
        const plain = [...word.attributes].every(x => x.name == 'class');
        if (plain && seen.has(look)) others.push(word);
        seen.add(look);
    }
    for (const word of others) word.replaceWith(...word.childNodes) }"""
RULES = """async () => (await axe.run({resultTypes: ['violations']})).violations
    .filter(x => ['serious', 'critical'].includes(x.impact)
        || x.id == 'landmark-unique')
    .flatMap(x => x.nodes.map(node => `${x.id}: ${node.html.slice(0, 200)}`))"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The website, two folders deep, as on GitHub Pages."""
    return site.website(tmp_path_factory.mktemp("web") / "owner" / "course")


@pytest.fixture(scope="module")
def base(built):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    top = built.parents[1]
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=top)
    )
    server.handle_error = lambda *_: None  # a page that is left early hangs up
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{built.relative_to(top)}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield window
        window.close()


def refused(message):
    """Did the browser refuse something that a page's policy forbids?"""
    return "Content Security Policy" in message.text


@pytest.fixture(params=LOOKS)
def page(request, browser):
    """A page that notes what it asks for, and what it complains about."""
    width, height, scheme = LOOKS[request.param]
    size = {"width": width, "height": height}
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.set_default_timeout(120_000)  # others may be at work on this machine
    page.route(re.compile("^https:"), lambda route: route.abort())
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda x: page.said.append(x.text) if refused(x) else None)
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("response", lambda x: page.said.append(x.url) if x.status >= 400 else None)
    yield page
    page.close()


def test_the_pages_are_those_that_are_looked_at(built):
    decks = {f"slides/{path.stem}.html" for path in slides.decks()}
    there = {path.relative_to(built).as_posix() for path in built.rglob("*.html")}
    assert there - {"search.html"} == decks | set(NAMES)


def broken_rules(page):
    page.evaluate(AXE.read_text("utf-8"))  # no policy forbids what a test does
    page.evaluate(ALIKE)
    return page.evaluate(RULES)


@pytest.mark.parametrize("name", [*NAMES, "search.html"])
def test_a_page_is_whole_asks_nobody_else_and_axe_finds_nothing(name, base, page):
    page.goto(base + name)
    page.wait_for_function("[...document.images].every(image => image.complete)")
    assert page.evaluate(FAULTS) == []
    away = {url for url in page.asked if not url.startswith((base, "data:"))}
    assert not [url for url in away if not url.startswith(BADGES)]
    assert broken_rules(page) == []
    assert page.said == []


@pytest.mark.parametrize("page", list(LOOKS)[:1], indirect=True)
def test_what_a_lesson_prints_cannot_run(base, page):
    page.goto(base + LESSONS[0])
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'owned'";
        document.body.append(script) }""")
    assert page.title() != "owned" and page.said


def links(path):
    soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    for tag in soup.select("[href], [src]"):
        yield tag.get("href") or tag.get("src")


def test_no_link_is_dead(built):
    ids, dead = {}, []
    for name in NAMES:
        for link in set(links(built / name)):
            whole, part = urldefrag(urljoin(f"http://here/{name}", link))
            if urlsplit(whole).netloc != "here" or link.startswith("data:"):
                continue
            path = built / unquote(urlsplit(whole).path).strip("/")
            path = path / "index.html" if path.is_dir() else path
            if path.is_file() and part and path.suffix == ".html":
                text = path.read_text("utf-8")
                ids.setdefault(path, set(re.findall(r'\bid="([^"]+)"', text)))
            if not path.is_file() or part and part not in ids.get(path, {part}):
                dead.append((name, link))
    assert dead == []


@pytest.mark.parametrize("page", list(LOOKS)[1:], indirect=True)
def test_next_leads_through_all_lessons_and_previous_back(base, page):
    page.goto(base + LESSONS[0])
    for name in LESSONS[1:]:
        page.click(".next-page")
        assert page.url == base + name
    for name in LESSONS[-2::-1]:
        page.click(".prev-page")
        assert page.url == base + name


@pytest.mark.parametrize("served", [True, False], ids=["served", "opened as files"])
def test_search_finds_a_word(served, base, built, page):
    page.goto(base if served else (built / "index.html").as_uri())
    if page.viewport_size["width"] < 1000:
        page.click("label[for=__navigation]:visible")
    box = page.locator("input[name=q]")
    box.fill("attention")
    box.press("Enter")
    found = page.locator("#search-results li a", has_text="Change a word")
    found.first.click()
    assert "17_prompt_to_prompt" in page.url


def test_a_lesson_is_folded_where_it_only_sets_up_and_hints_are_closed(base, page):
    page.goto(base + LESSONS[2])
    assert page.locator("details.hide[open]").count() == 0
    assert page.get_by_text("import course_utils").is_hidden()
    page.click("details.hide summary >> nth=0")
    assert page.get_by_text("import course_utils").first.is_visible()
    hint = page.locator("details:not(.hide)").first
    assert hint.get_attribute("open") is None and "Hint" in hint.inner_text()
    assert page.locator("math").count() > 5


def test_the_notebook_that_is_downloaded_is_the_committed_one(base, page):
    page.goto(base + LESSONS[0])
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the notebook").click()
    [path] = choice.lessons(["00"])
    assert Path(waiting.value.path()).read_bytes() == path.read_bytes()
    assert waiting.value.suggested_filename == path.name


def test_animations_arrive_as_they_were_made(base, page):
    page.goto(base + "notebooks/23_text_to_video.html")
    assert page.locator("img[src$='.gif']").count() >= 1


BAD = """<html><body style="background: #fff"><p style="color: #ccc">pale words</p>
<div style="width: 3000px">wide</div>
<div class="score"><span style="display: block; width: 9px">3.1 4</span></div>
<style>.a { color: #222 } .b { color: #bbb }</style>
<pre><span class="a">fine</span> <span class="a">fine</span>
<span class="b">pale 1</span>
<b style="opacity: 0.3"><span class="a">pale 2</span></b>
<span class="a" style="background: #333">pale 3</span>
<span class="a" role="heading">fine</span></pre>
<img src="x.png" alt=""></body></html>"""


def test_a_page_with_faults_is_seen(page):
    page.set_content(BAD)
    told = " ".join(page.evaluate(FAULTS) + broken_rules(page))
    faults = ["wide", "not loaded", "no words", "broken number", "color-contrast"]
    for fault in [*faults, "html-has-lang", "pale words", "pale 1", "pale 2", "pale 3"]:
        assert fault in told, told
