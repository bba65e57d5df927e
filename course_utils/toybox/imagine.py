"""A scene for a caption that leaves things open."""

import numpy as np

from course_utils.toybox.palette import ALLOWED
from course_utils.toybox.parsing import parse
from course_utils.toybox.scene import (
    ATTRIBUTES,
    FACES,
    HELD_OUT,
    OF_A_THING,
    PAIRS,
    PLACES,
    TRIPLES,
    Scene,
    Thing,
)


def imagine(caption: str, rng: np.random.Generator) -> Scene:
    """A random scene of which the caption is true; what it does not say is drawn.

    ValueError where the caption cannot be read, or leaves its toys no room.
    """
    said = parse(caption)
    cells = {1: [(c,) for c in range(9)], 2: PAIRS, 3: TRIPLES}[said["count"]]
    spots = [[PLACES[c] for c in spot] for spot in cells]
    if all(said.get("place", [None])):
        spots = [said["place"]]
    for _ in range(1000):
        ground = said.get("ground") or _one(rng, ATTRIBUTES["ground"])
        pairs = zip(_looks(said, ground, rng), _one(rng, spots), strict=True)
        scene = Scene([Thing(**look, place=place) for look, place in pairs], ground)
        if _true(said, scene) and len({t.place for t in scene.things}) == len(spots[0]):
            return scene
    raise ValueError(f"no scene fits {caption!r}; leave out a place or relation")


def _one(rng: np.random.Generator, values: list):
    return values[int(rng.random() * len(values))]


def _looks(said: dict, ground: str, rng: np.random.Generator) -> list[dict]:
    """Every toy's attributes but its place; equal toys get equal ones."""
    given = [
        {n: said[n][k] for n in OF_A_THING if n in said and n != "place" and said[n][k]}
        for k in range(said["count"])
    ]
    looks = []
    for k, look in enumerate(given):
        if k and look == given[0]:
            looks.append(looks[0])
            continue
        colours = [c for c in ALLOWED[ground] if c != HELD_OUT[look["toy"]]]
        drawn = {n: _one(rng, ATTRIBUTES[n]) for n in ("size", "pattern", "mood")}
        if look["toy"] not in FACES:
            del drawn["mood"]
        looks.append({"colour": _one(rng, colours)} | drawn | look)
    return looks


def _true(said: dict, scene: Scene) -> bool:
    """Whether all that is said holds in the scene."""
    for name, value in said.items():
        actual = scene.attributes.get(name)
        if not isinstance(value, list):
            value, actual = [value], [actual]
        pairs = zip(value, actual or [None] * len(value), strict=True)
        if any(v is not None and v != a for v, a in pairs):
            return False
    return True
