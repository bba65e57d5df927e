"""What does a fast training recipe consist of? `course bench training` races them.

Each row trains the same network on the same pictures for the same minutes.
"""

import gc
import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from course_utils import models, session, training
from course_utils.images import check_whole
from course_utils.measure import race as reading
from course_utils.measure.bench import in_columns
from course_utils.recipes.components import Components, component, load_components
from course_utils.recipes.race import (
    ENTRIES,
    TRACKS,
    RaceExam,
    Track,
    contestant,
    race_curve,
    race_exam,
    race_step_weights,
    steps_redrawn,
)
from course_utils.recipes.tiny_sd import BATCH, trunk_batches
from course_utils.tiny import text

LIMIT = 10**7  # steps: the clock ends a training, not their number


def race_training(
    minutes: float = 15.0,
    seeds: int = 3,
    rows: str = "",
    small: bool = False,
    n: int = 96,
    work: str | Path = "build/race",
    into: str | Path = "build/bench/training.json",
) -> list[dict]:
    """Race the ENTRIES, or those named in `rows`; print, write and return the rows.

    minutes  of training a row, by the processor's clock; looks at it are not counted
    n        held-out captions of each kind at each of the looks
    small    one toy a picture and a thinner UNet: says something after three minutes
    work     keeps parts and the rows that are done: a race that is stopped goes on
    Rows are like those of scores.json, with one more key: `method`.
    """
    names = _checked(minutes, seeds, rows, n)
    root, track = Path(work), TRACKS[small]
    kind = "small" if small else "whole"
    places = {
        (name, seed): root / "rows" / f"{kind}-{minutes:g}-{n}-{name}-{seed}.json"
        for seed in range(seeds)
        for name in names
    }
    bounds = root / "rows" / f"{kind}-{n}-bounds.json"
    if not all(map(Path.exists, (bounds, *places.values()))):
        _race(places, bounds, track, minutes, n, root)
    runs = [json.loads(place.read_text("utf-8")) for place in places.values()]
    limits = json.loads(bounds.read_text("utf-8"))
    found = [row for name in names for row in _rows(name, runs, limits, n)]
    training.write_json(Path(into), found)
    training.write_json(Path(into).with_name("training-runs.json"), runs)
    print(f"\n{runs_in_columns(runs)}\n\n{into}: {len(found)} rows")
    return found


def _checked(minutes: float, seeds: int, rows: str, n: int) -> list[str]:
    check_whole(seeds, "seeds")
    check_whole(n, "n")
    if not 0 < minutes < 1e4:
        raise ValueError(f"minutes={minutes} must be above 0, such as 15")
    names = rows.split(",") if rows else list(ENTRIES)
    for name in names:
        if name not in ENTRIES:
            raise ValueError(f"rows={name!r} is none of: {', '.join(ENTRIES)}")
    return names


def _race(
    places: dict, bounds: Path, track: Track, minutes: float, n: int, root: Path
) -> None:
    """Train what is not there yet; parts, pictures and exam are made once for all."""
    torch.set_num_threads(session.threads(share=1))
    parts = race_parts(root / "small")
    exam = race_exam(parts, track.world, n)
    training.write_json(bounds, exam.bounds())
    for seed in dict.fromkeys(seed for _, seed in places):
        wanted = {k: p for k, p in places.items() if k[1] == seed and not p.exists()}
        if not wanted:
            continue
        weights = race_step_weights(ENTRIES["plain"])
        pictures = track.pictures
        shared = trunk_batches(parts, track.world, pictures, weights, seed)
        shared(torch.Generator().manual_seed(0), 0)  # encodes the pictures
        for (name, _), place in wanted.items():
            run = run_entry(name, seed, parts, shared, exam, track, 60 * minutes)
            training.write_json(place, run)
            gc.collect()


def race_parts(root: Path) -> Components:
    """VAE and alignment encoder of tiny; the small world's text encoder, trained now.

    That of tiny has learnt with its UNet: it would know too much.
    """
    words = component("text-encoder", root, steps=None, seed=0, small=True)
    shelf = models.path("tiny")
    places = {"vae": shelf / "vae", "alignment-encoder": shelf / "eye"}
    return load_components(places | {"text-encoder": words})


