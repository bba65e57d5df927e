"""What a generator can do by now: sheets of samples and attribute accuracies.

A training uses none of it: the oracle watches, and teaches nothing.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import PartialState
from torch import nn

from course_utils import measure, oracle
from course_utils.images import save_sheet
from course_utils.recipes.artifacts import add_line, read_progress
from course_utils.tiny.worlds import World, numpy_rng
from course_utils.training import State, write_whole

SHOWN, READ = 64, 48  # captions on a sheet; captions of each kind that are examined
Look = Callable[[nn.Module, Path], tuple[dict, list[str]]]  # draws a sheet -> scores,
# and what the pictures on it were asked to be
PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="60">
<title>It learns</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px;
       margin: 2rem auto; padding: 0 1rem }
h2 { font-size: 1.1rem; font-weight: 600; margin: 2rem 0 .5rem }
img { max-width: 100%; image-rendering: pixelated; border-radius: 6px }
ol { columns: 2; font-size: .85rem; color: #555 }
</style>
<h1>It learns</h1>
<p>The same captions, none of them in the training; the newest sheet is on top, and
this page looks for a newer one every minute. The oracle that reads them teaches
nothing.</p>"""


def attribute_scores(
    draws: Callable, world: World, n: int, split: str = "test"
) -> dict:
    """Attribute accuracies of n captions with one toy, n with two; {} if no oracle."""
    try:
        oracle.reader()
    except (ValueError, OSError):  # not trained yet
        return {}
    scores = {}
    for things in (1, 2):
        rng = numpy_rng(torch.Generator().manual_seed(things))
        scenes = world.scenes(n, rng, split, things=things)
        images = draws([scene.caption for scene in scenes])
        found = measure.grades(images, scenes)
        scores[f"{things} toy"] = {name: round(x, 4) for name, x in found.items()}
    return scores


def sheet_and_scores(draws: Callable, world: World) -> Look:
    """The look of a text-to-image model; draws(model, steps): captions -> pictures."""

    def look(average: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
        rng = numpy_rng(torch.Generator().manual_seed(7))
        prompts = [scene.caption for scene in world.scenes(SHOWN, rng, "test")]
        ready = draws(average, 10)
        save_sheet(sheet, ready(prompts))
        return attribute_scores(ready, world, READ), prompts

    return look


def observed(
    run: Iterator[State], look: Look, work: Path, every: int
) -> Iterator[State]:
    """Pass the states on; look at minutes 1, 2, 5, 10, 20 and so on, and at the end.

    The minutes that this takes count, too. Of many processes only the first looks.
    """
    if not PartialState().is_main_process:
        yield from run
        return
    log = work / "progress.jsonl"
    rows = read_progress(log)
    if log.exists():  # without what a kill has torn
        write_whole(log, "".join(json.dumps(row) + "\n" for row in rows))
    before = max((row.get("minutes", 0.0) for row in rows), default=0.0)
    marks = [m for m in (1, 2, 5, 10, *range(20, 6000, every)) if m > before]
    start, last = time.monotonic(), None
    for state in run:
        minutes = before + (time.monotonic() - start) / 60
        if minutes >= marks[0]:
            marks = [m for m in marks if m > minutes]
            last = _write_down(state, minutes, look, work)
        yield state
    if last != state.step:
        minutes = before + (time.monotonic() - start) / 60
        _write_down(state, minutes, look, work)


def _write_down(state: State, minutes: float, look: Look, work: Path) -> int:
    """Look, and write down what is seen; return the step."""
    sheet = work / f"sheet-{round(minutes):04d}-minutes.png"
    scores, asked = look(state.ema, sheet)
    row = dict(minutes=round(minutes, 2), step=state.step, loss=round(state.loss, 4))
    row |= scores
    add_line(work / "progress.jsonl", json.dumps(row) + "\n")
    _write_page(work, asked)
    print(f"{_in_words(row)}: look at {work / 'index.html'}", flush=True)
    return state.step


def _in_words(row: dict) -> str:
    """A row of progress.jsonl as a sentence."""
    kinds = {"1 toy": "one toy", "2 toy": "two toys"}
    right = [f"{kinds[k]} {row[k]['all']:.0%}" for k in kinds if k in row]
    edits = [f"{k} {row[k]:.0%}" for k in ("success", "preservation") if k in row]
    words = [f"after {row['minutes']:.0f} min, {row['step']} steps"]
    words += [f"everything right: {', '.join(right)}"] if right else []
    return ", ".join(words + edits)


def _write_page(work: Path, prompts: list[str]) -> None:
    """A page that shows the sheets, newest first, and looks again every minute."""
    noted = read_progress(work / "progress.jsonl")
    rows = {round(row["minutes"]): row for row in noted if "minutes" in row}
    page = [PAGE]
    for minute, row in sorted(rows.items(), reverse=True):
        page.append(f"<h2>{_in_words(row)}</h2>")
        page.append(f'<img src="sheet-{minute:04d}-minutes.png" alt="">')
    page.append("<h2>What was asked for, row by row</h2><ol>")
    page += [f"<li>{prompt}</li>" for prompt in prompts]
    write_whole(work / "index.html", "\n".join([*page, "</ol>\n"]))
