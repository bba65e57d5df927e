"""What a training leaves behind: a log while it runs, then a weight, a card, a log."""

import json
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from torch import Tensor, nn

from course_utils import models
from course_utils.models.difference import keep_difference
from course_utils.training import State, own_folder, save_whole, write_whole

COLUMNS = ("step", "loss", "seconds")

BASE = "latent-eye"

Row = TypeVar("Row")


def follow(run: Iterator[State], work: Path, every: int = 50) -> nn.Module:
    """Run a training to its end, logging to work/log.csv; return the averaged weights.

    A run that was killed and goes on also goes on with its log and its clock. Of many
    processes only the first writes.
    """
    work.mkdir(parents=True, exist_ok=True)
    path, start, losses = work / "log.csv", time.perf_counter(), []
    rows = read_log(path)  # before the first step: it may be of no use
    writes, last = PartialState().is_main_process, None
    for state in run:
        if last is None:  # what a killed run logged after its last saving comes again
            rows = [row for row in rows if row["step"] <= state.step]
            last = rows[-1] if rows else dict.fromkeys(COLUMNS, 0.0)
            if writes:
                write_whole(path, "".join(map(_in_line, rows)))
        losses.append(state.loss)
        if state.step % every == 0:
            values = state.step, sum(losses) / len(losses), time.perf_counter() - start
            if writes and state.step > last["step"]:
                row = dict(zip(COLUMNS, values, strict=True))
                row["seconds"] += last["seconds"]
                add_line(path, _in_line(row))
                shown = "step {step:>6.0f}  loss {loss:.4f}  {seconds:.1f} s"
                print(f"{work.name}: {shown.format(**row)}", flush=True)
            losses = []
    return state.ema


def _in_line(row: dict[str, float]) -> str:
    return "{step:.0f},{loss:.4f},{seconds:.1f}\n".format(**row)


def read_log(path: Path) -> list[dict[str, float]]:
    """Read a log's rows (step, mean loss since the last row, seconds); [] if none."""

    def row(line: str) -> dict[str, float]:
        values = [float(x) for x in line.split(",")]
        if not all(map(math.isfinite, values)):
            raise ValueError("a log has finite numbers")
        return dict(zip(COLUMNS, values, strict=True))

    return readable(path, row)


def read_progress(path: Path) -> list[dict]:
    """Read a file of JSON rows, each of which says its step; [] if there is none."""

    def row(line: str) -> dict:
        found = json.loads(line)
        if not all(math.isfinite(found.get(key, 0)) for key in ("step", "minutes")):
            raise ValueError("progress has finite numbers")
        return found | {"step": found["step"]}

    return readable(path, row)


def readable(path: Path, row: Callable[[str], Row]) -> list[Row]:
    """What `row` reads off each line of a file; a damaged line stops no training.

    It is left out, and said; the file as it was is kept beside it, as NAME.damaged.
    """
    rows, damaged = [], []
    for number, line in enumerate(whole_lines(path), 1):
        try:
            rows.append(row(line))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            damaged.append(str(number))
    if damaged:
        aside = path.with_name(f"{path.name}.damaged")
        shutil.copyfile(path, aside)
        print(
            f"{path}: line {', '.join(damaged)} cannot be read and is left out; the "
            f"file as it was is kept as {aside.name}",
            flush=True,
        )
    return rows


def join_logs(parts: list[Path], work: Path) -> None:
    """Write one log of trainings that came one after another: steps and seconds add."""
    rows, last = [], dict.fromkeys(COLUMNS, 0.0)
    for part in parts:
        for row in read_log(part / "log.csv"):
            added = {key: row[key] + last[key] for key in ("step", "seconds")}
            rows.append(row | added)
        last = rows[-1] if rows else last
    write_whole(work / "log.csv", "".join(map(_in_line, rows)))


def whole_lines(path: Path) -> list[str]:
    """The lines of a file of rows; [] if there is none.

    The last one counts only if it has an end: a kill may have torn it.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return text[: text.rfind("\n") + 1].splitlines()


def add_line(path: Path, line: str) -> None:
    """Add a line, which has its end, to a file of rows; OSError if there is no room."""
    try:
        with open(path, "a", encoding="utf-8", newline="\n") as file:
            file.write(line)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written ({error.strerror}): free some space or mend "
            "its rights, and say the same command again: it goes on from what is saved"
        ) from None


def half(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Halve the precision of all but whole numbers."""
    return {
        name: x.half().contiguous() if x.is_floating_point() else x
        for name, x in weights.items()
    }


def store(folder: Path, weights: dict[str, Tensor], config: dict) -> None:
    """Write the weight of a plain network: model.safetensors and config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    save_whole(weights, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)  # readable by all, like any other file
    write_whole(folder / "config.json", json.dumps(config, indent=2) + "\n")


def store_in_bytes(folder: Path, weights: dict[str, Tensor], config: dict) -> None:
    """As `store`, a byte a weight and a scale a row; `models.path` puts it together.

    It differs in everything from latent-eye, the smallest network that is shipped.
    """
    with tempfile.TemporaryDirectory() as whole:
        store(Path(whole), weights, config)
        keep_difference(Path(whole), models.path(BASE), folder, BASE)
    (folder / "model.safetensors").chmod(0o644)


def write_card(folder: Path, work: Path, card: str) -> None:
    """Write README.md, last of all, and before it what `work` has logged."""
    if (work / "progress.jsonl").exists():
        shutil.copy(work / "progress.jsonl", folder)
    if (work / "log.csv").exists():
        lines = map(_in_line, read_log(work / "log.csv"))
        write_whole(folder / "log.csv", "".join([",".join(COLUMNS) + "\n", *lines]))
    write_whole(folder / "README.md", card)


def foot_of_card(work: Path, command: str, file: str, licence: str) -> str:
    """The lines that end every card: cost, how to repeat it, licence."""
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    cost = (
        f"- **Cost** {_seconds(work):.0f} seconds on {gpu}"
        f"{torch.get_num_threads()} thread(s), {platform.machine()}, "
        f"torch {torch.__version__.split('+')[0]}.\n"
    )
    return (
        f"{cost if (work / 'log.csv').exists() else ''}"
        f"- **Repeat it** `course train {command}` (course_utils/recipes/{file}.py).\n"
        f"- **Licence** {licence}.\n"
    )


def _seconds(work: Path) -> float:
    """What a training took, with those that came after it."""
    log, then = read_log(work / "log.csv"), work / "then"
    own = log[-1]["seconds"] if log else 0.0
    return own + (_seconds(then) if then.is_dir() else 0.0)


@contextmanager
def moved_when_whole(folder: Path) -> Iterator[Path]:
    """An empty folder to write into; what is in it goes to `folder` when all is there.

    File by file, the card last: whatever has a card is whole, also after a kill. If the
    block fails, `folder` stays as it is.
    """
    where = folder.parent / ".unfinished"
    try:
        with own_folder(folder.name, where) as fresh:
            yield fresh
            files = [file for file in fresh.rglob("*") if file.is_file()]
            for file in sorted(files, key=lambda file: file == fresh / "README.md"):
                place = folder / file.relative_to(fresh)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)
    except SafetensorError as error:  # how it says that there is no room
        raise OSError(
            f"{folder} cannot be written ({error}): free some space or mend its "
            "rights, and say the same command again"
        ) from None
    finally:
        with suppress(OSError):  # another training has something there
            where.rmdir()
