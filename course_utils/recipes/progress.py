"""What a generator can do by now: sheets of samples and attribute accuracies.

A training uses none of it: the oracle watches, and teaches nothing.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from course_utils import bench, oracle
from course_utils.recipes.scenes import World, numpy_rng
from course_utils.training import State


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
        found = bench.grades(images, scenes)
        scores[f"{things} toy"] = {name: round(x, 4) for name, x in found.items()}
    return scores


def observed(
    run: Iterator[State], draws: Callable, world: World, work: Path, every: int
) -> Iterator[State]:
    """Pass the states on; draw a sheet and examine at minutes 1, 2, 5, 10 and so on.

    And at the end. The minutes that this takes count, too.
    """
    log = work / "progress.jsonl"
    rows = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    before = json.loads(rows[-1])["minutes"] if rows else 0.0
    marks = [m for m in (1, 2, 5, 10, *range(20, 6000, every)) if m > before]
    rng = numpy_rng(torch.Generator().manual_seed(7))
    prompts = [scene.caption for scene in world.scenes(64, rng, "test")]
    start, last = time.monotonic(), None

    def look(state: State, minutes: float) -> int:
        ready = draws(state.ema)
        save_sheet(work / f"sheet-{round(minutes):04d}-minutes.png", ready(prompts))
        row = dict(minutes=round(minutes, 2), step=state.step)
        row |= dict(loss=round(state.loss, 4)) | attribute_scores(ready, world, 48)
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        _write_page(work)
        print(f"{row}: look at {work / 'index.html'}", flush=True)
        return state.step

    for state in run:
        minutes = before + (time.monotonic() - start) / 60
        if minutes >= marks[0]:
            marks = [m for m in marks if m > minutes]
            last = look(state, minutes)
        yield state
    if last != state.step:
        look(state, before + (time.monotonic() - start) / 60)


def _write_page(work: Path) -> None:
    """A page that shows the sheets, newest first, and looks again every minute."""
    sheets = sorted(work.glob("sheet-*.png"), reverse=True)
    picture = '<h2>{} minutes</h2><img src="{}" alt="">'
    lines = [picture.format(int(s.stem.split("-")[1]), s.name) for s in sheets]
    head = '<meta charset="utf-8"><meta http-equiv="refresh" content="60">'
    page = "\n".join([head, "<title>It learns</title>", *lines])
    (work / "index.html").write_text(page, encoding="utf-8", newline="\n")


def save_sheet(path: Path, images: Tensor, columns: int = 8, scale: int = 2) -> None:
    """Write pictures (B, 3, H, W) in [-1, 1] side by side, `scale` times as big."""
    rows = -(-len(images) // columns)
    missing = images.new_ones(rows * columns - len(images), *images.shape[1:])
    tiles = torch.cat([images, missing]).clamp(-1, 1)
    tiles = torch.nn.functional.pad(tiles, (1, 1, 1, 1), value=1.0)  # a white seam
    tiles = tiles.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    grid = tiles.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2)
    grid = grid.flatten(2, 3).flatten(0, 1)  # (rows * H, columns * W, 3)
    pixels = ((grid + 1) * 127.5).round().to(torch.uint8).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
