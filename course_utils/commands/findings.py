"""What the doctor looks at, each a generator of findings.

Nothing heavy is imported up here: this must work where torch does not.
"""

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

INSTALL = "pip install -c constraints.txt -e ."
DISTRIBUTION = "generative-vision-course"


class Finding(NamedTuple):
    """One thing that was looked at; without a `cure` it is fine."""

    what: str
    said: str
    cure: str = ""


def see_python() -> Iterator[Finding]:
    """Look at the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < (3, 11)
    yield Finding("python", version, "install Python 3.11 or newer" if old else "")


def see_packages() -> Iterator[Finding]:
    """Compare what is installed with the floors of pyproject.toml."""
    from packaging.requirements import Requirement

    try:
        needs = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        yield Finding("packages", "the course itself is not installed", INSTALL)
        return
    met = []
    for need in (need for need in needs if need.marker is None):
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            yield Finding(need.name, f"missing; needs {need}", INSTALL)
            continue
        if need.specifier.contains(version, prereleases=True):
            met.append(f"{need.name} {version}")
        else:
            cure = f"pip install '{need}'"
            yield Finding(need.name, f"{version}; needs {need.specifier}", cure)
    shown = [m for m in met if m.split()[0] in ("torch", "diffusers", "transformers")]
    said = f"{len(met)} at or above their floors: {', '.join(shown)}"
    yield Finding("packages", said)


def see_torch() -> Iterator[Finding]:
    """Import torch for real: a wheel for another machine fails only here."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # ImportError, OSError of a library, anything
        said = f"import fails: {str(error).splitlines()[0] if str(error) else error!r}"
        yield Finding(
            "torch", said, f"pip install --force-reinstall torch, or {INSTALL}"
        )
        return
    place = "no GPU, and none is needed"
    if torch.cuda.is_available():
        place = torch.cuda.get_device_name()
    yield Finding("torch", f"{torch.__version__}, {place}")


def see_threads() -> Iterator[Finding]:
    """Compare the number of threads with the cores we may use."""
    from course_utils import session

    asked = os.environ.get("OMP_NUM_THREADS")
    quota = session.cpu_quota()
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    allowed = min(cores, quota or cores)
    said = f"{session.threads()} of {cores} cores"
    said += f", quota {quota:g}" if quota else ""
    said += f", OMP_NUM_THREADS={asked}" if asked else ""
    greedy = session.threads() > max(1, allowed)
    cure = f"export OMP_NUM_THREADS={max(1, int(allowed))}: more is slower, by a lot"
    yield Finding("threads", said, cure if greedy else "")


def free_memory(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the memory in MB that we may still take, in a container as well."""
    import psutil

    free = psutil.virtual_memory().available
    try:
        limit, used = ((root / f"memory.{k}").read_text() for k in ("max", "current"))
        free = min(free, int(limit) - int(used))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        pass
    return free / 1e6


def see_memory() -> Iterator[Finding]:
    """Look at the free memory; a lesson takes about 1 GB."""
    free = free_memory()
    cure = "close other programs and other notebooks' kernels" if free < 1500 else ""
    yield Finding("memory", f"{free / 1000:.1f} GB free", cure)


def see_disk() -> Iterator[Finding]:
    """Look at the free disk space here."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    cure = "free some space: pages and checkpoints need about 1 GB" if free < 1 else ""
    yield Finding("disk", f"{free:.0f} GB free", cure)


def see_kernel() -> Iterator[Finding]:
    """Look whether the kernel `python3` of JupyterLab is this very Python."""
    from jupyter_client.kernelspec import KernelSpecManager

    try:
        version = metadata.version("ipykernel")
        start = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:
        cure = "python -m ipykernel install --sys-prefix"
        yield Finding("kernel", f"no kernel python3: {error}", cure)
        return
    ours = not os.path.isabs(start) or Path(start).samefile(sys.executable)
    cure = "" if ours else "python -m ipykernel install --sys-prefix"
    said = f"python3, ipykernel {version}" if ours else f"python3 starts {start}"
    yield Finding("kernel", said, cure)


def see_widgets() -> Iterator[Finding]:
    """Look whether JupyterLab's half of ipywidgets fits Python's half."""
    versions = {}
    for name in ("ipywidgets", "jupyterlab_widgets", "jupyterlab"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = ""
    back, front, lab = versions.values()
    said = (
        f"ipywidgets {back}, jupyterlab_widgets {front or '-'}, JupyterLab {lab or '-'}"
    )
    cure = ""
    if not lab:
        cure = 'for JupyterLab here: pip install -c constraints.txt -e ".[lab]"'
        cure += " in a clone, else pip install jupyterlab"
    elif {"8": "3", "7": "1"}.get(back.split(".")[0]) != front.split(".")[0]:
        cure = "pip install -U ipywidgets jupyterlab_widgets, then restart JupyterLab"
    yield Finding("widgets", said, "" if "google.colab" in sys.modules else cure)


def see_offline() -> Iterator[Finding]:
    """Say whether the Hugging Face hub may be asked for anything."""
    import course_utils  # noqa: F401  it sets the switches that are not set

    off = os.environ.get("HF_HUB_OFFLINE") == "1"
    quiet = os.environ.get("HF_HUB_DISABLE_TELEMETRY") == "1"
    said = "nothing is downloaded" if off else "downloads allowed (HF_HUB_OFFLINE)"
    cure = "" if quiet else "unset HF_HUB_DISABLE_TELEMETRY, or set it to 1"
    yield Finding("offline", said + (", no telemetry" if quiet else ""), cure)


def see_weights() -> Iterator[Finding]:
    """Compare every shipped weight with its hash."""
    from course_utils import models

    states = models.verify()
    damaged = {name: state for name, state in states.items() if state != "ok"}
    for name, state in damaged.items():
        yield Finding("weights", name, state)
    if not damaged:
        yield Finding("weights", f"{', '.join(states) or 'none'}: hashes right")


def see_fashion() -> Iterator[Finding]:
    """Say which Fashion-MNIST lessons read: the part that is shipped, or all of it."""
    from course_utils import data

    try:
        place = data.fashion_folder()
    except FileNotFoundError as error:
        yield Finding("fashion", str(error), "unset FASHION_MNIST, or correct it")
        return
    where = f"all of it, from {place}" if place else "the part that the course ships"
    yield Finding("fashion", where)


LOOKS = (
    see_python,
    see_packages,
    see_torch,
    see_threads,
    see_memory,
    see_disk,
    see_kernel,
    see_widgets,
    see_offline,
    see_weights,
    see_fashion,
)
