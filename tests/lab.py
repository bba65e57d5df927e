"""A JupyterLab on this machine and a browser that looks at it, for both test stages.

What is done is done as a learner does it: with menus, keys and the mouse. What came of
it is read from what is shown, or from the notebook that JupyterLab holds.
"""

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome"
)  # fmt: skip
MISSING = [name for name in ("playwright", "jupyterlab")
           if importlib.util.find_spec(name) is None]  # fmt: skip
MISSING += [] if BROWSER else ["chromium"]
NEEDED = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
COURSE = "from course_utils.commands.cli import main; main()"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
WIDGET = "application/vnd.jupyter.widget-view+json"
SETTLE = 100  # milliseconds that the page needs to draw what was scrolled to
# The notebook as JupyterLab holds it, saved or not.
MODEL = "() => jupyterapp.shell.currentWidget.model.toJSON()"
PICTURE = """async image => {
    const bytes = await (await fetch(image.src)).arrayBuffer();
    return Array.from(new Uint8Array(bytes)).join() }"""


class Lab(NamedTuple):
    """A server that runs: its address, its token, the folder that it shows."""

    url: str
    token: str
    home: Path

    def at(self, place: str) -> str:
        """Return the address of a page or of an answer of the server."""
        return f"{self.url}/{place}{'&' if '?' in place else '?'}token={self.token}"

    def ask(self, place: str, method: str = "GET"):
        """Ask the server's own interface, as in `ask("api/kernels")`."""
        request = urllib.request.Request(self.at(place), method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")


@contextmanager
def server(home: Path, *lessons: Path, **variables: str):
    """Run `course lab` in a folder of its own with these lessons; kernels are offline.

    The learner's home is new, as on the first day.
    """
    (home / "notebooks").mkdir()
    for path in lessons:
        shutil.copy(path, home / "notebooks")
    place = home / ".jupyter"
    place.mkdir()
    seen = {"LabApp": {"expose_app_in_browser": True}}  # for `Notebook.cells`
    (place / "jupyter_lab_config.json").write_text(json.dumps(seen))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lab = Lab(f"http://127.0.0.1:{port}", secrets.token_hex(16), home)
    blocked = [str(ROOT / "tests" / "no_network"), str(ROOT)]
    own = {name: str(place) for name in ("JUPYTER_CONFIG_DIR", "IPYTHONDIR",
           "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}  # fmt: skip
    own |= {"HOME": str(home), "BROWSER": "true", "OMP_NUM_THREADS": "1"}
    own |= {"JUPYTER_TOKEN": lab.token, "JUPYTER_PORT": str(port)}
    own |= {"PYTHONPATH": os.pathsep.join(blocked)} | variables
    command = [sys.executable, "-c", COURSE, "lab", lessons[0].stem[:2]]
    with (place / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=home,
                                   env=os.environ | own)  # fmt: skip
    try:
        _wait_for(lab, process)
        yield lab
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(lab: Lab, process: subprocess.Popen, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            lab.ask("api")
            return
        except OSError:
            time.sleep(0.2)
    said = (lab.home / ".jupyter" / "log.txt").read_text()[-2000:]
    raise RuntimeError(f"JupyterLab did not start in {seconds} s: {said}")


@contextmanager
def window(lab: Lab, high: int = 2600):
    """Open a browser on the lab; yield a `Notebook` for whatever is opened in it.

    The browser finds no other machine; whom it asks for is in `requested`.
    """
    from playwright.sync_api import sync_playwright

    rules = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=BROWSER,
            args=[*arguments, f"--host-resolver-rules={rules}"],
        )
        context = browser.new_context(viewport={"width": 1300, "height": high})
        context.set_default_timeout(90_000)  # beside other tests
        notebook = Notebook(lab, context.new_page())
        context.on("request", lambda request: notebook.requested.append(request.url))
        notebook.page.on("websocket", lambda line: notebook.requested.append(line.url))
        yield notebook
        browser.close()


class Notebook:
    """The one notebook that is open in the browser's window."""

    def __init__(self, lab: Lab, page):
        self.lab, self.page = lab, page
        self.requested, self.said = [], []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def _hear(self, message) -> None:
        # that a picture cannot be loaded is seen where it is missing
        if message.type == "error" and "Failed to load" not in message.text:
            self.said.append(message.text)

    def open(self, name: str) -> None:
        """Open a lesson in a fresh window, with a fresh kernel."""
        for kernel in self.lab.ask("api/kernels"):
            self.lab.ask(f"api/kernels/{kernel['id']}", "DELETE")
        self.said.clear()
        self.page.goto(self.lab.at(f"lab/tree/notebooks/{name}?reset"))
        self.wait_for_kernel()
        self.page.wait_for_function(
            "count => document.querySelectorAll('.jp-Notebook-cell').length == count",
            arg=len(self.cells()),
        )  # JupyterLab draws what is below the screen when it has time

    def wait_for_kernel(self) -> None:
        """Wait until a kernel is ready: before, a run asks which one is meant."""
        self.page.get_by_text("| Idle").wait_for()

    def menu(self, *names: str) -> None:
        """Choose from the menus, as in `menu("Run", "Run All Cells")`."""
        first, *others = names
        self.page.click(f'.lm-MenuBar-itemLabel:text-is("{first}")')
        for name in others:
            self.page.click(f'.lm-Menu-itemLabel:text-is("{name}")')

    def theme(self, name: str) -> None:
        """Choose one of JupyterLab's themes from the menu."""
        self.menu("Settings", "Theme", name)
        named = f'body[data-jp-theme-name="{name}"]'
        self.page.wait_for_selector(named, state="attached")

    def run_all(self, seconds: float = 30) -> None:
        """Run all cells from the menu and wait until the last one has ended."""
        self.menu("Run", "Run All Cells")
        self.wait_until_run(seconds)

    def wait_until_run(self, seconds: float) -> None:
        """Wait until every cell with code has run."""
        end = time.monotonic() + seconds
        while not all(cell["execution_count"] for cell in self.code()):
            assert time.monotonic() < end, f"it did not end in {seconds} s"
            self.page.wait_for_timeout(500)
        idle = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
        self.page.wait_for_selector(idle)

    def cells(self) -> list[dict]:
        """Return the cells as JupyterLab holds them, outputs included."""
        return self.page.evaluate(MODEL)["cells"]

    def code(self) -> list[dict]:
        """Return the cells with code; empty ones never run."""
        cells = (c for c in self.cells() if c["cell_type"] == "code")
        return [cell for cell in cells if "".join(cell["source"]).strip()]

    def troubles(self) -> list[str]:
        """Return what cells wrote to stderr, and their errors."""
        outputs = (output for cell in self.code() for output in cell["outputs"])
        return [str(output.get("text", output.get("evalue"))) for output in outputs
                if output.get("name") == "stderr"
                or output["output_type"] == "error"]  # fmt: skip

    def scroll(self, top: float) -> float:
        """Scroll the notebook to `top`; return how far one can still go."""
        left = self.page.evaluate(
            """top => { const pane = document.querySelector(
                '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer');
                pane.scrollTop = top;
                return pane.scrollHeight - pane.clientHeight - pane.scrollTop }""",
            top,
        )
        self.page.wait_for_timeout(SETTLE)
        return left

    def walk(self, script: str) -> dict:
        """Scroll from top to bottom; merge what `script` finds on each screen."""
        top, found, height = 0.0, {}, self.page.viewport_size["height"]
        while True:
            left = self.scroll(top)
            found |= self.page.evaluate(script)
            if left < 1:
                return found
            top += 0.9 * height

    def cell(self, number: int):
        """Scroll to a cell and return it."""
        found = self.page.locator(f'[data-windowed-list-index="{number}"]')
        found.scroll_into_view_if_needed()
        return found

    def outputs(self, number: int):
        """Return the outputs of a cell, which is scrolled to."""
        return self.cell(number).locator(".jp-OutputArea-output")

    def find(self, text: str) -> int:
        """Return the number of the one cell that holds a text."""
        sources = ["".join(cell["source"]) for cell in self.cells()]
        [number] = [n for n, source in enumerate(sources) if text in source]
        return number

    def write(self, number: int, text: str) -> None:
        """Put the cursor into a cell and type over what is there."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)

    def strangers(self) -> set[str]:
        """Return the addresses of other machines that were asked for, but the badge."""
        ours = (self.lab.url, self.lab.url.replace("http", "ws", 1))
        local = (*ours, "blob:", "data:", "attachment:", BADGE)
        return {url for url in self.requested if not url.startswith(local)}


def picture(area) -> str:
    """Return the bytes of a widget's picture, so that only a new drawing counts."""
    return area.locator("img.widget-image").first.evaluate(PICTURE)


def paint(button) -> str:
    """Return the colour of a button, such as a square of the canvas."""
    return button.evaluate("e => getComputedStyle(e).backgroundColor")


def turn(control) -> None:
    """Move a slider to its other end, choose another entry of a menu, tick a box."""
    tag = control.evaluate("e => e.tagName")
    if tag == "SELECT":
        names = control.locator("option").all_inner_texts()
        now = control.evaluate("e => e.selectedIndex")
        control.select_option(names[-1] if now < len(names) - 1 else names[0])
    elif tag == "INPUT":
        control.click()
    else:
        now, most = map(control.get_attribute, ("aria-valuenow", "aria-valuemax"))
        control.press("Home" if now == most else "End")


def changes(area, move, seconds: float = 15, look=picture) -> bool:
    """Say whether what is seen in `area` is something else after `move`."""
    before, end = look(area), time.monotonic() + seconds
    move()
    while time.monotonic() < end:
        if look(area) != before:
            return True
        area.page.wait_for_timeout(100)
    return False
