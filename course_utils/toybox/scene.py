"""What there is in the toybox: things, scenes, their captions and splits.

A `Scene` is one, two or three `Thing`s on a ground. Everything that a caption can say
is an attribute; `shift`, `scale`, `turn` and `pose` are what a caption leaves open.
"""

import math
import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from course_utils.toybox.attributes import (
    ATTRIBUTES,
    CELL,
    FACES,
    HELD_OUT,
    OF_A_THING,
    PLACES,
    WIDTH,
    check_mood,
    check_places,
    known,
    relation_of,
)
from course_utils.toybox.words import leave_out, say


@dataclass(frozen=True)
class Thing:
    """One toy. Lengths are in picture widths, angles in degrees clockwise.

    `shift` keeps the toy's centre in the picture; `scale` is above 0 and at most 2;
    `pose` is how far a doll raises its left and right arm, from -90, down, over 0,
    sideways, to 90, up; `legs` gives it legs to dance with, each raised sideways by 0
    to 90. Anything else is a ValueError.
    """

    toy: str
    colour: str
    size: str = "big"
    pattern: str = "plain"
    place: str = "middle"
    mood: str | None = None  # happy unless said otherwise; None where there is no face
    shift: tuple[float, float] = (0.0, 0.0)  # right, down
    scale: float = 1.0
    turn: float = 0.0
    pose: tuple[float, float] = (0.0, 0.0)
    legs: tuple[float, float] | None = None

    def __post_init__(self):
        """Refuse unknown attributes and impossible numbers; give faces a mood."""
        if self.toy in FACES and self.mood is None:
            object.__setattr__(self, "mood", "happy")
        for name, value in self.attributes.items():
            if value not in ATTRIBUTES[name] and (name, value) != ("mood", None):
                known(name, value)
        check_mood(self.toy, self.mood)
        self._check_numbers()

    def _check_numbers(self) -> None:
        """Refuse what no picture can show."""
        for name in ("shift", "pose", "legs"):
            pair = getattr(self, name)
            if name == "legs" and pair is None:
                continue
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise ValueError(f"{name}={pair!r} must be two numbers")
        legs = self.legs or (0.0, 0.0)
        for number in (self.scale, self.turn, *self.shift, *self.pose, *legs):
            if not isinstance(number, float | int) or not math.isfinite(number):
                raise ValueError(
                    f"{number!r}: scale, turn, shift, pose and legs must be finite "
                    "numbers"
                )
        if self.legs and (self.toy != "doll" or not 0 <= min(legs) <= max(legs) <= 90):
            raise ValueError(
                f"legs={self.legs} are for dolls, and lie in 0..90 degrees"
            )
        if not 0 < self.scale <= 2:
            raise ValueError(f"scale={self.scale} must be above 0 and at most 2")
        if not -90 <= min(self.pose) <= max(self.pose) <= 90:
            raise ValueError(f"pose={self.pose} must lie in -90..90 degrees")
        x, y = self.centre
        if not 0 <= x <= 1 or not 0 <= y <= 1:
            raise ValueError(
                f"shift={self.shift} puts the {self.toy} at the {self.place} out of "
                "the picture: a shift is a share of the picture's width, such as 0.02"
            )

    @property
    def attributes(self) -> dict[str, str | None]:
        """What a caption says about the thing."""
        return {name: getattr(self, name) for name in OF_A_THING}

    @property
    def cell(self) -> int:
        """Number of the place, 0..8 in reading order."""
        return PLACES.index(self.place)

    @property
    def centre(self) -> tuple[float, float]:
        """x (right) and y (down) in picture widths."""
        row, column = divmod(self.cell, 3)
        x = 0.5 + CELL * (column - 1) + self.shift[0]
        return x, 0.5 + CELL * (row - 1) + self.shift[1]

    @property
    def width(self) -> float:
        """Width in picture widths."""
        return WIDTH[self.size] * self.scale


@dataclass(frozen=True)
class Scene:
    """One to three things, far to near, on a ground."""

    things: list[Thing]
    ground: str = "plain cream"

    def __post_init__(self):
        """Refuse an empty or crowded scene and unknown grounds."""
        things = self.things
        if not isinstance(things, list | tuple) or any(
            not isinstance(thing, Thing) for thing in things
        ):
            raise ValueError(
                "things must be a list of Thing, such as [Thing('cat', 'red')], not "
                f"{things!r}"
            )
        object.__setattr__(self, "things", list(things))
        if not 1 <= len(things) <= 3:
            raise ValueError(f"things: a scene has 1, 2 or 3, not {len(things)}")
        check_places([thing.place for thing in things])
        known("ground", self.ground)

    @cached_property
    def attributes(self) -> dict:
        """Attribute -> value, or list of values in the order of the things.

        `mood` is there if a thing has a face, `relation` (of the first thing to the
        second) if there are two.
        """
        said = {name: [getattr(t, name) for t in self.things] for name in OF_A_THING}
        if not any(said["mood"]):
            del said["mood"]
        said |= {"ground": self.ground, "count": len(self.things)}
        relation = relation_of([t.cell for t in self.things])
        return said | ({"relation": relation} if relation else {})

    @cached_property
    def caption(self) -> str:
        """Says every attribute; `parse` gives them all back."""
        return say(self.attributes)

    @property
    def split(self) -> str:
        """The split that the scene belongs to: train, test or unseen."""
        if any(HELD_OUT[t.toy] == t.colour for t in self.things):
            return "unseen"
        return "test" if zlib.crc32(self.caption.encode()) % 8 == 0 else "train"


def check_scenes(scenes: object, name: str = "scenes") -> None:
    """Refuse anything but a list of one Scene or more."""
    wrong = [scenes]
    if isinstance(scenes, list | tuple):
        wrong = [scene for scene in scenes if not isinstance(scene, Scene)]
    if wrong:
        raise ValueError(
            f"{name} must be a list of Scene, such as [toybox.sample(rng)]; this is, "
            f"or has in it, {_kind(wrong[0])}"
        )
    if not scenes:
        raise ValueError(f"{name} is empty: give at least one Scene")


def check_scene(scene: object) -> None:
    """Refuse anything but one Scene."""
    if not isinstance(scene, Scene):
        raise ValueError(
            f"scene must be one Scene, such as toybox.sample(rng), not {_kind(scene)}"
        )


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def describe(scene: Scene, rng: np.random.Generator, keep: float = 0.75) -> str:
    """The scene in varied wording, attributes left out at random.

    keep is about the share of them that stays: the lower, the shorter the caption.
    `parse` gives back exactly what it says.
    """
    check_scene(scene)
    return say(leave_out(scene.attributes, rng, keep), rng)
