"""The toybox as ordinary folders of pictures, for other people's training scripts.

`export` writes an imagefolder with captions, conditions and edits; the training scripts
among diffusers' examples find what they need in it by these flags. FOLDER is the folder
that was given, with FOLDER/train in it:

    train_text_to_image.py, train_text_to_image_lora.py
        --train_data_dir FOLDER/train --image_column image --caption_column text
    train_controlnet.py         after export(..., conditions=["edges"])
        --train_data_dir FOLDER --image_column image --caption_column text
        --conditioning_image_column edges
    train_instruct_pix2pix.py   after export(..., edits=True)
        --train_data_dir FOLDER/train --original_image_column image
        --edited_image_column edited_image --edit_prompt_column edit_prompt

`export_pictures` writes a folder of nothing but pictures, as these want it:

    textual_inversion.py        --train_data_dir SUBJECT
    train_dreambooth.py, train_dreambooth_lora.py
        --instance_data_dir SUBJECT --with_prior_preservation --class_data_dir CLASS

    export_pictures("subject", 6, split="unseen", things=1, toy="cat", colour="orange")
    export_pictures("class", 100, things=1, toy="cat")

All of them take --resolution 64.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from course_utils.images import check_whole, to_bytes
from course_utils.toybox.attributes import ATTRIBUTES
from course_utils.toybox.conditions import CONDITIONS
from course_utils.toybox.draw import render
from course_utils.toybox.edits import apply, instruct
from course_utils.toybox.random_edits import random_edit
from course_utils.toybox.sampling import sample
from course_utils.toybox.scene import Scene, describe
from course_utils.training import write_whole


def export(
    folder: str | Path,
    n: int,
    split: str = "train",
    seed: int = 0,
    size: int = 64,
    conditions: Sequence[str] = (),
    edits: bool = False,
    **choices,
) -> Path:
    """Write n pictures and `metadata.jsonl` into folder/split and return its path.

    The layout of `datasets.load_dataset("imagefolder", data_dir=folder)`, whose columns
    are:

    image         the picture (`file_name` in the file)
    text          its caption in varied wording; `caption` says all
    toy, ...      the attributes; a mood or relation that is not there is ""
    edges, ...    a picture for each of the `conditions`: edges, scribble, segmentation,
                  pose (dolls only; choose toy="doll"), depth
    edit_prompt, edited_image, edited_caption       with `edits`: an instruction, and
                  the picture and the caption after it

    `choices` go to `toybox.sample`. Which flags make a script read this is told at the
    top of the module. Give all splits of one folder the same conditions and edits.
    ValueError for an unknown condition, and where the folder is not empty.
    """
    check_whole(n, "n")
    check_whole(seed, "seed", 0)
    conditions = _checked(conditions)
    place = _new_folder(Path(folder) / split)
    for name in (*conditions, *(["edited_image"] if edits else [])):
        (place / name).mkdir()
    lines = []
    for row, pictures in _examples(n, split, seed, size, conditions, edits, choices):
        for file, pixels in pictures.items():
            _save(place / file, pixels)
        lines.append(json.dumps(row) + "\n")
    write_whole(place / "metadata.jsonl", "".join(lines))  # when all pictures are there
    return place


def export_pictures(
    folder: str | Path,
    n: int,
    split: str = "train",
    seed: int = 0,
    size: int = 64,
    **choices,
) -> Path:
    """Write n pictures and nothing else into folder, and return its path.

    `choices` go to `toybox.sample`: toy="cat", things=1 makes n cats.
    """
    check_whole(n, "n")
    check_whole(seed, "seed", 0)
    rng = np.random.default_rng(seed)
    scenes = [sample(rng, split, **choices) for _ in range(n)]
    place = _new_folder(Path(folder))
    for k, scene in enumerate(scenes):
        [pixels] = to_bytes(render([scene], size))
        _save(place / f"{k:06d}.png", pixels)
    return place


def _examples(
    n: int,
    split: str,
    seed: int,
    size: int,
    conditions: Sequence[str],
    edits: bool,
    choices: dict,
) -> Iterator[tuple[dict, dict]]:
    """Rows of metadata, each with its pictures: file name -> uint8 (size, size, C)."""
    rng = np.random.default_rng(seed)
    changes = np.random.default_rng([seed, 1])  # so that edits change no scene
    for start in range(0, n, 256):
        scenes = [sample(rng, split, **choices) for _ in range(min(256, n - start))]
        drawn = {"": render(scenes, size)}
        drawn |= {c: CONDITIONS[c](scenes, size) * 2 - 1 for c in conditions}
        if edits:
            wanted = [random_edit(scene, changes) for scene in scenes]
            after = [apply(*pair) for pair in zip(scenes, wanted, strict=True)]
            drawn["edited_image"] = render(after, size)
        drawn = {name: to_bytes(images) for name, images in drawn.items()}
        for k, scene in enumerate(scenes):
            files = {c: f"{c}/{start + k:06d}.png".lstrip("/") for c in drawn}
            row = {"file_name": files[""], "text": describe(scene, rng)}
            row |= {"caption": scene.caption} | _columns(scene)
            row |= {f"{c}_file_name": file for c, file in files.items() if c}
            if edits:
                row["edit_prompt"] = instruct(wanted[k], changes)
                row["edited_caption"] = after[k].caption
            yield row, {files[c]: images[k] for c, images in drawn.items()}


def _columns(scene: Scene) -> dict:
    """The attributes, all of them in every row: "" for a mood or relation of nothing.

    `datasets` wants the same columns, of the same types, in the rows of all splits.
    """
    said = scene.attributes | {"mood": [t.mood or "" for t in scene.things]}
    return {name: said.get(name, "") for name in ATTRIBUTES}


def _checked(conditions: Sequence[str]) -> list[str]:
    conditions = [conditions] if isinstance(conditions, str) else conditions
    if not isinstance(conditions, list | tuple):
        raise ValueError(f"conditions must be a list of names, not {conditions!r}")
    for name in conditions:
        if name not in list(CONDITIONS):
            raise ValueError(
                f"conditions: no {name!r}; there are {', '.join(CONDITIONS)}"
            )
    return conditions


def _new_folder(place: Path) -> Path:
    """Make it; ValueError if there is something in it, which scripts would read too."""
    if place.exists() and any(place.iterdir()):
        raise ValueError(f"folder: {place} is not empty; name another, or clear it")
    place.mkdir(parents=True, exist_ok=True)
    return place


def _save(path: Path, pixels: np.ndarray) -> None:
    """Write a picture (H, W, 1 or 3) of bytes as RGB."""
    from PIL import Image  # only here: the rest of the toybox needs torch and numpy

    whole = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    Image.fromarray(np.ascontiguousarray(whole)).save(path)
