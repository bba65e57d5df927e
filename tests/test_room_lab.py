"""Lessons in JupyterLab, in a real browser: opened, run, moved, typed, dark and light.

A lesson that joins the course joins here. Run by `make test-room`; how single outputs
and widgets behave is in test_lab.py.
"""

import re

import lab
import nbformat
import pytest

from course_utils.commands import choice

pytestmark = [pytest.mark.room, pytest.mark.timeout(900), lab.NEEDED]
LESSONS = sorted((lab.ROOT / "notebooks").glob("*.ipynb"))
# A GAN, a diffusion model from scratch, an editor, a control; and what they move.
LIVE = {"02": ["knobs"], "06": ["knobs"], "14": ["knobs"], "21": ["canvas", "button"]}
KNOBS = ".noUi-handle, select, input[type=checkbox]"

# What is wrong with the cells on the screen, in words: {number of the cell: [words]}.
FAULTS = r"""() => {
    const found = {}, panel = document.querySelector(
        '.jp-NotebookPanel:not(.lm-mod-hidden)');
    const screen = panel.querySelector('.jp-WindowedPanel-outer')
        .getBoundingClientRect();
    const rgba = text => { const n = text.match(/[\d.]+/g).map(Number);
        return n.length > 3 ? n : [...n, 1] };
    const over = (top, under) => top.slice(0, 3).map(
        (c, k) => c * top[3] + under[k] * (1 - top[3]));
    const back = e => { const sheets = [];
        for (; e; e = e.parentElement)
            sheets.push(rgba(getComputedStyle(e).backgroundColor));
        return sheets.reverse().reduce((under, top) => over(top, under),
            [255, 255, 255]) };
    const light = c => { const [r, g, b] = c.map(x => x / 255).map(
        x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b };
    const contrast = e => { const under = back(e),
        ink = over(rgba(getComputedStyle(e).color), under),
        [a, b] = [light(ink), light(under)].sort((x, y) => x - y);
        return (b + 0.05) / (a + 0.05) };
    const clear = image => { // the share of it that the page shines through
        const paper = document.createElement('canvas').getContext('2d');
        [paper.canvas.width, paper.canvas.height] = [64, 64];
        paper.drawImage(image, 0, 0, 64, 64);
        const all = paper.getImageData(0, 0, 64, 64).data;
        return all.filter((x, k) => k % 4 == 3 && x < 128).length / 4096 };
    for (const cell of panel.querySelectorAll('.jp-Cell')) {
        const place = cell.getBoundingClientRect();
        if (place.bottom < screen.top || place.top > screen.bottom) continue;
        const faults = found[cell.dataset.windowedListIndex] = [];
        const say = text => faults.push(text);
        for (const image of cell.querySelectorAll('img')) {
            if (image.src.startsWith('https://colab.')) continue;
            if (!image.complete || !image.naturalWidth) say('a picture is not there');
            else if (clear(image) > 0.05) say(`see-through: ${image.alt}`);
        }
        if (cell.querySelector('mjx-merror, [data-mjx-error]')) say('an equation');
        const ours = '.jp-OutputArea-output *, .jp-RenderedMarkdown *';
        for (const e of cell.querySelectorAll(ours)) {
            const own = [...e.childNodes].some(
                n => n.nodeType == 3 && n.textContent.trim());
            if (!own || !e.offsetParent || e.closest('mjx-container, .jp-Toolbar'))
                continue;
            const value = contrast(e);
            if (value < 4.5) say(`${value.toFixed(1)}: ${e.textContent.slice(0, 60)}`);
        }
    }
    return found }"""


def path_of(number):
    return choice.lessons([number])[0]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A JupyterLab with the course's lessons, and a browser in front of it."""
    home = tmp_path_factory.mktemp("room")
    with lab.server(home, *LESSONS, COURSE_RUN="quick") as server:
        with lab.window(server) as room:
            yield room


def faults(room):
    """What is wrong with the open notebook, cell by cell; every cell must be seen."""
    found = {int(number): said for number, said in room.walk(FAULTS).items()}
    assert sorted(found) == list(range(len(room.cells())))
    return {number: said for number, said in found.items() if said}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_opens_whole_and_can_be_read_in_light_and_dark(path, room):
    room.open(path.name)
    room.theme("JupyterLab Light")
    assert len(room.cells()) == len(nbformat.read(path, 4).cells)
    assert room.troubles() == []
    assert faults(room) == {}
    room.theme("JupyterLab Dark")
    assert faults(room) == {}
    assert room.said == []


PALE = """
from IPython.display import HTML, display
from PIL import Image
display(HTML('<p style="color:#333">dark on dark</p>'))
display(HTML('<p style="color:#ddd">light on light</p>'))
display(Image.new("RGBA", (64, 64), (0, 0, 0, 60)))
"""


def test_pale_words_and_pictures_without_paper_are_seen(room):
    """What the test above looks for is found where it is."""
    cells = [nbformat.v4.new_code_cell(PALE.strip()),
             nbformat.v4.new_markdown_cell("![lost](attachment:lost.png)")]  # fmt: skip
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nb = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    nbformat.write(nb, room.lab.home / "notebooks" / "pale.ipynb")
    room.open("pale.ipynb")
    room.theme("JupyterLab Light")
    room.run_all()
    (picture, words), lost = faults(room).values()
    assert words.endswith(": light on light") and picture.startswith("see-through")
    assert lost == ["a picture is not there"]
    room.theme("JupyterLab Dark")
    assert faults(room)[0][-1].endswith(": dark on dark")


