"""What can a text-to-image model of the toybox do? `course bench tiny` examines it.

Held-out captions of five kinds, each picture read by the oracle, beside three other
methods that draw the same scenes: `other_picture`, the true render of another caption
(the floor: chance), `round_trip`, the true render through the model's own VAE (the
ceiling of anything that lives in its latents), and `render`, the true one.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_utils import measure, models, session, toybox
from course_utils.images import check_whole, in_parts
from course_utils.measure.editing import edit_pictures
from course_utils.measure.pace import sampling_costs
from course_utils.models.pipelines import draw, round_trip
from course_utils.training import write_json

TASKS = {
    "one_toy": dict(things=1),
    "two_toys": dict(things=2),
    "three_toys": dict(things=3),
    "counts": dict(),  # two stars, three fish
    "unseen": dict(things=1, split="unseen"),  # in a colour never seen on it
}
KINDS = tuple(TASKS)


def text_to_image(
    model: str | Path = "tiny",
    n: int = 500,
    steps: int = 20,
    guidance: float = 3.0,
    into: str | Path = "build/bench/tiny.json",
) -> list[dict]:
    """Examine a model on n captions of each of the TASKS; print and write the rows.

    model  a shipped name or a folder that StableDiffusionPipeline loads
    n      at least 2
    Rows are like those of scores.json, with one more key: `method`.
    """
    check_whole(n, "n")
    check_whole(steps, "steps")
    if n < 2:
        raise ValueError(f"n={n} must be at least 2: the floor needs another picture")
    torch.set_num_threads(session.threads(share=1))
    pipe = models.load("text-to-image", model).to(session.device)
    pipe.set_progress_bar_config(disable=True)
    name, rows = Path(model).name, []
    print(f"{name}: {steps} steps, guidance {guidance:g}, {n} captions a task")
    for task in TASKS:
        scenes = scenes_for(task, n)
        true = in_parts(toybox.render, scenes)
        again = round_trip(pipe.vae, true)
        captions = [scene.caption for scene in scenes]
        methods = {name: draw(pipe, captions, steps, guidance, label=task)}
        methods |= {"other_picture": true.roll(1, 0)}
        methods |= {"round_trip": again, "render": true}
        scores = {
            key: measure.grades(images, scenes) for key, images in methods.items()
        }
        print(f"\n{task.replace('_', ' ')}\n{in_columns(scores)}")
        rows += _rows(task, scores, n)
        if task == "one_toy":
            rows += _costs(pipe, captions, name, true, again, steps, guidance)
            rows.append(_row("megabytes", megabytes(model), name, "lower"))
    write_json(into, rows)
    whole = {r["metric"]: r["value"] for r in rows if not r["metric"].startswith(KINDS)}
    print(f"\n{in_columns({name: whole})}\n\n{into}: {len(rows)} rows")
    return rows


def scenes_for(task: str, n: int, seed: int = 0) -> list[toybox.Scene]:
    """n scenes for one of the TASKS, of the split "test" or "unseen".

    Toys are of different kinds, and in `counts` two or three alike.
    """
    if task not in KINDS:
        raise ValueError(f"task={task!r} is not one of: {', '.join(TASKS)}")
    check_whole(n, "n")
    rng, scenes = np.random.default_rng([seed, KINDS.index(task)]), []
    while len(scenes) < n:
        options = {"split": "test"} | TASKS[task]
        if task == "counts":
            kind = str(rng.choice(toybox.ATTRIBUTES["toy"]))
            options |= dict(toy=kind, things=2 + int(rng.random() * 2))
        scene = toybox.sample(rng, **options)
        if task == "counts" or len(set(scene.attributes["toy"])) == len(scene.things):
            scenes.append(scene)
    return scenes


def _rows(task: str, scores: dict[str, dict[str, float]], n: int) -> list[dict]:
    floor, ceiling = scores["other_picture"], scores["round_trip"]
    return [
        _row(f"{task}_{key}", value, method, "higher", floor[key], ceiling[key], n)
        for method, row in scores.items()
        for key, value in row.items()
    ]


def _row(
    metric: str,
    value: float,
    method: str,
    better: str,
    floor: float | None = None,
    ceiling: float | None = None,
    n: int | None = None,
) -> dict:
    """One row; floor and ceiling are None where there is none, as for seconds."""
    numbers = dict(value=value, floor=floor, ceiling=ceiling)
    numbers = {k: x if x is None else round(x, 5) for k, x in numbers.items()}
    row = dict(lesson="bench", method=method, metric=metric) | numbers
    return row | dict(seeds=1, n=n, better=better, run="full")


def _costs(
    pipe, captions: list[str], name: str, true: Tensor, again: Tensor, steps, guidance
) -> list[dict]:
    """Seconds a picture alone and of 16, network calls, and what the VAE loses."""

    def some(k: int) -> Tensor:
        wanted = (captions * k)[:k]
        return draw(pipe, wanted, steps, guidance)

    with measure.calls(pipe.unet) as count:
        some(1)
    flat = true.mean((2, 3), keepdim=True).expand_as(true)  # the floor: a mean colour
    found, least = (measure.psnr(x, true).mean().item() for x in (again, flat))
    rows = [_row("vae_psnr", found, name, "higher", least, n=len(true))]
    rows += [
        _row(f"seconds_in_{k}", measure.seconds_per_image(some, k), name, "lower", n=k)
        for k in (1, 16)
    ]
    return rows + [_row("network_rows", count.rows, name, "lower", n=1)]


def megabytes(model: str | Path) -> float:
    """What the model's folder takes on disk, in 10^6 bytes."""
    folder = Path(model) if Path(model).is_dir() else models.path(str(model))
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6


def in_columns(columns: dict[str, dict[str, float]]) -> str:
    """Columns of numbers beside their names, as text; blank where there is none."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    widths = {title: max(8, len(title)) for title in columns}
    lines = [" " * 14 + "".join(f"  {t:>{w}}" for t, w in widths.items())]
    for name in names:
        found = {t: column.get(name) for t, column in columns.items()}
        said = {t: "" if x is None else f"{x:.3f}" for t, x in found.items()}
        cells = (f"  {said[t]:>{w}}" for t, w in widths.items())
        lines.append(f"{name:<14}" + "".join(cells))
    return "\n".join(lines)


BENCHES: dict[str, Callable[..., list[dict]]] = {
    "tiny": text_to_image,
    "editing": edit_pictures,
    "sampling": sampling_costs,
}
