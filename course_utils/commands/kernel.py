"""The kernel a lesson runs in: this very Python, sober threads, seen from outside."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import zmq
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec


@contextmanager
def looking(look: Callable[[], None], every: float = 0.5) -> Iterator[None]:
    """Call `look` again and again, every so many seconds, as long as the block runs."""
    stop = threading.Event()

    def again() -> None:
        while not stop.wait(every):
            look()

    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Watch:
    """One lesson as it is seen from outside while it runs: memory, cell, a way to end.

    `peak_mb` is the most memory that the kernel and its child processes have held,
    `cell` of `cells` the one that runs, from 1, `ended` whether `end` was called.
    """

    def __init__(self):
        """Watch a kernel whose `pid` is not known yet."""
        self.pid: int | None = None
        self.log: Path | None = None
        self.peak_mb = 0.0
        self.cell = self.cells = 0
        self.ended = False

    def starts(self, cell: Any, cell_index: int) -> None:
        """Hear of each cell before it runs."""
        self.cell = cell_index + 1

    def look(self) -> None:
        """Look once: Linux and Windows keep the exact peak of a process themselves."""
        if self.pid:
            self.peak_mb = max(self.peak_mb, _used_mb(self.pid))

    def last_words(self) -> str:
        """Return the last line that the kernel itself wrote to its stderr."""
        text = self.log.read_text("utf-8", "replace") if self.log else ""
        return next(iter(text.strip().splitlines()[::-1]), "")

    def end(self) -> None:
        """Kill the kernel with its child processes; one that is about to start too."""
        self.ended = True
        with suppress(psutil.Error):
            if self.pid:
                kernel = psutil.Process(self.pid)
                for process in [*kernel.children(recursive=True), kernel]:
                    with suppress(psutil.Error):
                        process.kill()


def _used_mb(pid: int) -> float:
    try:
        kernel = psutil.Process(pid)
        memory = kernel.memory_info()
        now = sum(p.memory_info().rss for p in kernel.children(recursive=True))
        status = Path(f"/proc/{pid}/status")
        text = status.read_text() if status.exists() else ""
        linux = re.search(r"VmHWM:\s+(\d+) kB", text)
        peak = int(linux[1]) * 1024 if linux else getattr(memory, "peak_wset", 0)
        return max(now + memory.rss, peak) / 1e6
    except (psutil.Error, OSError):
        return 0.0


def _environment(work: Path, threads: int) -> dict[str, str]:
    """Return the kernel's environment: threads that are really there, notes on."""
    env = {k: v for k, v in os.environ.items() if k != "COURSE_RUN"}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env.setdefault(name, str(threads))
    env |= {name: str(work) for name in ("TMPDIR", "TEMP", "TMP")}
    env |= {"COURSE_SCORES": str(work / "scores.jsonl")}
    env |= {"COURSE_CLAIMS": str(work / "claims.jsonl")}
    env |= {"COURSE_WEIGHTS": str(work / "weights.txt")}
    env |= {"COURSE_PROGRESS": "off"}  # the runner's answers are no learner's
    return env | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _sockets_in(work: Path) -> bool:
    """Can the kernel be spoken to through files in `work`?

    Two kernels that start at once may be given the same free port, and one of them then
    dies: files have names of their own. Windows has none, and a system allows a short
    path only (104 bytes on macOS, with "-5" after it).
    """
    return zmq.has("ipc") and os.name == "posix" and len(bytes(work / "kernel")) < 100


def kernel_class(work: Path, cwd: Path, watch: Watch, threads: int) -> type:
    """Return the class of a kernel that runs in `cwd` and tells `watch` its number.

    `work` is a folder for its notes (scores.jsonl and others) and for all temporary
    files of the lesson, so that they go when the folder goes.
    """
    env = _environment(work, threads)

    class ThisPython(AsyncKernelManager):
        """A kernel in this very interpreter, whatever kernels are registered."""

        @property
        def kernel_spec(self) -> KernelSpec:
            launch = [sys.executable, "-m", "ipykernel_launcher", "-f"]
            launch.append("{connection_file}")
            return KernelSpec(argv=launch, display_name="Python 3", language="python")

        async def start_kernel(self, **kwargs: Any) -> None:
            self.connection_file = str(work / "kernel.json")  # goes with the folder
            if _sockets_in(work):
                self.transport, self.ip = "ipc", str(work / "kernel")
            kwargs |= {"env": env, "stdout": subprocess.DEVNULL, "cwd": str(cwd)}
            watch.log = work / "kernel.log"
            with watch.log.open("wb") as log:  # read only if the kernel dies
                await super().start_kernel(**kwargs, stderr=log)
            watch.pid = self.provisioner.pid
            if watch.ended:
                watch.end()

    return ThisPython
