"""Attributes in words: `say`, of which `parsing.parse` is the exact inverse.

A caption is a list of toys, each with adjectives before and a place after it, and a
ground.
"""

import re
from numbers import Real

import numpy as np

from course_utils.toybox.attributes import (
    ATTRIBUTES,
    OF_A_THING,
    check_each,
    check_rng,
    known,
)
from course_utils.toybox.palette import SETTINGS

ADJECTIVES = ("size", "mood", "pattern", "colour")  # in the order in which they stand
SYNONYMS = {
    "little": "small",
    "tiny": "small",
    "large": "big",
    "huge": "big",
    "spotted": "dotted",
    "cheerful": "happy",
    "smiling": "happy",
    "crying": "sad",
    "unhappy": "sad",
    "rabbit": "bunny",
    "centre": "middle",
    "ocean": "sea",
    "beach": "sand",
    "meadow": "grass",
}
AFTER = {"dots": "dotted", "stripes": "striped", "outline": "outlined"}  # "with dots"
NUMBERS = {"one": 1, "two": 2, "three": 3}
IN_SETTING = {"snow": "in", "sky": "in", "sea": "in", "night": "in"}  # the others: on


def plural(toy: str) -> str:
    """More than one toy of a kind."""
    irregular = {"fish": "fish", "bunny": "bunnies", "rabbit": "rabbits"}
    return irregular.get(toy, toy + ("es" if toy.endswith("s") else "s"))


SYNONYMS |= {plural(toy): toy for toy in ATTRIBUTES["toy"]}
SYNONYMS |= {plural("rabbit"): "bunny"}


def article(phrase: str) -> str:
    """The phrase with a or an before it."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _toy(look: dict, rng=None, number: int = 1, toy: str | None = None) -> str:
    """One kind of toy: "a small sad dotted red cat", "two plain blue stars"."""
    after = ""
    words = [look.get(name) for name in ADJECTIVES]
    if rng is not None:
        if look.get("pattern") in AFTER.values() and rng.random() < 0.25:
            noun = {v: k for k, v in AFTER.items()}[look["pattern"]]
            after = " with an outline" if noun == "outline" else f" with {noun}"
            words[2] = None
        words = [_synonym(word, rng) if word else None for word in words]
    noun = _synonym(look["toy"], rng)
    if number > 1:
        said = " ".join(filter(None, words + [plural(noun)]))
        return f"{list(NUMBERS)[number - 1]} {said}{after}"
    return article(" ".join(filter(None, words + [noun]))) + after


def _synonym(word: str, rng) -> str:
    if rng is None or rng.random() > 0.25:
        return word
    others = [s for s, w in SYNONYMS.items() if w == word and s != plural(word)]
    others = [s for s in others if s != plural("rabbit")]
    return others[int(rng.random() * len(others))] if others else word


def _spot(place: str, rng=None) -> str:
    if place == "middle":
        word = _synonym(place, rng)
        return f"in the {word}"
    return f"{'on' if rng is not None and rng.random() < 0.3 else 'at'} the {place}"


def _ground(ground: str, rng=None) -> str:
    if ground in SETTINGS:
        word = _synonym(ground, rng)
        return f"{IN_SETTING.get(ground, 'on')} the {word}"
    noun = "background" if rng is not None and rng.random() < 0.3 else "ground"
    if rng is not None and rng.random() < 0.5:
        ground = ground.removeprefix("plain ")
    return f"on {article(ground)} {noun}"


def say(said: dict, rng: np.random.Generator | None = None) -> str:
    """Attributes, whole or in part, in words; with `rng` the wording varies."""
    _check_said(said)
    looks, places = _looks(said), said.get("place", [])
    number = len(looks)
    if number > 1 and all(look == looks[0] for look in looks):
        text = _toy(looks[0], rng, number)
        if any(places):
            spots = ["one " + _spot(place, rng) for place in places]
            text += ", " + _listed(spots)
    elif "relation" in said and not any(places):
        first, second = (_toy(look, rng) for look in looks)
        text = f"{first} {said['relation']} {second}"
        if rng is not None and rng.random() < 0.3:
            turned = {"left of": "right of", "above": "below"}[said["relation"]]
            text = f"{second} {turned} {first}"
        if rng is not None and rng.random() < 0.3:
            text = re.sub("(left|right) of", r"to the \1 of", text)
    else:
        toys = [_toy(look, rng) for look in looks]
        spots = [_spot(place, rng) if place else "" for place in places or toys]
        if not places:
            spots = [""] * number
        text = _listed([f"{t} {s}".strip() for t, s in zip(toys, spots, strict=True)])
    return _framed(text, said.get("ground"), rng, number)


def _check_said(said: object) -> None:
    """Refuse what is not like Scene.attributes, whole or in part."""
    if not isinstance(said, dict) or not {"toy", "count"} <= set(said):
        raise ValueError(
            "said must be like Scene.attributes, with toys and their count, such as "
            f"{{'toy': ['cat'], 'count': 1}}, not {said!r}"
        )
    for name, values in said.items():
        if name in OF_A_THING:
            check_each(name, values, said["count"])
        for value in values if name in OF_A_THING else [values]:
            if value is not None:
                known(name, value)


def _looks(said: dict) -> list[dict]:
    names = ("toy", *ADJECTIVES)
    values = [said.get(name) or [None] * said["count"] for name in names]
    return [dict(zip(names, look, strict=True)) for look in zip(*values, strict=True)]


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]


def _framed(text: str, ground: str | None, rng, number: int) -> str:
    """The whole sentence: toys, ground, and with rng a frame around them."""
    where = _ground(ground, rng) if ground else ""
    draw = 1.0 if rng is None else rng.random()
    if where and draw < 0.2:
        return f"{where}, {text}"
    if draw > 0.8 and rng is not None:
        text = f"{'there is' if number == 1 else 'there are'} {text}"
    elif rng is not None and draw > 0.65:
        text = f"a picture of {text}"
    return f"{text}{', ' if where and ',' in text else ' '}{where}".strip()


def leave_out(said: dict, rng: np.random.Generator, keep: float = 0.75) -> dict:
    """The attributes without some of them; what the toys are always stays."""
    _check_said(said)
    check_rng(rng)
    if not isinstance(keep, Real) or not 0 <= keep <= 1:
        raise ValueError(f"keep={keep!r} must be a share in 0..1")
    kept = {"toy": said["toy"], "count": said["count"]}
    equal = all(
        len(set(said[n])) == 1 for n in OF_A_THING[:4] + OF_A_THING[5:] if n in said
    )
    for name in OF_A_THING[1:]:
        if name not in said:
            continue
        stays = rng.random() < keep
        shared = equal or name == "place"  # equal things and places: all or none
        values = [
            v if stays and (shared or rng.random() < 0.85) else None for v in said[name]
        ]
        if any(values):
            kept[name] = values
    if rng.random() < keep + 0.05:
        kept["ground"] = said["ground"]
    if "relation" in said and ("place" in kept or (not equal and rng.random() < 0.7)):
        kept["relation"] = said["relation"]
    return kept
