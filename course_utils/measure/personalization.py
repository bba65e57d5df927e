"""What does a subject cost? DreamBooth with and without prior, and LoRAs of some ranks.

One subject, several seeds: each has its own five photos, its own prior pictures and its
own noise. A row says how far a training had come after so many steps:

    likeness, marks   of 18 pictures of prompts with the rare token (measure.subjects)
    prompt            share of ground, place and number that are as the prompts say
    class_likeness    of the plain class to the subject, of 48 pictures
    right, variety    of the plain class; drift is what is lost of their product
    seconds           of training until there
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from course_utils import models, session, toybox
from course_utils.measure import subjects
from course_utils.methods import dreambooth
from course_utils.models import pipelines
from course_utils.training import State, write_json

SUBJECT = toybox.Subject(
    "star", "yellow", marks={"hat": "purple", "wings": "green", "shoes": "red"}
)
TOKEN, NOUN = "a sks star", "a star"
CLASS_PICTURES = 48  # of the plain class, from the same noise for every way
# name -> rank of the LoRA (None trains all), prior preservation, steps to look after
WAYS = {
    "with prior": (None, True, (40, 80, 160)),
    "without prior": (None, False, (40, 80, 160)),
    "LoRA, rank 8": (8, True, (40, 80, 160)),
    "LoRA, rank 2": (2, True, (160,)),
    "LoRA, rank 32": (32, True, (160,)),
}


def _taught(pipe, seed: int, way: str) -> Iterator[tuple[State, dreambooth.Learner]]:
    """Train in one of the WAYS, yielding the state and the learner at each step."""
    rank, with_prior, marks = WAYS[way]
    photos = toybox.portray(SUBJECT, toybox.photo_scenes(SUBJECT, seed=seed)[0])
    prior = prior_of(pipe, seed) if with_prior else None
    learner = dreambooth.Learner(pipe, rank)
    options = dict(steps=max(marks), seed=seed)
    for state in dreambooth.dreambooth(learner, photos, TOKEN, NOUN, prior, **options):
        yield state, learner


def prior_of(pipe, seed: int) -> Tensor:
    """64 pictures of the class, without guidance, which would make them more alike."""
    seed = 5000 + 100 * seed
    return pipelines.draw(pipe, [NOUN] * 64, steps=10, guidance=1.0, seed=seed)


def row_of_pipe(pipe, before: Tensor, seed: int) -> dict[str, float]:
    """The scores of a pipeline; `before` are its base's pictures of the class."""
    seen = toybox.photo_scenes(SUBJECT, seed=seed)[0]
    scenes = subjects.prompt_scenes(SUBJECT, seen)
    images = pipelines.draw(
        pipe, subjects.prompts(scenes, "sks"), steps=10, seed=900 + 100 * seed
    )
    plain = plain_class(pipe, seed)
    return {
        "likeness": subjects.likeness(images, SUBJECT).mean().item(),
        "marks": subjects.marks_present(images, SUBJECT).float().mean().item(),
        "prompt": subjects.prompt_scores(images, scenes)["all"],
        "class_likeness": subjects.likeness(plain, SUBJECT).mean().item(),
        "drift": subjects.drift(plain, before, SUBJECT.toy),
    } | subjects.class_kept(plain, SUBJECT.toy)


def plain_class(pipe, seed: int) -> Tensor:
    """Pictures of the class without the token, the same noise for every pipeline."""
    seed = 20_000 + 100 * seed
    return pipelines.draw(pipe, [NOUN] * CLASS_PICTURES, steps=10, seed=seed)


def bounds(pipe, seed: int) -> list[dict]:
    """Rows of the floors, untouched and by chance, and the ceiling: what the VAE keeps.

    By chance: the prompt scores of pictures that were drawn of other prompts.
    """
    seen = toybox.photo_scenes(SUBJECT, seed=seed)[0]
    scenes = subjects.prompt_scenes(SUBJECT, seen)
    true = pipelines.round_trip(pipe.vae, toybox.portray(SUBJECT, scenes))
    floor = row_of_pipe(pipe, plain_class(pipe, seed), seed)
    chance = {"prompt": subjects.prompt_scores(true.roll(4, 0), scenes)["all"]}
    ceiling = {
        "likeness": subjects.likeness(true, SUBJECT).mean().item(),
        "marks": subjects.marks_present(true, SUBJECT).float().mean().item(),
        "prompt": subjects.prompt_scores(true, scenes)["all"],
    }
    rows = {"untouched": floor, "other prompts": chance, "VAE round trip": ceiling}
    return [dict(way=way, seed=seed, steps=0) | row for way, row in rows.items()]


def personalize(
    seeds: int = 3, ways: tuple = tuple(WAYS), into: str | Path = "dreambooth.json"
) -> list[dict]:
    """All rows for the seeds and WAYS; printed and written as they come.

    What `into` has already is not measured again: a run that was stopped goes on.
    """
    into = Path(into)
    pipe = models.load("text-to-image", "tiny").to(session.device)
    pipe.set_progress_bar_config(disable=True)
    rows = json.loads(into.read_text("utf-8")) if into.is_file() else []
    known = {(row["way"], row["seed"]) for row in rows}
    for seed in range(seeds):
        if ("untouched", seed) not in known:
            rows += bounds(pipe, seed)
    for way in ways:
        for seed in range(seeds):
            if (way, seed) in known:
                continue
            for row in _course(pipe, way, seed):
                rows.append(row)
                print({k: _short(v) for k, v in row.items()}, flush=True)
            write_json(into, _rounded(rows))
    return rows


def _course(pipe, way: str, seed: int) -> Iterator[dict]:
    """The rows of one training; its seconds are those of the processor."""
    before = plain_class(pipe, seed)
    spent, last = 0.0, time.process_time()
    for state, learner in _taught(pipe, seed, way):
        if state.step in WAYS[way][2]:
            spent += time.process_time() - last
            known = dict(way=way, seed=seed, steps=state.step, seconds=spent)
            yield known | row_of_pipe(learner.pipe, before, seed)
            last = time.process_time()


def _short(value):
    return round(value, 3) if isinstance(value, float) else value


def _rounded(rows: list[dict]) -> list[dict]:
    """Rows with four digits."""
    return [
        {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    ]


def last_rows(rows: list[dict]) -> list[list[str]]:
    """Each way at its last step, means over the seeds: a table of texts."""
    keys = ("likeness", "marks", "prompt", "drift", "seconds")
    table = [["way", *keys]]
    for way in dict.fromkeys(row["way"] for row in rows):
        found = [row for row in rows if row["way"] == way]
        last = [row for row in found if row["steps"] == max(r["steps"] for r in found)]
        table.append([way, *(_mean(last, key) for key in keys)])
    return table


def _mean(rows: list[dict], key: str) -> str:
    values = [row[key] for row in rows if key in row]
    return f"{sum(values) / len(values):.2f}" if values else ""
