"""What there is in the toybox: things, scenes, random scenes and their splits.

A `Scene` is one, two or three `Thing`s on a ground. Everything that a caption can say
is an attribute; `shift`, `scale`, `turn` and `pose` are what a caption leaves open.
"""

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from course_utils.toybox import palette

SHAPES = ["circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond"]
DRAWN = ["cat", "bunny", "fish", "duck", "car", "boat", "house", "tree", "doll"]
FACES = ["cat", "bunny"]
ROWS, COLUMNS = ["top", "", "bottom"], ["left", "", "right"]
PLACES = [f"{r} {c}".strip() or "middle" for r in ROWS for c in COLUMNS]
ATTRIBUTES = {
    "toy": SHAPES + DRAWN,
    "colour": list(palette.COLOURS),
    "size": ["small", "big"],
    "pattern": ["plain", "outlined", "dotted", "striped"],
    "place": PLACES,
    "mood": ["happy", "sad"],
    "ground": list(palette.GROUNDS),
    "relation": ["left of", "above"],
    "count": [1, 2, 3],
}
OF_A_THING = ("toy", "colour", "size", "pattern", "place", "mood")
WIDTH = {"small": 0.32, "big": 0.46}  # of the picture: 20 and 29 of 64 pixels
ROOM = {"small": 0.035, "big": 0.011}  # how far a thing may stray from its place
CELL = 0.2475  # from one place to the next
# each toy never appears in one colour outside the split "unseen"
HELD_OUT = {
    toy: ATTRIBUTES["colour"][(3 * k + k // 8) % 8]
    for k, toy in enumerate(ATTRIBUTES["toy"])
}
# where two or three things can stand without touching, in reading order
PAIRS = [(0, 2), (3, 5), (6, 8), (0, 6), (1, 7), (2, 8)]
TRIPLES = [(0, 2, 7), (1, 6, 8), (0, 5, 6), (2, 3, 8)]
TRIPLES += [(0, 2, 6), (0, 2, 8), (0, 6, 8), (2, 6, 8)]


def known(attribute: str, value: object) -> object:
    """The value itself, or a ValueError that lists what the attribute can be."""
    if attribute not in ATTRIBUTES:
        raise ValueError(
            f"no attribute {attribute!r}; the toybox has {', '.join(ATTRIBUTES)}"
        )
    if value not in ATTRIBUTES[attribute]:
        choices = ", ".join(map(str, ATTRIBUTES[attribute]))
        raise ValueError(f"{attribute}={value!r} is not one of: {choices}")
    return value


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
        from course_utils.toybox import words  # words needs the names defined above

        return words.say(self.attributes)

    @property
    def split(self) -> str:
        """The split that the scene belongs to: train, test or unseen."""
        if any(HELD_OUT[t.toy] == t.colour for t in self.things):
            return "unseen"
        return "test" if zlib.crc32(self.caption.encode()) % 8 == 0 else "train"


def relation_of(cells: list[int]) -> str | None:
    """How the first of two things in places 0..8 stands to the second, or None."""
    if len(cells) != 2:
        return None
    (row, column), (other_row, other_column) = (divmod(c, 3) for c in cells)
    if row == other_row and column < other_column:
        return "left of"
    return "above" if column == other_column and row < other_row else None


def sample(
    rng: np.random.Generator,
    split: str = "train",
    things: int | None = None,
    **choices: str | list[str],
) -> Scene:
    """A random scene of a split.

    `things` fixes their number; `toy="cat"` or `colour=["red", "blue"]` narrows an
    attribute, for every thing. Train, test and unseen share no caption; in unseen, at
    least one toy has the colour that the other two never show it in.
    """
    if split not in ("train", "test", "unseen"):
        raise ValueError(f"split={split!r} is not one of: train, test, unseen")
    options = {name: list(values) for name, values in ATTRIBUTES.items()}
    for name, chosen in choices.items():
        chosen = [chosen] if isinstance(chosen, str) else list(chosen)
        options[name] = [known(name, value) for value in chosen]
    options["count"] = options["count"] if things is None else [known("count", things)]
    for _ in range(2000):
        scene = _draw(rng, options, hold_out=split != "unseen")
        if scene is not None and scene.split == split:
            return scene
    raise ValueError(
        f"sample found no scene with {choices or things} in split={split!r}: the "
        "colour may be held out for the toy or vanish into the ground; widen the choice"
    )


def _draw(rng: np.random.Generator, options: dict, hold_out: bool) -> Scene | None:
    """One try: None where the choices leave no colour or place."""
    count = _pick(rng, options["count"], (0.5, 0.35, 0.15))
    settings = [g for g in options["ground"] if g in palette.SETTINGS]
    setting = rng.random() < 0.25 and settings  # makes them half of all grounds
    ground = _pick(rng, setting or options["ground"])
    equal = count > 1 and (rng.random() < 0.3 or len(options["toy"]) < count)
    toys = list(options["toy"])
    spots = {1: [(c,) for c in range(9)], 2: PAIRS, 3: TRIPLES}[count]
    spots = [s for s in spots if all(PLACES[c] in options["place"] for c in s)]
    things = []
    for cell in _pick(rng, spots) if spots else ():
        if not (equal and things):
            look = _look(rng, toys, options, ground, hold_out)
            if look is None:
                return None
            toys.remove(look["toy"])  # mixed scenes show each toy once
        things.append(_place(rng, look, PLACES[cell]))
    return Scene(things, ground) if things else None


def _look(rng, toys: list[str], options: dict, ground: str, hold_out: bool):
    toy = _pick(rng, toys)
    colours = [c for c in options["colour"] if c in palette.ALLOWED[ground]]
    if hold_out:
        colours = [c for c in colours if c != HELD_OUT[toy]]
    if not colours:
        return None
    look = {"toy": toy, "colour": _pick(rng, colours)}
    look |= {name: _pick(rng, options[name]) for name in ("size", "pattern")}
    if toy in FACES:
        look["mood"] = _pick(rng, options["mood"])
    return look


def _place(rng, look: dict, place: str) -> Thing:
    dx, dy, grow, left, right = rng.random(5).tolist()
    room = 2 * ROOM[look["size"]]
    pose = (120 * left - 60, 120 * right - 60) if look["toy"] == "doll" else (0.0, 0.0)
    shift = (room * (dx - 0.5), room * (dy - 0.5))
    return Thing(**look, place=place, shift=shift, scale=0.93 + 0.07 * grow, pose=pose)


def _pick(rng: np.random.Generator, values: list, weights: tuple | None = None):
    if weights is None or len(values) != len(weights):
        return values[int(rng.random() * len(values))]
    return values[int(np.searchsorted(np.cumsum(weights), rng.random()))]
