"""What can each way of changing pictures do? `course bench editing` compares them all.

The same edits for every method, seven kinds of them (measure.edits), and one row each:

    success        share of edits made, as the oracle reads them
    preservation   share of all other attributes that are as they were
    psnr_outside   dB, to the scene, where the true result does not differ from it
    psnr_target    dB, to the true result
    mask_iou       of the mask that the method used with the exact one, or None
    seconds        an edit, in chunks of CHUNK on this computer
    calls          an edit: the rows that its network was given
    by_kind        success and preservation of each kind of edit

and, as `success_std` and `preservation_std`, their spread over seeds, None for one
seed: each seed draws other noise for the same edits.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils import measure, models, session
from course_utils.images import check_whole
from course_utils.measure.editors import METHODS, WEIGHTS, Edited, at_grain
from course_utils.measure.edits import KINDS, Triple, changed, edit_scores, triples
from course_utils.training import write_json

CHUNK = 21  # three edits of each kind, in one batch
SEED = 10_000  # from one seed to the next: no two edits share their noise


def edit_pictures(
    model: str | Path = "tiny",
    n: int = 105,
    seeds: int = 3,
    methods: Sequence[str] = tuple(METHODS),
    into: str | Path = "build/bench/editing.json",
) -> list[dict]:
    """Try the METHODS on n edits with each of `seeds` seeds; print and write the rows.

    model  a shipped name or a folder that StableDiffusionPipeline loads, of 64x64
    A bench that is stopped goes on, with the same settings, where it stopped.
    """
    check_whole(n, "n")
    check_whole(seeds, "seeds")
    for name in methods:
        if name not in METHODS:
            raise ValueError(f"methods: no {name!r}; there are {', '.join(METHODS)}")
    torch.set_num_threads(session.threads(share=1))
    edits, into = triples(n), Path(into)
    settings = dict(model=str(model), n=n, seeds=seeds)
    part = into.with_suffix(".part.json")
    done = _finished(part, settings)
    print(f"{model}: {n} edits, {seeds} seeds; success and preservation in %\n")
    print(as_text(overview([])))
    for name in methods:
        if name not in done:
            done[name] = row_of(name, edits, seeds, pipe_for(name, model))
            write_json(part, settings | dict(rows=list(done.values())))
        print(as_text(overview([done[name]])[1:]), flush=True)
    rows = [done[name] for name in methods]
    print(f"\nsuccess / preservation by kind of edit, %\n\n{as_text(by_kind(rows))}")
    write_json(into, rows)
    part.unlink(missing_ok=True)
    print(f"\n{into}: {len(rows)} rows")
    return rows


def pipe_for(method: str, model: str | Path):
    """The pipeline that a method works with: the model, or one trained for it."""
    task, name = WEIGHTS.get(method, ("text-to-image", model))
    pipe = models.load(task, name).to(session.device)
    pipe.set_progress_bar_config(disable=True)
    size = pipe.unet.config.sample_size * pipe.vae_scale_factor
    if size != 64:
        raise ValueError(
            f"model={str(name)!r} draws {size}x{size} pictures; the edits have 64x64"
        )
    return pipe


def row_of(name: str, edits: Sequence[Triple], seeds: int, pipe) -> dict:
    """One method's row."""
    scores, seconds, calls = [], 0.0, 0
    for seed in range(seeds):
        start = time.perf_counter()
        with measure.calls(pipe.unet) as count:
            edited = _in_chunks(name, edits, SEED * seed, pipe)
        seconds += time.perf_counter() - start
        calls += count.rows
        scores.append(_scores(edited, edits))
    every = {key: torch.stack([s[key] for s in scores]) for key in scores[0]}
    row = dict(method=name) | {key: _mean(x) for key, x in every.items()}
    row |= {f"{key}_std": _spread(every[key]) for key in ("success", "preservation")}
    row |= dict(seconds=round(seconds / seeds / len(edits), 4))
    row |= dict(calls=round(calls / seeds / len(edits), 2), seeds=seeds, n=len(edits))
    there = [triple.edit.attribute for triple in edits]
    for kind in [kind for kind in KINDS if kind in there]:
        some = torch.tensor([x == kind for x in there])
        both = {key: _mean(every[key][:, some]) for key in ("success", "preservation")}
        row.setdefault("by_kind", {})[kind] = both
    return row


