"""A class without people: students who come, run a lesson cell by cell, and leave.

A hub with the class's own configuration starts on a free port of this machine; what a
student does goes through the student's own server, as it would from a browser.
capacity.py measures with it, tests/test_room_hub.py holds it to the promises.
"""

import asyncio
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

HERE = Path(__file__).resolve().parent
CONFIG = """
load_subconfig({config!r})
c.JupyterHub.hub_port = {hub}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.JupyterHub.log_level = "WARN"
c.JupyterHub.services.append({{"name": "rehearsal", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{
    "name": "rehearsal", "services": ["rehearsal"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "tokens"]}})
{more}
"""


class Hub(NamedTuple):
    """A hub that runs: its address, a token that may do all, its process."""

    url: str
    token: str
    process: subprocess.Popen

    def ask(self, method: str, path: str, content: dict | None = None) -> dict:
        """Ask hub/api/... of the hub, or user/NAME/api/... of a student's server."""
        return json.loads(self.read(method, path, content) or "{}")

    def read(self, method: str, path: str, content: dict | None = None) -> bytes:
        """Ask for any address; RuntimeError with the words of one who says no."""
        data = None if content is None else json.dumps(content).encode()
        head = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(
            f"{self.url}/{path}", data, head, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise RuntimeError(f"{method} {path}: {error.code} {said}") from None


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address that nobody uses at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running_hub(environment: dict[str, str], more: str = ""):
    """Start a hub for the length of the block; yield it.

    `environment` is this process's, with what is to differ; `more` are lines for its
    configuration. The log is `hub.log` in the folder COURSE_HUB_STATE.
    """
    public, hub, proxy = free_ports(3)
    url, token = f"http://127.0.0.1:{public}", secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="course-hub-") as folder:
        config = Path(folder) / "config.py"
        base = str(HERE / "jupyterhub_config.py")
        config.write_text(
            CONFIG.format(config=base, hub=hub, proxy=proxy, token=token, more=more)
        )
        config.chmod(0o600)
        command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
        log = Path(environment["COURSE_HUB_STATE"]) / "hub.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                command, cwd=folder, stdout=out, stderr=out,
                env=environment | {"COURSE_HUB": url},
            )  # fmt: skip
        try:
            running = Hub(url, token, process)
            wait_for(lambda: _answers(running), 120, "the hub", log)
            yield running
        finally:
            process.terminate()
            process.wait(60)


def _answers(hub: Hub) -> bool:
    if hub.process.poll() is not None:
        raise RuntimeError("the hub stopped at its start; see its log")
    try:
        return "version" in hub.ask("GET", "hub/api/")
    except (OSError, RuntimeError):  # no proxy yet, or a proxy without a hub
        return False


def wait_for(fact, seconds: float, what: str, log: Path | None = None) -> None:
    """Wait until `fact()` is true; RuntimeError with the log's end if it never is."""
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            said = log.read_text()[-2000:] if log else ""
            raise RuntimeError(f"{what}: nothing after {seconds:.0f} s\n{said}")
        time.sleep(0.3)


class Visit(NamedTuple):
    """What one student saw: seconds until the server stood, and of the lesson."""

    start: float
    lesson: float
    cells: int


async def visit(hub: Hub, name: str, lesson: Path, size: str = "quick") -> Visit:
    """Come as the student `name`, run all cells of the student's own copy, and leave.

    Raises RuntimeError with the cell that fails.
    """
    began = time.monotonic()
    await asyncio.to_thread(start_server, hub, name)
    stood = time.monotonic()
    path = f"user/{name}/api/contents/notebooks/{lesson.name}"
    own = await asyncio.to_thread(hub.ask, "GET", path)
    cells = [c for c in own["content"]["cells"] if c["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    sources.insert(2, f"run = {size!r}")  # after the cell of the parameters
    start = {"name": "python3", "path": "notebooks"}
    kernel = await asyncio.to_thread(hub.ask, "POST", f"user/{name}/api/kernels", start)
    await run_cells(hub, name, kernel["id"], sources)
    ended = time.monotonic()
    await asyncio.to_thread(stop_server, hub, name)
    return Visit(stood - began, ended - stood, len(cells))


def start_server(hub: Hub, name: str) -> None:
    """Make the student known if need be, start the server, wait until it stands."""
    if not any(user["name"] == name for user in hub.ask("GET", "hub/api/users")):
        hub.ask("POST", f"hub/api/users/{name}")
    hub.ask("POST", f"hub/api/users/{name}/server")
    wait_for(lambda: stands(hub, name), 180, f"the server of {name}")


def stands(hub: Hub, name: str) -> bool:
    """Say whether the student's server is ready."""
    servers = hub.ask("GET", f"hub/api/users/{name}")["servers"]
    return bool(servers.get("", {}).get("ready"))


def stop_server(hub: Hub, name: str) -> None:
    """Stop the student's server, with its kernels."""
    hub.ask("DELETE", f"hub/api/users/{name}/server")
    wait_for(lambda: not hub.ask("GET", f"hub/api/users/{name}")["servers"], 60,
             f"the end of {name}'s server")  # fmt: skip


async def run_cells(hub: Hub, name: str, kernel: str, sources: list[str]) -> None:
    """Run cells one after the other through the student's own server."""
    address = f"ws{hub.url.removeprefix('http')}/user/{name}/api/kernels/{kernel}"
    line = await websocket_connect(
        HTTPRequest(
            f"{address}/channels", headers={"Authorization": f"token {hub.token}"}
        ),
        max_message_size=2**28,
    )
    try:
        for number, source in enumerate(sources):
            said = await _run_cell(line, source)
            if said:
                raise RuntimeError(f"{name}, cell {number}: {said}\n{source[:300]}")
    finally:
        line.close()


async def _run_cell(line, source: str) -> str:
    """Run one cell; return "" or the error that it ended with."""
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "username": "",
              "session": number, "version": "5.3", "date": ""}  # fmt: skip
    content = {"code": source, "silent": False, "store_history": True,
               "user_expressions": {}, "allow_stdin": False}  # fmt: skip
    message = {"header": header, "parent_header": {}, "metadata": {},
               "content": content, "channel": "shell", "buffers": []}  # fmt: skip
    await line.write_message(json.dumps(message))
    while text := await asyncio.wait_for(line.read_message(), 900):
        answer = json.loads(text) if isinstance(text, str) else {}
        if answer.get("parent_header", {}).get("msg_id") != number:
            continue
        if answer["header"]["msg_type"] == "execute_reply":
            what = answer["content"]
            fine = what["status"] == "ok"
            return "" if fine else f"{what.get('ename')}: {what.get('evalue')}"
    return "the kernel died"
