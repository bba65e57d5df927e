"""What all recipes share: follow a training run, then put its weight on the shelf."""

import csv
import json
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors.torch import save_file
from torch import Tensor, nn

from course_utils.training import State

COLUMNS = ("step", "loss", "seconds")


def follow(run: Iterator[State], work: Path, every: int = 50) -> nn.Module:
    """Run a training to its end, logging to work/log.csv; return the averaged weights.

    A run that was killed and goes on also goes on with its log and its clock. Of many
    processes only the first writes; the others end here.
    """
    first = PartialState().is_main_process
    work.mkdir(parents=True, exist_ok=True)
    log = read_log(work / "log.csv")
    logged, before = (log[-1]["step"], log[-1]["seconds"]) if log else (0, 0.0)
    start, total = time.perf_counter(), 0.0
    with open(work / "log.csv", "a", newline="", encoding="utf-8") as file:
        for state in run:
            total += state.loss
            if first and state.step % every == 0 and state.step > logged:
                seconds = before + time.perf_counter() - start
                row = (state.step, f"{total / every:.4f}", f"{seconds:.1f}")
                csv.writer(file, lineterminator="\n").writerow(row)
                file.flush()
                print(
                    f"{work.name}: step {row[0]:>6}  loss {row[1]}  {row[2]} s",
                    flush=True,
                )
            total = 0.0 if state.step % every == 0 else total
    return state.ema if first else sys.exit()


def read_log(path: Path) -> list[dict[str, float]]:
    """Read a log's rows (step, mean loss since the last row, seconds); [] if none."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = [[float(x) for x in row] for row in csv.reader(file)]
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def half(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Halve the precision of all but whole numbers."""
    return {
        name: x.half().contiguous() if x.is_floating_point() else x
        for name, x in weights.items()
    }


def store(
    folder: Path, work: Path, weights: dict[str, Tensor], config: dict, card: str
) -> None:
    """Write model.safetensors, config.json, README.md (the model card) and log.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)  # readable by all, like any other file
    _write(folder / "config.json", json.dumps(config, indent=2) + "\n")
    write_card(folder, work, card)


def write_card(folder: Path, work: Path, card: str) -> None:
    """Write README.md, its COST filled in from the training's log, and log.csv."""
    log = read_log(work / "log.csv")
    lines = [f"{row['step']:.0f},{row['loss']},{row['seconds']}" for row in log]
    _write(folder / "log.csv", "\n".join([",".join(COLUMNS), *lines]) + "\n")
    cost = (
        f"{log[-1]['seconds'] if log else 0:.0f} seconds on {torch.get_num_threads()} "
        f"thread(s), {platform.machine()}, torch {torch.__version__.split('+')[0]}"
    )
    _write(folder / "README.md", card.replace("COST", cost))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