def overview(rows: Sequence[dict]) -> list[list[str]]:
    """What the rows say, as a table of texts: first its head, then a line for each."""
    head = "method,success,preserved,dB outside,dB target,mask IoU,seconds,calls"
    table = [head.split(",")]
    for row in rows:
        shares = [
            _percent(row[key], row[f"{key}_std"]) for key in ("success", "preservation")
        ]
        decibels = [_decibels(row[key]) for key in ("psnr_outside", "psnr_target")]
        rest = _said(row["mask_iou"], 2), _said(row["seconds"], 2)
        table.append([row["method"], *shares, *decibels, *rest, f"{row['calls']:.0f}"])
    return table


def by_kind(rows: Sequence[dict]) -> list[list[str]]:
    """Success / preservation of each kind of edit, in %, like overview's table."""
    kinds = list(rows[0]["by_kind"]) if rows else []
    table = [["method", *kinds]]
    for row in rows:
        pairs = (row["by_kind"][kind].values() for kind in kinds)
        cells = [" / ".join(f"{share * 100:.0f}" for share in pair) for pair in pairs]
        table.append([row["method"], *cells])
    return table


def as_text(table: Sequence[Sequence[str]]) -> str:
    """A table in columns; their width is always the same."""
    return "\n".join(
        f"{first:<19}" + "".join(f"{cell:>11}" for cell in rest)
        for first, *rest in table
    )


def as_markdown(table: Sequence[Sequence[str]]) -> str:
    """A table for a README."""
    head, *lines = table
    ruler = ["---", *["---:"] * (len(head) - 1)]
    lines = [[f"`{first}`", *rest] for first, *rest in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ruler, *lines])


def _percent(share: float, spread: float | None) -> str:
    more = "" if spread is None else f" ± {spread * 100:.0f}"
    return f"{share * 100:.0f}{more}"


def _decibels(value: float | None) -> str:
    return "same" if value is not None and value > 100 else _said(value, 1)


def _said(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _in_chunks(name: str, edits: Sequence[Triple], seed: int, pipe) -> Edited:
    """All the edits by one method, edit k from the noise of seed + k."""
    found = []
    parts = range(0, len(edits), CHUNK)
    for i in tqdm(parts, name, disable=len(parts) == 1, leave=False):
        found.append(METHODS[name](pipe, edits[i : i + CHUNK], seed + i))
    images, masks = zip(*found, strict=True)
    return Edited(torch.cat(images), None if masks[0] is None else torch.cat(masks))


def _scores(edited: Edited, edits: Sequence[Triple]) -> dict[str, Tensor]:
    """What edit_scores says, and the masks' IoU at their own grain (nan without)."""
    scores = edit_scores(edited.images, edits)
    scores["mask_iou"] = torch.full((len(edits),), torch.nan)
    if edited.masks is not None:
        masks = edited.masks.cpu()
        exact = at_grain(changed(edits), masks.shape[2:])
        scores["mask_iou"] = measure.iou(masks, exact)
    return scores


def _mean(values: Tensor) -> float | None:
    """The mean of all that is not nan; None if nothing is left."""
    mean = values.nanmean().item()
    return round(mean, 5) if mean == mean else None


def _spread(values: Tensor) -> float | None:
    """The standard deviation over seeds, (seeds, n); None for one seed."""
    return round(values.mean(1).std().item(), 5) if len(values) > 1 else None


def _finished(part: Path, settings: dict) -> dict[str, dict]:
    """The rows that a bench with these settings left when it was stopped, by method."""
    found = json.loads(part.read_text("utf-8")) if part.is_file() else {}
    rows = found.pop("rows", [])
    if found != settings:
        return {}
    print(f"going on from {part}: {', '.join(row['method'] for row in rows)}")
    return {row["method"]: row for row in rows}
