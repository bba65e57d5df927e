"""Run a lesson strictly: papermill underneath, but nothing wrong passes in silence."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from course_utils.commands.choice import lessons, read_notebook, refuse, root
from course_utils.commands.kernel import Watch, kernel_class, looking
from course_utils.commands.tidy import save_notebook, strip_notebook

ENGINE = "saves-at-the-end"


class _SavesAtTheEnd(NBClientEngine):
    """papermill's own engine, less its writing of the whole page twice a cell.

    That took seconds for a lesson. At the end the page is saved in any case, whatever
    stopped the run.
    """

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, *args: Any, **kwargs: Any) -> None:
        out, nb_man.output_path = nb_man.output_path, None
        try:
            super().execute_managed_notebook(nb_man, *args, **kwargs)
        finally:
            nb_man.output_path = out


papermill_engines.register(ENGINE, _SavesAtTheEnd)


class Result(NamedTuple):
    """What one run of a lesson left behind."""

    notebook: Path  # the executed notebook, stripped
    seconds: float
    peak_mb: float  # the kernel's peak memory, with its child processes
    scores: list[dict]  # the rows of session.record
    error: str = ""  # where and why it stopped, in a line
    warnings: tuple[str, ...] = ()  # what cells wrote to stderr, a line a cell
    weights: tuple[str, ...] = ()  # the shipped weights that it opened
    claims: tuple[dict, ...] = ()  # the rows of session.claim
    began: float = 0.0  # when, by time.monotonic


class LessonFailed(RuntimeError):
    """A lesson stopped before its end; `.result` says where, and holds the page."""

    def __init__(self, lesson: str, result: Result):
        """Keep the `result` of the `lesson` that stopped."""
        super().__init__(f"{lesson}: {result.error}")
        self.result = result


def run(
    notebook: str | Path,
    out: str | Path | None = None,
    parameters: dict[str, Any] | None = None,
    *,
    timeout: int = 900,
    watch: Watch | None = None,
    threads: int | None = None,
) -> Result:
    """Run one lesson (a number such as "05", or a path) and keep it in `out`.

    timeout  in seconds, for each cell
    watch    seen from outside while it runs: its memory, its cell, a way to end it
    threads  for torch and numpy, `session.threads()` if not given

    The kernel is always this very Python. Raises ValueError for a lesson, parameter,
    size or kernel that cannot be meant, and LessonFailed when a cell fails, takes too
    long, or kills its kernel.
    """
    from course_utils import session  # late: they import torch
    from course_utils.training import own_folder

    source, values, watch = Path(notebook), parameters or {}, watch or Watch()
    source = source if source.suffix == ".ipynb" else lessons([str(notebook)])[0]
    if not source.is_file():
        raise ValueError(f"notebook {source} does not exist")
    source = source.resolve()
    out = Path(out or root() / "build" / "course" / source.name).resolve()
    nb = read_notebook(source)
    refuse(nb, values, source.name)
    watch.cells = len(nb.cells) + bool(values)  # papermill puts in a cell with them
    out.parent.mkdir(parents=True, exist_ok=True)
    with own_folder() as work:
        kernel = kernel_class(work, source.parent, watch, threads or session.threads())
        copy = work / "lesson.ipynb"  # papermill notes a path: it may be an odd one
        shutil.copyfile(source, copy)
        nb, result = _execute(copy, values, timeout, watch, kernel)
        save_notebook(strip_notebook(nb), out)
        result = result._replace(notebook=out, **_notes(work))
    if result.error:
        raise LessonFailed(source.stem, result)
    return result


def _execute(
    source: Path, values: dict, timeout: int, watch: Watch, kernel: type
) -> tuple[nbformat.NotebookNode, Result]:
    """Run the copy of a lesson; return it with its outputs, and what it took."""
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # `_reason` says it all
    out = source.with_name("done.ipynb")
    error, began, at = None, time.perf_counter(), time.monotonic()
    try:
        with looking(watch.look):
            papermill.execute_notebook(
                str(source),
                str(out),
                values,
                ENGINE,
                kernel_name="python3",
                language="python",  # not every editor writes it down
                progress_bar=False,
                execution_timeout=timeout,
                start_timeout=120,
                kernel_manager_class=kernel,
                on_cell_start=watch.starts,
                on_cell_executed=lambda **_: watch.look(),
            )
    except (PapermillExecutionError, CellTimeoutError, RuntimeError) as caught:
        error = caught
    seconds = time.perf_counter() - began
    nb = nbformat.read(out, as_version=4)
    reason = _reason(nb, error, timeout, watch) if error else ""
    peak, warned = watch.peak_mb, tuple(_warnings(nb))
    return nb, Result(out, seconds, peak, [], reason, warned, began=at)


def _notes(work: Path) -> dict[str, Any]:
    """Read what the lesson noted on its way: scores, claims, the weights it opened."""
    texts = (
        path.read_text("utf-8") if path.exists() else ""
        for path in (work / "scores.jsonl", work / "claims.jsonl", work / "weights.txt")
    )  # of a kernel that was killed the last line may have no end: it does not count
    scores, claims, weights = (x[: x.rfind("\n") + 1].splitlines() for x in texts)
    return {
        "scores": [*map(json.loads, scores)],
        "claims": tuple(map(json.loads, claims)),
        "weights": tuple(sorted(set(weights))),
    }


def _warnings(nb: nbformat.NotebookNode) -> list[str]:
    """Say in a line for each cell what it wrote to stderr, where nothing should be."""
    said = []
    for cell in nb.cells:
        texts = [o.text for o in cell.get("outputs", []) if o.get("name") == "stderr"]
        lines = [line.strip() for text in texts for line in text.splitlines()]
        first = next((line for line in lines if line), "")
        if first:
            said.append(f"cell [{cell.execution_count or '*'}]: {first[:120]}")
    return said


def _reason(nb: Any, error: Exception, timeout: int, watch: Watch) -> str:
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
                f"the kernel died, at {watch.peak_mb:.0f} MB. If memory was short, "
                "close other programs or run at size quick; else see `course doctor`"
            )
            if words := watch.last_words():
                what += f". It said: {words[:120]}"
        said = {"ename": type(error).__name__, "evalue": what, "traceback": [what]}
        cell.outputs.append(nbformat.v4.new_output("error", **said))
    line = next((x for x in cell.source.splitlines() if x.strip()), "").strip()
    what = " ".join(what.split())[:300]
    return f"cell [{cell.execution_count or '*'}] `{line[:50]}`: {what}"
