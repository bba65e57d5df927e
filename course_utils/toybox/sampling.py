"""Random scenes: `sample` draws one, `imagine` one of which a caption is true."""

import numpy as np

from course_utils.toybox import palette
from course_utils.toybox.attributes import (
    ATTRIBUTES,
    FACES,
    HELD_OUT,
    OF_A_THING,
    PAIRS,
    PLACES,
    ROOM,
    TRIPLES,
    check_rng,
    known,
    relation_of,
)
from course_utils.toybox.parsing import parse
from course_utils.toybox.scene import Scene, Thing


def sample(
    rng: np.random.Generator,
    split: str = "train",
    things: int | None = None,
    **choices: str | list[str],
) -> Scene:
    """A random scene of a split.

    `things` fixes their number; `toy="cat"` or `colour=["red", "blue"]` narrows an
    attribute, for every thing, and `relation="above"` makes it two. Train, test and
    unseen share no caption; in unseen, at least one toy has the colour that the other
    two never show it in.
    """
    check_rng(rng)
    if split not in ("train", "test", "unseen"):
        raise ValueError(f"split={split!r} is not one of: train, test, unseen")
    options = _options(things, choices)
    for _ in range(2000):
        scene = _draw(rng, options, hold_out=split != "unseen")
        if scene is not None and scene.split == split:
            return scene
    raise ValueError(
        f"sample found no scene with {choices or things} in split={split!r}: the "
        "colour may be held out for the toy or vanish into the ground; widen the choice"
    )


def _options(things: int | None, choices: dict) -> dict[str, list]:
    """The values that each attribute may take; those of relation only if chosen."""
    options = {name: list(values) for name, values in ATTRIBUTES.items()}
    del options["relation"]
    for name, chosen in choices.items():
        chosen = [chosen] if isinstance(chosen, str | int) else chosen
        if not isinstance(chosen, list | tuple) or not chosen:
            raise ValueError(
                f"{name}={chosen!r} leaves no choice: name one value, or a list of "
                "some; leave it out to allow all"
            )
        options[name] = [known(name, value) for value in chosen]
    if things is not None and "count" in choices:
        raise ValueError("things and count are the same: give one of them")
    if "relation" in options and things is None and "count" not in choices:
        things = 2
    options["count"] = options["count"] if things is None else [known("count", things)]
    if "relation" in options and options["count"] != [2]:
        raise ValueError(
            f"relation={choices['relation']!r} is of two toys: things must be 2"
        )
    if "mood" in choices and not set(options["toy"]) & set(FACES):
        raise ValueError(
            f"mood={choices['mood']!r}: none of the toys {options['toy']} has a face; "
            f"these have one: {', '.join(FACES)}"
        )
    return options


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
    if "relation" in options:
        spots = [s for s in spots if relation_of(list(s)) in options["relation"]]
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


def imagine(caption: str, rng: np.random.Generator) -> Scene:
    """A random scene of which the caption is true; what it does not say is drawn.

    ValueError where the caption cannot be read, or leaves its toys no room.
    """
    check_rng(rng)
    said = parse(caption)
    cells = {1: [(c,) for c in range(9)], 2: PAIRS, 3: TRIPLES}[said["count"]]
    spots = [[PLACES[c] for c in spot] for spot in cells]
    if all(said.get("place", [None])):
        spots = [said["place"]]
    for _ in range(1000):
        ground = said.get("ground") or _pick(rng, ATTRIBUTES["ground"])
        pairs = zip(_looks(said, ground, rng), _pick(rng, spots), strict=True)
        scene = Scene([Thing(**look, place=place) for look, place in pairs], ground)
        if _true(said, scene) and len({t.place for t in scene.things}) == len(spots[0]):
            return scene
    raise ValueError(f"no scene fits {caption!r}; leave out a place or relation")


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
        colours = [c for c in palette.ALLOWED[ground] if c != HELD_OUT[look["toy"]]]
        drawn = {n: _pick(rng, ATTRIBUTES[n]) for n in ("size", "pattern", "mood")}
        if look["toy"] not in FACES:
            del drawn["mood"]
        looks.append({"colour": _pick(rng, colours)} | drawn | look)
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
