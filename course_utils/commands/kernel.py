"""The kernel a lesson runs in: this very Python, sober threads, memory watched."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec


def _environment(scores: Path) -> dict[str, str]:
    """Return the kernel's environment: threads that are really there, scores on."""
    from course_utils import session  # late: it imports torch

    env = {k: v for k, v in os.environ.items() if k != "COURSE_RUN"}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env.setdefault(name, str(session.threads()))
    env |= {"COURSE_SCORES": str(scores)}
    return env | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def kernel_class(scores: Path, memory: dict) -> type:
    """Return the class of a kernel that writes `scores` and tells `memory` its pid."""
    env = _environment(scores)

    class ThisPython(AsyncKernelManager):
        """A kernel in this very interpreter, whatever kernels are registered."""

        @property
        def kernel_spec(self) -> KernelSpec:
            launch = [sys.executable, "-m", "ipykernel_launcher", "-f"]
            launch.append("{connection_file}")
            return KernelSpec(argv=launch, display_name="Python 3", language="python")

        async def start_kernel(self, **kwargs: Any) -> None:
            quiet = subprocess.DEVNULL  # what a kernel logs is not for the learner
            kwargs |= {"env": env, "stdout": quiet, "stderr": quiet}
            await super().start_kernel(**kwargs)
            memory["pid"] = self.provisioner.pid

    return ThisPython


@contextmanager
def peak_memory() -> Iterator[dict]:
    """Watch the process memory["pid"] from outside; leave memory["peak_mb"]."""
    memory, stop = {"pid": None, "peak_mb": 0.0}, threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            if memory["pid"]:
                memory["peak_mb"] = max(memory["peak_mb"], _used_mb(memory["pid"]))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def _used_mb(pid: int) -> float:
    try:
        kernel = psutil.Process(pid)
        family = [kernel, *kernel.children(recursive=True)]
        now = sum(process.memory_info().rss for process in family)
        status = Path(f"/proc/{pid}/status")  # Linux keeps the exact peak itself
        text = status.read_text() if status.exists() else ""
        peak = re.search(r"VmHWM:\s+(\d+) kB", text)
        return max(now, int(peak[1]) * 1024 if peak else 0) / 1e6
    except (psutil.Error, OSError):
        return 0.0
