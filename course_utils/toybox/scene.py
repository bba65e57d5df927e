"""What there is in the toybox: things, scenes, their captions and splits.

A `Scene` is one, two or three `Thing`s on a ground. Everything that a caption can say
is an attribute; `shift`, `scale`, `turn` and `pose` are what a caption leaves open.
"""

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
    known,
    relation_of,
)
from course_utils.toybox.words import leave_out, say


@dataclass(frozen=True)
class Thing:
    """One toy. Lengths are in picture widths, angles in degrees clockwise.

    `pose` is how far a doll raises its left and right arm: 0 points sideways, 90 up.
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

    def __post_init__(self):
        """Refuse unknown attributes; give faces a mood."""
        if self.toy in FACES and self.mood is None:
            object.__setattr__(self, "mood", "happy")
        if self.mood is not None and self.toy not in FACES:
            raise ValueError(
                f"mood={self.mood!r}: a {self.toy} has no face; "
                f"these have one: {', '.join(FACES)}"
            )
        for name, value in self.attributes.items():
            if value not in ATTRIBUTES[name] and value is not None:
                known(name, value)

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
        object.__setattr__(self, "things", list(self.things))
        if not 1 <= len(self.things) <= 3:
            raise ValueError(f"things: a scene has 1, 2 or 3, not {len(self.things)}")
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


def describe(scene: Scene, rng: np.random.Generator, keep: float = 0.75) -> str:
    """The scene in varied wording, attributes left out at random.

    keep is about the share of them that stays: the lower, the shorter the caption.
    `parse` gives back exactly what it says.
    """
    return say(leave_out(scene.attributes, rng, keep), rng)