def run_entry(
    name: str,
    seed: int,
    parts: Components,
    batch: training.Batch,
    exam: RaceExam,
    track: Track,
    seconds: float,
) -> reading.Run:
    """Train one of the ENTRIES for so many seconds; what it could do when."""
    entry, features = ENTRIES[name], parts.alignment_encoder.ground.in_features
    memory = _peak_apart(name, track)
    torch.manual_seed(seed)
    trunk, optimizer, loss = contestant(entry, parts.text_encoder, features, track)
    states = training.train(
        trunk,
        steps_redrawn(batch, race_step_weights(entry)),
        loss,
        steps=LIMIT,
        decay=0.0,
        ema=0.998,
        seed=seed,
        optimizer=optimizer,
    )
    curve = []
    for look in race_curve(states, exam.look, seconds):
        curve.append(look)
        said = "  ".join(f"{k} {look[k]:.3f}" for k in ("loss", "one_toy"))
        print(f"{name}, seed {seed}: {look['seconds']:.0f} s {look['step']} {said}")
    last = curve[-1]
    rate = BATCH * last["step"] / last["seconds"]
    run = dict(entry=name, seed=seed, pictures=round(rate, 2))
    return run | dict(megabytes=memory, curve=curve)


def _peak_apart(name: str, track: Track) -> float | None:
    """Megabytes that training adds to a process of its own, at the most."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh) as pool:
        return pool.submit(peak_megabytes, name, track).result()


def peak_megabytes(name: str, track: Track, steps: int = 3) -> float | None:
    """What training adds to this process at the most, 10^6 bytes; None but on Linux."""
    if _most_memory() is None:
        return None
    torch.set_num_threads(session.threads(share=1))
    tokenizer = text.build_tokenizer()
    tokens = text.tokenise(tokenizer, [""] * BATCH)
    x0, maps = torch.randn(BATCH, 4, 16, 16), torch.randn(BATCH, 64, 8, 8)
    t = torch.arange(BATCH)
    encoder = text.build_text_encoder(tokenizer)
    before = _most_memory()
    trunk, optimizer, loss = contestant(ENTRIES[name], encoder, maps.shape[1], track)
    states = training.train(
        trunk, lambda *_: (x0, x0, t, tokens, maps), loss,
        steps=steps, optimizer=optimizer,
    )  # fmt: skip
    for _ in states:
        pass
    return round(_most_memory() - before, 1)


def _most_memory() -> float | None:
    """The most memory this process has held, 10^6 bytes.

    Not of `resource`: what it says of a fresh process, it has from the parent.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) * 1024 / 1e6


def _rows(name: str, runs: list[reading.Run], limits: dict, n: int) -> list[dict]:
    """Rows of one entry, means over its seeds; None where a share was not reached."""
    own = [run for run in runs if run["entry"] == name]
    table = {row["entry"]: row for row in reading.race_table(runs)}[name]
    last = [run["curve"][-1] for run in own]
    found = {
        "pictures_a_second": (table["pictures"], "higher"),
        "peak_megabytes": (table["megabytes"], "lower"),
        "error_same_seconds": (table["same_seconds"], "lower"),
        "error_same_steps": (table["same_steps"], "lower"),
    }
    tasks = [task for task in ("one_toy", "two_toys") if task in last[0]]
    found |= {x: (sum(look[x] for look in last) / len(last), "higher") for x in tasks}
    for share in reading.MARKS:
        looks = [reading.reached(run, share) for run in own]
        known = all(looks)
        for key, unit in (("minutes", 60), ("steps", 1)):
            field = "seconds" if key == "minutes" else "step"
            mean = sum(x[field] for x in looks) / len(looks) / unit if known else None
            found[f"{key}_to_{100 * share:.0f}"] = (mean, "lower")
    rows = []
    for metric, (value, better) in found.items():
        ends = {k: limits[k].get(metric) for k in ("floor", "ceiling")}
        value = value if value is None else round(value, 5)
        row = dict(lesson="bench", method=name, metric=metric, value=value) | ends
        rows.append(row | dict(seeds=len(own), n=n, better=better, run="full"))
    return rows


def runs_in_columns(runs: list[reading.Run]) -> str:
    """The race's table as text."""
    rows = reading.race_table(runs)
    known = [{k: x for k, x in row.items() if x is not None} for row in rows]
    return in_columns({row.pop("entry"): row for row in known})
