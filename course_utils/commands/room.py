"""What the doctor looks at before a class: one laptop of it, or a server for all.

Nothing heavy is imported up here, as in `findings`.
"""

import importlib.util
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from course_utils.commands import bundle, choice, costs, findings
from course_utils.commands.findings import Finding

# Measured by deploy/capacity.py: what is not a lesson's kernel, in MB.
HUB_MB = 300
SERVER_MB = 200
BROWSER_MB = 1000  # on a laptop, a browser with JupyterLab and the slides
INSTALLED_GB = 3  # the environment with torch for the CPU, and pages
HOME_GB = 0.2  # a student's notebooks with outputs, models put together
COMPUTE = 3  # of so many students, one computes at any moment; the others read


def looks(students: int) -> list[Callable[[], Iterator[Finding]]]:
    """Return what to look at: for 1, a laptop in the room; for more, a server."""
    if students < 1:
        raise ValueError(f"--class takes a number of students, 1 or more: {students}")
    both = [see_start, partial(see_room, students), partial(see_space, students)]
    if students == 1:
        return [*both, see_bundle, see_slides]
    return [*both, partial(see_cores, students), see_hub, see_ports]


def needs_mb(students: int) -> float:
    """Return the memory in MB that takes the heaviest lesson, one open for each."""
    paths = choice.lessons()
    heaviest = max(costs.of(path).peak_mb for path in paths)
    if students == 1:
        return heaviest + SERVER_MB + BROWSER_MB
    return HUB_MB + students * (heaviest + SERVER_MB)


def see_start() -> Iterator[Finding]:
    """Start a kernel, as a notebook does, and let it import what lessons import."""
    from jupyter_client.manager import start_new_kernel

    began, quiet = time.monotonic(), subprocess.DEVNULL
    manager, client = start_new_kernel(
        kernel_name="python3", startup_timeout=120, stdout=quiet, stderr=quiet
    )
    try:
        words = "import torch, diffusers; from course_utils import models"
        reply = client.execute_interactive(
            words, timeout=180, output_hook=lambda _: None
        )["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    took = time.monotonic() - began
    if reply["status"] != "ok":
        said = f"a kernel starts, but: {reply['ename']}: {reply['evalue']}"
        yield Finding("start", said, "mend the packages first")
        return
    slow = "the first start after a boot is slow: start one before the class"
    yield Finding(
        "start", f"a kernel with the course in {took:.0f} s", slow if took > 60 else ""
    )


def see_room(students: int) -> Iterator[Finding]:
    """Compare the memory of this machine with what the class takes."""
    need, free = needs_mb(students) / 1000, findings.free_memory() / 1000
    who = "one student" if students == 1 else f"{students} students"
    said = f"{free:.1f} GB free; {who} in the heaviest lesson: {need:.1f} GB"
    cure = "close programs; at size quick lessons take less"
    if students > 1:
        each = (needs_mb(students) - HUB_MB) / students / 1000
        fit = max(0, int((free - HUB_MB / 1000) / each))
        cure = f"it holds {fit}: take a larger server, or two (deploy/capacity.md)"
    yield Finding("room", said, cure if need > free else "")


def see_space(students: int) -> Iterator[Finding]:
    """Look at the disk: what is installed, and the homes of all."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    need = INSTALLED_GB + (students * HOME_GB if students > 1 else 0)
    cure = "free some space before the class" if free < need else ""
    yield Finding("space", f"{free:.0f} GB free; needs {need:.0f} GB", cure)


def see_cores(students: int) -> Iterator[Finding]:
    """Say how long a class waits for the cores."""
    from course_utils import session

    cores = session.cores()
    wait = max(1.0, students / cores)
    said = f"{cores}; if all press Run at once, a lesson takes {wait:.0f} times as long"
    enough = math.ceil(students / COMPUTE)
    cure = f"{enough} cores serve {students} students who also read"
    yield Finding("cores", said, cure if cores < enough else "")


def see_hub() -> Iterator[Finding]:
    """Look whether JupyterHub, its proxy and the culler are there."""
    names = ("jupyterhub", "jupyterhub_idle_culler", "jupyterlab")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    try:
        modules = choice.root() / "deploy" / "node_modules"
        local = (modules / ".bin" / "configurable-http-proxy").exists()
    except ValueError:
        local = False
    if not (local or shutil.which("configurable-http-proxy")):
        missing.append("configurable-http-proxy")
    missing += [] if shutil.which("node") else ["node"]
    if sys.platform == "win32":
        missing.append("Linux, on which JupyterHub runs")
    cure = "make hub-setup (deploy/README.md)" if missing else ""
    yield Finding("hub", f"missing: {', '.join(missing)}" if missing else "there", cure)


def see_ports() -> Iterator[Finding]:
    """Look whether the hub's ports are free: its own, its proxy's, its door."""
    taken = [port for port in (8000, 8001, 8081) if not _free(port)]
    cure = "stop what listens there, such as another hub" if taken else ""
    said = f"taken: {', '.join(map(str, taken))}" if taken else "8000 8001 8081 free"
    yield Finding("ports", said, cure)


def _free(port: int) -> bool:
    with socket.socket() as door:
        if os.name == "posix":  # else a port that was just left looks taken
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def see_bundle() -> Iterator[Finding]:
    """Compare the bundle, this folder or build/bundle, with its list."""
    root = choice.root()
    places = [Path.cwd(), root, root / "build" / "bundle"]
    found = [p for p in places if (p / bundle.LISTING).is_file()]
    if not found and not (places[-1] / "wheels").is_dir():
        yield Finding("bundle", "none", "course bundle, if the network may fail")
        return
    folder = (found or places[-1:])[0]
    if wrong := bundle.problem(folder):
        yield Finding("bundle", wrong, f"course bundle {os.path.relpath(folder)}")
        return
    files = json.loads((folder / bundle.LISTING).read_text("utf-8"))["files"]
    yield Finding("bundle", f"{folder}: {len(files)} files, hashes right")


def see_slides() -> Iterator[Finding]:
    """Say whether the slides are at hand."""
    root = choice.root()
    for folder in (root / "build" / "slides", root / "slides"):
        if decks := list(folder.glob("*.html")):
            yield Finding("slides", f"{len(decks)} decks in {folder}")
            return
    yield Finding("slides", "not built")
