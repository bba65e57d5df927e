"""The page of a run, measured in a real browser: on a phone and on a desk."""

import html
import json
import re
import subprocess

import pytest
from lab import BROWSER

from course_utils.commands import index, page

pytestmark = pytest.mark.skipif(not BROWSER, reason="needs chromium")
SCORES = {
    "coverage": (0.0302, 0.00636, 0.846),
    "seconds_per_picture": (1.94e-5, 0.279, 1.78e-7),
    "a_mean_squared_error_of_a_long_name": (1.48e-5, 2.22e-10, 1.48e-10),
    "readable_until_linear": (-12345.6, -20000, 100000),
}
BOXES = """[...document.querySelectorAll('.score:not(.labels)')].map(score => {
    const text = e => { const range = document.createRange();
        range.selectNodeContents(e); return range.getBoundingClientRect() };
    const ends = box => [box.left, box.right];
    const [floor, ceiling] = score.querySelectorAll('span');
    const name = score.querySelector('b'), value = score.querySelector('strong');
    return {bar: ends(score.querySelector('.bar').getBoundingClientRect()),
            card: ends(score.closest('section').getBoundingClientRect()),
            name: ends(text(name)), value: ends(text(value)), floor: ends(text(floor)),
            ceiling: ends(text(ceiling)), tall: text(value).height,
            lines: text(name).height / parseFloat(getComputedStyle(name).lineHeight)};
})"""


def row(name, scores):
    keys = ("value", "floor", "ceiling")
    rest = {"seeds": 3, "n": 64, "better": "higher"}
    scores = [{"metric": m, **dict(zip(keys, x, strict=True)), **rest}
              for m, x in scores.items()]  # fmt: skip
    said = "UserWarning: " + "a/path/without/any/space" * 9
    return {"title": f"{name} · A lesson whose title is about as long as titles get",
            "run": "quick", "seconds": 248, "peak_mb": 1900, "error": said,
            "warnings": [said], "machine": "Linux", "scores": scores}  # fmt: skip


def measured(folder, code, width, *options):
    """What a JavaScript expression says of the page in a frame of that width."""
    rows = {f"{k:02d}_x": row(f"{k:02d}", SCORES) for k in range(6)}
    ask = f"<script>parent.document.title = JSON.stringify({code})</script></body>"
    text = index.index(rows).replace(page.POLICY, "")  # which would let nobody ask
    shown = html.escape(text.replace("</body>", ask))
    frame = f'<iframe style="width: {width}px; height: 900px" '
    frame += f'srcdoc="{shown}"></iframe>'
    path = folder / "frame.html"
    path.write_text(f"<!doctype html><title></title>{frame}", "utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'profile'}", *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return json.loads(html.unescape(re.search("<title>(.*?)</title>", done.stdout)[1]))


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_crosses_the_page_the_card_or_a_bar(tmp_path, width):
    code = f"[innerWidth, document.documentElement.scrollWidth, {BOXES}]"
    seen, wide, boxes = measured(tmp_path, code, width, "--hide-scrollbars")
    assert seen == wide == width and len(boxes) == 6 * len(SCORES)
    for box in boxes:
        (left, right), (start, end) = box["bar"], box["card"]
        assert start < box["floor"][0] < box["floor"][1] < left < right - 100
        assert right < box["ceiling"][0] < box["ceiling"][1] < end
        assert box["name"][1] <= box["value"][0] < box["value"][1] < end
        assert box["lines"] < 2.5 and box["tall"] < 30
    assert len({tuple(box["bar"]) for box in boxes}) == 1, "the bars are not aligned"


@pytest.mark.parametrize(("scheme", "shade"), [(1, 255), (0, 20)])
def test_the_page_follows_the_theme(tmp_path, scheme, shade):
    code = "getComputedStyle(document.body).backgroundColor"
    option = f"--blink-settings=preferredColorScheme={scheme}"
    assert measured(tmp_path, code, 390, option).startswith(f"rgb({shade}, ")
