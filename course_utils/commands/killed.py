"""Work that is killed at any moment and said again: is the end the undisturbed one?

A child of this process does the work and is killed with SIGKILL, which nobody can hear;
where there is no `fork`, as on Windows, there is none of this.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from course_utils import session, training
from course_utils.commands import costs, report
from course_utils.recipes import artifacts, monitor, recipe

LESSON = (
    'run: str = "quick"\nseed: int = 0',
    "from course_utils import session\n"
    "for k in range(9):\n"
    "    session.record('05', **{f'share_{k}': k / 9}, floor=0, ceiling=1)",
)


def end_of(work: Callable[[], object], after: float | None = None) -> int:
    """Do `work` in a child, killed `after` seconds if given; return how it ended.

    0: it reached its end; 9: killed; 1: it failed, and has said why on stderr.
    """
    sys.stdout.flush()
    child = os.fork()
    if not child:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            code = 1
            try:
                with contextlib.redirect_stdout(nowhere):
                    work()
                code = 0
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return abs(ended)


def tiny_training(place: Path) -> None:
    """Train a small network for 60 steps, in `place`: log, progress, weight, card.

    It is saved every 3 steps, and its clock leaps a minute a step: most of its time it
    writes.
    """

    def batch(generator: torch.Generator, step: int) -> tuple[torch.Tensor]:
        return (torch.randn(8, 64, generator=generator),)

    def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return (model(x) - x.flip(1)).square().mean()

    def look(average: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        return {"mean": float(next(average.parameters()).double().mean())}, ["a cat"]

    def make(work: Path) -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 256), nn.SiLU(), nn.Linear(256, 64))
        file = work / "state.safetensors"
        run = training.train(model, batch, loss, steps=60, save_to=file, save_every=3)
        return artifacts.follow(monitor.observed(run, look, work, 10), work, 3)

    def save(model: nn.Module, folder: Path) -> dict:
        artifacts.store(folder, model.state_dict(), {"network": "none"})
        return {}

    def killed_network() -> recipe.Made:
        return recipe.Made(make=make, save=save, card="# A network\n\n")

    leaps = itertools.count()
    monitor.time.monotonic = lambda: 60.0 * next(leaps)  # this is a child's own clock
    recipe.PROBE = 2**20
    recipe.produce(killed_network, place / "out", place / "work")


def tiny_lesson(place: Path) -> None:
    """Run a lesson of a course in `place` that records nine scores."""
    cells = [nbformat.v4.new_code_cell(source) for source in LESSON]
    cells[0].metadata["tags"] = ["parameters"]
    nb = nbformat.v4.new_notebook(cells=cells)
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "python3"}
    (place / "notebooks").mkdir(exist_ok=True)
    nbformat.write(nb, place / "notebooks" / "05_killed.ipynb")
    os.chdir(place)
    report.course(("05",), {"run": "quick"}, jobs=1)


def left_by(place: Path) -> dict[str, object]:
    """What must be the same whoever was killed: no seconds, no minutes, no leftovers.

    Reads everything, so that a half-written file is an error.
    """
    kept: dict[str, object] = {}
    if (place / "out").is_dir():
        files = {file.name for file in (place / "out").iterdir()}
        kept["files"] = sorted(files - {".probe"})
        kept["card"] = (place / "out" / "README.md").read_text("utf-8").split("- **")[0]
        weights = load_file(place / "out" / "model.safetensors")
        kept |= {name: x.numpy().tobytes() for name, x in weights.items()}
        log = artifacts.read_log(place / "work" / "log.csv")
        kept["log"] = [(row["step"], row["loss"]) for row in log]
        rows = artifacts.read_progress(place / "work" / "progress.jsonl")
        kept["progress"] = {key: rows[-1][key] for key in ("step", "mean")}
        kept["damaged"] = [f.name for f in place.rglob("*.damaged")]
    if (place / "build").is_dir():
        rows = costs.last_runs(place / "build" / "course")
        kept["scores"] = {name: row["scores"] for name, row in rows.items()}
        page = (place / "build" / "course" / "05_killed.html").read_text("utf-8")
        kept["page"] = page.endswith("</html>\n")
    return kept


def kill(
    work: Callable[[Path], None], times: int, seed: int = 0, again: int = 3
) -> Iterator[str]:
    """Kill `work` (of a folder) `times` times; yield a line for each that went wrong.

    Each folder's work is killed at up to `again` random moments, one after the other,
    before it may reach its end. What it left is compared with what an undisturbed run
    left, bit for bit.
    """
    rng, killed = random.Random(seed), 0
    with training.own_folder() as folder:
        began, whole = time.monotonic(), folder / "undisturbed"
        whole.mkdir()
        if end_of(lambda: work(whole)):
            raise RuntimeError("the undisturbed run failed")
        lasts, right = time.monotonic() - began, left_by(whole)
        while killed < times:
            place = folder / f"killed {killed} Übung"
            place.mkdir()
            moments = [
                rng.uniform(0, 1.1 * lasts) for _ in range(rng.randint(1, again))
            ]
            for moment in moments[: times - killed]:
                killed += 1
                if end_of(lambda: work(place), moment) == 1:  # noqa: B023
                    yield f"after {moments} s: going on failed"
            yield from _compared(work, place, right, moments)
            shutil.rmtree(place, ignore_errors=True)


def _compared(work: Callable, place: Path, right: dict, moments: list) -> Iterator[str]:
    said = f"killed at {', '.join(f'{x:.3f}' for x in moments)} s"
    if end_of(lambda: work(place)):
        yield f"{said}: the next run failed"
        return
    try:
        found = left_by(place)
    except (OSError, ValueError, KeyError, IndexError, SafetensorError) as error:
        yield f"{said}: what it left cannot be read: {error}"
        return
    for name in right.keys() | found.keys():
        if right.get(name) != found.get(name):
            yield f"{said}: {name} differs: {str(found.get(name))[:200]}"


def kills(times: int, seed: int = 0) -> bool:
    """Kill trainings and, one time in ten, runs of lessons; return True if all is well.

    ValueError for fewer than one, and where the system has no fork.
    """
    if not hasattr(os, "fork"):
        raise ValueError("kill needs a system with fork: Linux or macOS")
    if times < 1:
        raise ValueError(f"kill must be a whole number from 1 on, not {times}")
    began, wrong = time.monotonic(), []
    lessons = times // 10
    for work, share in ((tiny_training, times - lessons), (tiny_lesson, lessons)):
        found = [*kill(work, share, seed)] if share else []
        wrong += found
        print("\n".join([*found, f"{work.__name__}: killed {share} times"]), flush=True)
    took = session.duration(time.monotonic() - began)
    print(f"{times} kills in {took}: {len(wrong)} went wrong")
    return not wrong
