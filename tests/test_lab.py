"""What a learner sees and does in JupyterLab, in a real browser."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome"
)  # fmt: skip
MISSING = [name for name in ("playwright", "jupyterlab")
           if importlib.util.find_spec(name) is None]  # fmt: skip
MISSING += [] if BROWSER else ["chromium"]
pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]
LESSON = next(Path(__file__).parents[1].glob("notebooks/05_*.ipynb"), None)
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
TOKEN = "only-for-this-test"
CELLS = {
    "picture": """
import time, torch
from course_utils import show
ramp = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
show.grid(ramp, title="From black to white")
""",
    "widget": """
def draw(shift, gain, kind, flip):
    if shift == 5:
        raise ValueError("five is too far")
    x = (ramp.roll(shift, -1) * gain).flip(-2 if flip else 0)
    return show.draw_grid(x if kind == "plain" else -x, title="A ramp")

show.widget(draw, shift=(0, 5, 1, 2), gain=(0.0, 1.0, 0.25, 0.5),
            kind=["plain", "negative"], flip=False)
""",
    "progress": """
def slow():
    for i in range(12):
        time.sleep(0.25)
        yield i

bar = show.progress(slow(), total=12)
for i in bar:
    bar.say(f"loss {1 / (i + 1):.2f}")
""",
    "tables": """
show.compare({"mean": (ramp.mean(), 0.25), "spread": (ramp.std(), 1)},
             columns=("long way", "shortcut"), title="Both ways agree")
