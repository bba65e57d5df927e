"""The vocabulary of the world: what each attribute can be, and where toys can stand."""

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


def check_rng(rng: object) -> None:
    """Refuse what is no numpy Generator: None, a seed, a torch Generator."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"rng must be a numpy Generator, such as numpy.random.default_rng(0), not "
            f"{rng!r}"
        )


def check_look(look: object, name: str) -> None:
    """Refuse what is no dict of attributes of one toy."""
    if not isinstance(look, dict):
        raise ValueError(
            f"{name} must be a dict such as {{'toy': 'cat'}}, not {look!r}"
        )
    for attribute, value in look.items():
        if attribute not in OF_A_THING:
            raise ValueError(
                f"{name}: a toy has no {attribute!r}; it has {', '.join(OF_A_THING)}"
            )
        known(attribute, value)


def check_each(name: str, values: object, count: int) -> None:
    """Refuse what is no list with a value for each of the toys."""
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(
            f"{name} must be a list with one value for each of {count} toys, not "
            f"{values!r}"
        )


def check_mood(toy: str, mood: str | None) -> None:
    """Refuse a mood where there is no face to show it."""
    if mood is not None and toy not in FACES:
        raise ValueError(
            f"mood={mood!r}: a {toy} has no face; these have one: {', '.join(FACES)}"
        )


def check_places(places: list[str]) -> None:
    """Refuse two toys at one place; None is nowhere in particular."""
    known_places = [place for place in places if place is not None]
    for place in known_places:
        if known_places.count(place) > 1:
            raise ValueError(
                f"place: two toys at one place, {place!r}; give each its own"
            )


def relation_of(cells: list[int]) -> str | None:
    """How the first of two things in places 0..8 stands to the second, or None."""
    if not all(cell in range(len(PLACES)) for cell in cells):
        raise ValueError(f"cells={cells!r} must be numbers of places, in 0..8")
    if len(cells) != 2:
        return None
    (row, column), (other_row, other_column) = (divmod(c, 3) for c in cells)
    if row == other_row and column < other_column:
        return "left of"
    return "above" if column == other_column and row < other_row else None