def move_all(room):
    """Move all that a lesson has to move; yield the kinds: what is seen must change."""
    for number, cell in enumerate(room.cells()):
        shown = (output.get("data", {}) for output in cell.get("outputs", []))
        if not any(lab.WIDGET in data for data in shown):
            continue
        area = room.outputs(number)
        area.locator(".jupyter-widgets").first.wait_for()
        knobs, buttons = area.locator(KNOBS).all(), area.locator("button")
        if not area.locator("img.widget-image").count():
            corner = buttons.first
            assert lab.changes(corner, corner.click, 20, lab.paint), "the canvas"
            yield "canvas"
        elif buttons.count():
            for knob in knobs:
                lab.turn(knob)
            assert lab.changes(area, buttons.first.click, 200), cell["source"]
            yield "button"
        else:
            for knob in knobs:
                turned = lab.changes(area, lambda knob=knob: lab.turn(knob), 60)
                assert turned, (knob, cell["source"])
            yield "knobs"


@pytest.mark.parametrize("number", LIVE)
def test_a_lesson_runs_to_its_end_and_all_that_moves_moves(number, room):
    room.open(path_of(number).name)
    room.theme("JupyterLab Light")
    room.run_all(600)
    assert room.troubles() == []
    assert list(move_all(room)) == LIVE[number]
    assert faults(room) == {}
    room.theme("JupyterLab Dark")
    assert faults(room) == {}
    assert room.troubles() == [] == room.said


WRONG = """
    bar = schedule.alpha_bar[t].view(-1, 1, 1, 1)
    return x_t - (1 - bar) ** 0.5 * noise
"""


def test_an_answer_typed_into_a_lesson_hears_what_is_wrong_and_then_that_it_is_right(
    room,
):
    room.open(path_of("05").name)
    room.run_all(120)
    assert room.troubles() == []
    number = room.find('check("05.1"')
    stub = "".join(room.cells()[number]["source"])
    for answer, verdict in (
        (WRONG, "✗ 05.1 wrong: Close, but your answer is too small by the factor"),
        (WRONG.replace("noise", "noise) / bar**0.5").replace("x_t -", "(x_t -"),
         "✓ 05.1 right"),
    ):  # fmt: skip
        room.write(number, stub.replace("    ...", answer.strip("\n")))
        room.page.keyboard.press("Control+Enter")
        room.outputs(number).get_by_text(verdict).wait_for()
    hint = room.cell(number + 1).locator(".jp-RenderedMarkdown")
    assert not hint.get_by_text("Solve it for").is_visible()
    hint.get_by_text("Hint").click()
    assert hint.get_by_text("Solve it for").is_visible()


def test_the_printed_address_opens_the_lesson_and_asks_nothing(room):
    """What somebody without a browser on that machine copies from the terminal."""
    log = (room.lab.home / ".jupyter" / "log.txt").read_text("utf-8")
    [address, *_] = re.findall(r"http://127\.0\.0\.1:\S+token=\S+", log)
    room.page.goto(address.replace("...", room.lab.token))
    title = room.page.locator(".lm-DockPanel .lm-mod-current .lm-TabBar-tabLabel")
    title.get_by_text(path_of("00").name).wait_for()
    room.wait_for_kernel()
    room.page.wait_for_timeout(3000)  # JupyterLab asks a while after it has started
    asked = room.page.locator(".jp-Dialog, .Toastify__toast")
    assert asked.all_inner_texts() == []
    log = (room.lab.home / ".jupyter" / "log.txt").read_text("utf-8")
    assert "Kernel started" in log
    assert not re.search("without encryption|non-installed|not recognized", log)


def test_a_lesson_needs_no_mouse(room):
    """Opened, run cell by cell, its knob reached and turned, all with keys."""
    keys, page = room.page.keyboard, room.page
    page.goto(room.lab.at("lab?reset"))
    page.wait_for_selector(".jp-Launcher")
    keys.press("Control+Shift+c")
    keys.type("Open from Path")
    page.get_by_role("option", name="Open from Path").or_(
        page.locator(".lm-CommandPalette-item.lm-mod-active")
    ).first.wait_for()
    keys.press("Enter")
    page.wait_for_selector(".jp-Dialog")
    keys.type(f"notebooks/{path_of('00').name}")
    keys.press("Enter")
    room.wait_for_kernel()
    for _ in room.cells():
        keys.press("Shift+Enter")
    room.wait_until_run(120)
    assert room.troubles() == []
    number, last = room.find("show.widget("), len(room.cells())
    keys.press("Escape")
    for _ in range(last - number):
        keys.press("ArrowUp")
    area, focus = room.outputs(number), "e => e.contains(document.activeElement)"
    handle = area.locator(".noUi-handle").first
    for _ in range(20):
        if handle.evaluate(focus):
            break
        keys.press("Tab")
    assert handle.evaluate(focus), "Tab does not reach the slider"
    assert lab.changes(area, lambda: keys.press("ArrowRight"), 30)


def test_no_request_has_left_this_machine(room):
    """After all of the above."""
    assert len(room.requested) > 100 and not room.strangers()
