"""Dancing dolls: who dances, and how.

    scene = toybox.sample_dancer(rng)           # a doll with legs, in the middle
    moves = toybox.dance("jumping jack", 16)    # (16, 4) degrees
    toybox.perform(scene, moves)                # a scene for each frame

A row of moves says how far the left and the right arm are raised, from -90, down, to
90, up, and how far the left and the right leg, from 0, down, to 90, sideways.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from course_utils.images import check_whole
from course_utils.toybox.attributes import check_rng
from course_utils.toybox.sampling import sample
from course_utils.toybox.scene import Scene, check_scene

# key poses, one after the other and round again, in steps of four frames
DANCES = {
    "jumping jack": [(-60, -60, 0, 0), (75, 75, 50, 50)],
    "wave": [(-50, 20, 0, 0), (-50, 80, 0, 0)],
    "march": [(40, -50, 0, 55), (-50, 40, 55, 0)],
    "kick": [(30, 30, 0, 0), (-20, 60, 0, 85), (30, 30, 0, 0), (60, -20, 85, 0)],
    "sway": [(60, -60, 0, 30), (0, 0, 10, 10), (-60, 60, 30, 0), (0, 0, 10, 10)],
}
KEY = 4  # frames from one key pose to the next
SCALE = 1.3  # of a dancer, to a big doll


def dance(moves: str | Sequence[Sequence[float]], frames: int = 16) -> np.ndarray:
    """Moves of a dance by name, or through key poses of yours: (frames, 4) degrees.

    Every KEY frames one of the key poses is reached; between them moves are smooth.
    """
    check_whole(frames, "frames", 2)
    if isinstance(moves, str):
        if moves not in DANCES:
            raise ValueError(f"moves={moves!r} is not one of: {', '.join(DANCES)}")
        moves = DANCES[moves]
    keys = check_moves(moves)
    at = np.arange(frames) / KEY
    before = at.astype(int)
    share = 0.5 - 0.5 * np.cos(np.pi * (at - before))[:, None]
    start, end = keys[before % len(keys)], keys[(before + 1) % len(keys)]
    return start + share * (end - start)


def check_moves(moves: Sequence[Sequence[float]]) -> np.ndarray:
    """Moves as an array (n, 4); ValueError where no doll can do them."""
    found = np.asarray(moves, dtype=float)
    if found.ndim != 2 or found.shape[1] != 4 or not np.isfinite(found).all():
        raise ValueError(
            f"moves has shape {found.shape}: pass rows of left arm, right arm, left "
            "leg, right leg, in degrees"
        )
    arms, legs = found[:, :2], found[:, 2:]
    if abs(arms).max() > 90 or legs.min() < 0 or legs.max() > 90:
        raise ValueError("moves: arms lie in -90..90 degrees, legs in 0..90")
    return found


def random_dance(rng: np.random.Generator, frames: int = 16) -> np.ndarray:
    """Moves through random key poses: (frames, 4) degrees."""
    check_rng(rng)
    keys = rng.uniform((-75, -75, 0, 0), (85, 85, 85, 85), (frames // KEY + 2, 4))
    keys[:, 2:] *= rng.random((len(keys), 2)) < 0.6  # often a leg stands
    return dance(keys, frames)


def sample_dancer(rng: np.random.Generator, split: str = "train", **choices) -> Scene:
    """A scene of a big doll with legs in the middle; choices as in `sample`."""
    fixed = dict(toy="doll", size="big", place="middle")
    scene = sample(rng, split, 1, **choices | fixed)
    look = dict(shift=(0.0, 0.0), scale=SCALE, pose=(0.0, 0.0), legs=(0.0, 0.0))
    return Scene([dataclasses.replace(scene.things[0], **look)], scene.ground)


def perform(scene: Scene, moves: Sequence[Sequence[float]]) -> list[Scene]:
    """The scene of each frame: its doll does the moves (F, 4)."""
    check_scene(scene)
    doll = scene.things[0]
    if len(scene.things) != 1 or doll.toy != "doll":
        raise ValueError(f"scene must show one doll, not {scene.caption!r}")
    rows = check_moves(moves).tolist()
    frames = [
        dataclasses.replace(doll, pose=(a, b), legs=(c, d)) for a, b, c, d in rows
    ]
    return [Scene([thing], scene.ground) for thing in frames]