show.curve([0, 1, 2], {"one": [0, 1, 4], "two": [0, 2, 3]}, floor=0.5, title="Two")
show.gif([ramp.roll(i, -1) for i in range(8)], title="A ramp that turns")
""",
    "exercise": "",
}
PLACE = {name: place for place, name in enumerate(CELLS)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A JupyterLab with its own home, on a free port of this machine."""
    home = tmp_path_factory.mktemp("home")
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in CELLS.values()]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}),
                   home / "page.ipynb")  # fmt: skip
    if LESSON:
        shutil.copy(LESSON, home / "lesson.ipynb")
    news = {"@jupyterlab/apputils-extension:announcements": True}
    (home / "labconfig").mkdir()
    (home / "labconfig/page_config.json").write_text(
        json.dumps({"disabledExtensions": news})
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"HOME": home, "JUPYTER_CONFIG_DIR": home, "IPYTHONDIR": home,
                 "JUPYTER_DATA_DIR": home, "JUPYTER_RUNTIME_DIR": home,
                 "COURSE_RUN": "quick", "OMP_NUM_THREADS": "1"}  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
               "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
               "--ServerApp.port_retries=0", f"--ServerApp.root_dir={home}",
               f"--IdentityProvider.token={TOKEN}"]  # fmt: skip
    log = (home / "log.txt").open("w")
    process = subprocess.Popen(
        command, stdout=log, stderr=log,
        env=os.environ | {name: str(value) for name, value in variables.items()},
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/api?token={TOKEN}", process)
        yield url, home
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(url: str, process: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start in {seconds} s")


@pytest.fixture(scope="module")
def page(server):
    """The notebook, opened and run from top to bottom."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1300, "height": 2600})
        page.set_default_timeout(30_000)
        page.requested = []
        page.on("request", lambda request: page.requested.append(request.url))
        _open_and_run(page, server, "page.ipynb")
        outputs(page, "tables").locator("img").nth(1).wait_for()
        _wait_idle(page)
        yield page
        browser.close()


def _open_and_run(page, server, name: str) -> None:
    page.goto(f"{server[0]}/lab/tree/{name}?reset&token={TOKEN}")
    page.get_by_text("| Idle").wait_for()  # before, Run asks for a kernel
    page.click('.lm-MenuBar-itemLabel:text-is("Run")')
    page.click('li[data-command="runmenu:run-all"]')


def _wait_idle(page) -> None:
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')


def cell(page, name: str):
    return page.locator(".jp-NotebookPanel .jp-Cell").nth(PLACE[name])


def outputs(page, name: str):
    return cell(page, name).locator(".jp-OutputArea-output")


def picture(page) -> str:
    """The bytes of the widget's picture, so that only a new drawing counts."""
    return page.locator("img.widget-image").first.evaluate(
        """async image => {
            const bytes = await (await fetch(image.src)).arrayBuffer();
            return Array.from(new Uint8Array(bytes)).join();
        }"""
    )


def changes(page, move, seconds: float = 15) -> bool:
    """Whether the widget's picture becomes another one after `move`."""
    before, end = picture(page), time.monotonic() + seconds
    move()
    while time.monotonic() < end:
        if picture(page) != before:
            return True
        page.wait_for_timeout(100)
    return False


def nudge(page, slider: int, key: str) -> None:
    outputs(page, "widget").locator(".noUi-handle").nth(slider).press(key)


def test_every_cell_runs_without_errors_and_warnings(page):
    marks = "application/vnd.jupyter.error", "application/vnd.jupyter.stderr"
    for mark in marks:
        assert page.locator(f'[data-mime-type="{mark}"]').count() == 0


def test_a_slider_of_whole_numbers_redraws_the_picture(page):
    assert changes(page, lambda: nudge(page, 0, "ArrowRight"))


def test_a_slider_of_fractions_redraws_the_picture(page):
    assert changes(page, lambda: nudge(page, 1, "ArrowRight"))


def test_a_menu_redraws_the_picture(page):
    menu = outputs(page, "widget").locator("select")
    assert changes(page, lambda: menu.select_option("negative"))


def test_a_box_to_tick_redraws_the_picture(page):
    box = outputs(page, "widget").locator("input[type=checkbox]")
    assert changes(page, lambda: box.click())


def test_an_error_in_draw_is_a_line_in_the_widget_and_goes_away(page):
    nudge(page, 0, "End")
    line = outputs(page, "widget").get_by_text("ValueError: five is too far")
    line.wait_for()
    assert changes(page, lambda: nudge(page, 0, "Home"))
    line.wait_for(state="detached")


def test_the_progress_bar_ends_as_one_line(page):
    assert outputs(page, "progress").count() == 1
    text = outputs(page, "progress").inner_text().strip()
    assert text.startswith("12 steps, ") and text.endswith(", loss 0.08")


def test_the_progress_bar_moves_while_the_cell_runs(page):
    cell(page, "progress").locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    outputs(page, "progress").get_by_text("of 12").wait_for()
    outputs(page, "progress").get_by_text("12 steps,").wait_for()


def test_pictures_fit_beside_the_prompt(page):
    images = page.locator(".jp-OutputArea-output img")
    assert images.count() == 4
    for i in range(4):
        shown, real = images.nth(i).evaluate("i => [i.clientWidth, i.naturalWidth]")
        assert shown == real > 0


def test_the_table_is_a_table(page):
    table = outputs(page, "tables").locator("table")
    assert table.locator("th").all_inner_texts() == ["", "long way", "shortcut"]
    assert table.locator("tbody tr").count() == 2


@pytest.mark.parametrize(
    "answer, mark",
    [("task.reference", "✓"), ("list(task.mistakes.values())[0]", "✗")],
    ids=["right", "wrong"],
)
def test_an_answer_hears_its_verdict(page, answer, mark):
    code = (
        "from course_utils.check import check, find\n"
        f'task = find("05.1")\ncheck("05.1", {answer})'
    )
    cell(page, "exercise").locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    outputs(page, "exercise").get_by_text(mark).wait_for()


@pytest.mark.skipif(LESSON is None, reason="needs lesson 05")
def test_a_lesson_runs_to_its_end_and_its_widget_moves(page, server):
    _open_and_run(page, server, "lesson.ipynb")
    cells, end = [{}], time.monotonic() + 300
    while not all(cell.get("execution_count") for cell in cells):
        assert time.monotonic() < end, "the lesson did not end in 5 minutes"
        page.wait_for_timeout(2000)
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        cells = [cell for cell in nbformat.read(server[1] / "lesson.ipynb", 4).cells
                 if cell.cell_type == "code"]  # fmt: skip
    kinds = {output.get("name", output.output_type)
             for cell in cells for output in cell.outputs}  # fmt: skip
    assert not kinds & {"error", "stderr"}
    page.locator("img.widget-image").first.scroll_into_view_if_needed()
    handle = page.locator(".noUi-handle").first
    assert changes(page, lambda: handle.press("ArrowLeft"), seconds=30)


def test_no_request_but_for_the_badge_leaves_this_machine(page, server):
    local = (server[0], "blob:", "data:", "attachment:", BADGE)
    strangers = {url for url in page.requested if not url.startswith(local)}
    assert not strangers, strangers
