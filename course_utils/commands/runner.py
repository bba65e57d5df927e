"""Run lessons strictly: papermill underneath, but nothing wrong passes in silence."""

import ast
import json
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError
from papermill.exceptions import PapermillExecutionError

from course_utils.commands.kernel import kernel_class, peak_memory
from course_utils.commands.tidy import save_notebook, strip_notebook


class Result(NamedTuple):
    """What one run of a lesson left behind."""

    notebook: Path  # the executed notebook, stripped
    seconds: float
    peak_mb: float  # the kernel's peak memory, with its child processes
    scores: list[dict]  # the rows of session.record
    error: str = ""  # where and why it stopped, in a line


class LessonFailed(RuntimeError):
    """A lesson stopped before its end; `.result` says where, and holds the page."""

    def __init__(self, lesson: str, result: Result):
        """Keep the `result` of the `lesson` that stopped."""
        super().__init__(f"{lesson}: {result.error}")
        self.result = result


def root(start: Path | None = None) -> Path:
    """Return the course's folder: the nearest parent of `start` (or else of this
    package) that has a folder `notebooks`.
    """
    start = Path(start or Path.cwd()).resolve()
    here = Path(__file__).resolve().parent
    for folder in (start, *start.parents, *here.parents):
        if (folder / "notebooks").is_dir():
            return folder
    raise ValueError(
        f"no folder `notebooks` in {start} or above it: change into your clone of the "
        "course, as in `cd course`, and try again"
    )


def lessons(chosen: list[str] | tuple[str, ...] = ()) -> list[Path]:
    """Return the notebooks of the chosen lessons ("05", "5" or the name), or of all."""
    there = {p.stem[:2]: p for p in sorted(root().glob("notebooks/[0-9][0-9]_*.ipynb"))}
    if not there:
        raise ValueError(f"no lessons like 05_name.ipynb in {root() / 'notebooks'}")
    numbers = [Path(str(name)).stem[:2].rstrip("_").zfill(2) for name in chosen]
    for number, name in zip(numbers, chosen, strict=True):
        if number not in there:
            raise ValueError(f"lesson {name} is not here; there are {' '.join(there)}")
    return [there[number] for number in dict.fromkeys(numbers or there)]


def parameters(nb: nbformat.NotebookNode, name: str = "notebook") -> dict[str, str]:
    """Return {parameter: type name}; refuse a notebook that cannot take parameters."""
    tagged = [c for c in nb.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(
            f"{name} has {len(tagged)} cells tagged `parameters` and needs exactly "
            "one: (un)tag it in JupyterLab's property inspector (the two cogs)"
        )
    tree = ast.parse(tagged[0].source)
    annotated = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
    return {node.target.id: ast.unparse(node.annotation) for node in annotated}


def refuse(nb: nbformat.NotebookNode, values: dict[str, Any], name: str) -> None:
    """Refuse unknown parameters, unknown run sizes and foreign kernels."""
    kernel = nb.metadata.get("kernelspec", {}).get("name", "python3")
    if kernel != "python3":
        raise ValueError(
            f"{name} asks for the kernel {kernel!r}, which exists only where it was "
            "saved: choose the kernel `Python 3 (ipykernel)` (python3) and save again"
        )
    known = parameters(nb, name)
    for key in values:
        if key not in known:
            raise ValueError(
                f"{name} has no parameter {key!r}; it has {', '.join(known)}"
            )
    if values.get("run", "laptop") not in ("quick", "laptop", "full"):
        raise ValueError(f"run must be quick, laptop or full, not {values['run']!r}")


def from_text(text: str, kind: str, name: str) -> Any:
    """Turn the text of `--set name=text` into the type the parameter is annotated with.

    papermill alone would keep "false" as a string, and a string is true.
    """
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        return {"int": int, "float": float}.get(kind, str)(text)
    except (KeyError, ValueError):
        raise ValueError(f"parameter {name} is of type {kind}, not {text!r}") from None


def run(
    notebook: str | Path,
    out: str | Path | None = None,
    parameters: dict[str, Any] | None = None,
    *,
    timeout: int = 900,
) -> Result:
    """Run one lesson (a number such as "05", or a path) and keep it in `out`.

    `timeout` is in seconds and per cell. The kernel is always this very Python. Raises
    ValueError for a lesson, parameter, size or kernel that cannot be meant, and
    LessonFailed when a cell fails, takes too long, or kills its kernel.
    """
    source = Path(notebook)
    source = source if source.suffix == ".ipynb" else lessons([str(notebook)])[0]
    if not source.is_file():
        raise ValueError(f"notebook {source} does not exist")
    out = Path(out or root() / "build" / "course" / source.name)
    nb = nbformat.read(source, as_version=4)
    refuse(nb, parameters or {}, source.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    result = _execute(source.resolve(), out, parameters or {}, timeout)
    if result.error:
        raise LessonFailed(source.stem, result)
    return result


def _execute(source: Path, out: Path, values: dict, timeout: int) -> Result:
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # `_reason` says it all
    work = Path(tempfile.mkdtemp(prefix="course-"))
    scores, error = work / "scores.jsonl", None
    began = time.perf_counter()
    try:
        with peak_memory() as memory:
            papermill.execute_notebook(
                str(source),
                str(out.resolve()),
                values,
                kernel_name="python3",
                progress_bar=False,
                execution_timeout=timeout,
                start_timeout=120,
                cwd=str(source.parent),
                kernel_manager_class=kernel_class(scores, memory),
            )
    except (PapermillExecutionError, CellTimeoutError, RuntimeError) as caught:
        error = caught
    seconds = time.perf_counter() - began
    nb = nbformat.read(out, as_version=4)
    reason = _reason(nb, error, timeout, memory["peak_mb"]) if error else ""
    save_notebook(strip_notebook(nb), out)
    lines = scores.read_text("utf-8").splitlines() if scores.exists() else []
    shutil.rmtree(work, ignore_errors=True)
    return Result(out, seconds, memory["peak_mb"], [*map(json.loads, lines)], reason)


def _reason(nb: Any, error: Exception, timeout: int, peak_mb: float) -> str:
    """Say in a line where and why the run stopped; leave it in the notebook as well."""
    ran = [c for c in nb.cells if c.cell_type == "code"]
    ran = [c for c in ran if c.metadata.get("papermill", {}).get("start_time")]
    ran = ran or [nbformat.v4.new_code_cell()]
    if isinstance(error, PapermillExecutionError):
        failed = [c for c in ran if any(o.output_type == "error" for o in c.outputs)]
        cell, what = (failed or ran)[-1], f"{error.ename}: {error.evalue}"
    else:
        cell, what = ran[-1], f"took longer than {timeout} s: run a smaller size"
        if not isinstance(error, CellTimeoutError):
            what = (
                f"the kernel died, at {peak_mb:.0f} MB. If memory was short, close "
                "other programs or run at size quick; else see `course doctor`"
            )
        said = {"ename": type(error).__name__, "evalue": what, "traceback": [what]}
        cell.outputs.append(nbformat.v4.new_output("error", **said))
    line = next((x for x in cell.source.splitlines() if x.strip()), "").strip()
    what = " ".join(what.split())[:300]
    return f"cell [{cell.execution_count or '*'}] `{line[:50]}`: {what}"
