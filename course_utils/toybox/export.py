"""The toybox as an ordinary folder of pictures, for other people's training scripts."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from course_utils.images import to_bytes
from course_utils.toybox.draw import render
from course_utils.toybox.sampling import sample
from course_utils.toybox.scene import describe


def export(
    folder: str | Path, n: int, split: str = "train", seed: int = 0, size: int = 64
) -> Path:
    """Write n pictures and `metadata.jsonl` into folder/split and return its path.

    The layout of `datasets.load_dataset("imagefolder", data_dir=folder)`. A row holds
    `file_name`, `text` (varied wording), `caption` (says all) and the attributes.
    """
    from PIL import Image  # only here: the rest of the toybox needs torch and numpy

    if n < 1:
        raise ValueError(f"n={n}: export at least one picture")
    place = Path(folder) / split
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "metadata.jsonl", "w", encoding="utf-8") as rows:
        for row, picture in _examples(n, split, seed, size):
            Image.fromarray(picture).save(place / row["file_name"])
            rows.write(json.dumps(row) + "\n")
    return place


def _examples(n: int, split: str, seed: int, size: int) -> Iterator[tuple]:
    """Rows of metadata with their pictures (size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    for start in range(0, n, 256):
        scenes = [sample(rng, split) for _ in range(min(256, n - start))]
        pictures = to_bytes(render(scenes, size))
        for k, (scene, picture) in enumerate(zip(scenes, pictures, strict=True), start):
            row = {"file_name": f"{k:06d}.png", "text": describe(scene, rng)}
            yield row | {"caption": scene.caption} | scene.attributes, picture
