"""`course lab`: JupyterLab on one lesson, for this computer only; it asks nothing."""

import os
from pathlib import Path

from course_utils.commands import choice


def serve_lesson(lesson: str) -> bool:
    """Open JupyterLab on a lesson, such as "05", and stay until it is stopped.

    Raises ValueError for what is not one lesson, and where JupyterLab is not installed.
    """
    notebook, *others = choice.lessons([lesson])
    if others:
        raise ValueError(f"lab opens one lesson, as in `course lab 05`; not {lesson}")
    try:
        from jupyterlab.labapp import main
    except ImportError:
        how = 'pip install -e ".[lab]" in a clone, else pip install jupyterlab'
        raise ValueError(f"no JupyterLab here: {how}") from None
    _add_to("JUPYTER_CONFIG_PATH", Path(__file__).parent)  # labconfig/: no news
    folder = choice.root()
    # not as the file to open: the address that is printed would lead elsewhere
    place = f"/lab/tree/{notebook.relative_to(folder).as_posix()}"
    options = ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}",
               f"--LabApp.default_url={place}",
               "--LanguageServerManager.autodetect=False"]  # fmt: skip
    options += _private()
    if getattr(os, "geteuid", lambda: 1)() == 0:
        options.append("--allow-root")  # in a container, where else to be root
    return not main(options)


def _private() -> list[str]:
    """Options that encrypt what a kernel says; else each that starts warns of it."""
    import zmq
    from jupyter_client import KernelManager

    can = zmq.has("curve") and "transport_encryption" in KernelManager.class_traits()
    return ["--KernelManager.transport_encryption=auto"] if can else []


def _add_to(variable: str, place: Path) -> None:
    paths = [str(place), os.environ.get(variable, "")]
    os.environ[variable] = os.pathsep.join(filter(None, paths))
