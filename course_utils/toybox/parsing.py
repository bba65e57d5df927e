"""From words back to attributes: `parse`, the exact inverse of `say` and `describe`.

Word by word: adjectives wait for the noun that they belong to, places go to the toy
before them.
"""

import difflib
import re

from course_utils.toybox.attributes import (
    ATTRIBUTES,
    OF_A_THING,
    PLACES,
    check_mood,
    check_places,
    relation_of,
)
from course_utils.toybox.palette import SETTINGS, TONES
from course_utils.toybox.words import ADJECTIVES, AFTER, NUMBERS, SYNONYMS

FILLERS = set("a an the at on in of to and with is are there picture one it".split())
PLACE_WORDS = ("top", "bottom", "left", "right", "middle")
RELATIONS = ("above", "below", "left", "right")
MEANING = {word: a for a in ("toy", *ADJECTIVES) for word in ATTRIBUTES[a]}
CAPTION_WORDS = sorted(
    FILLERS.union(MEANING, SYNONYMS, AFTER, NUMBERS, PLACE_WORDS, RELATIONS, SETTINGS)
    | {*TONES, "fading", "striped", "ground", "background"}
)


def tokens(text: str) -> list[str]:
    """The words of a text, checked against the vocabulary."""
    if not isinstance(text, str):
        raise ValueError(f"a caption is a text, one str, not {text!r}")
    words = re.findall(r"[^\s,.!]+", text.lower())
    for word in words:
        if word not in CAPTION_WORDS:
            near = difflib.get_close_matches(word, CAPTION_WORDS, 3, 0.65)
            hint = (
                f"did you mean {' or '.join(near)}?"
                if near
                else "see toybox.VOCABULARY"
            )
            raise ValueError(f"unknown word {word!r} in {text!r}; {hint}")
    return [SYNONYMS.get(word, word) for word in words]


class Reading:
    """What a list of words says.

    things     attributes of each toy, in the order of the words
    whole      ground and relation, where they are said
    left_over  adjectives and places that no toy has taken
    """

    def __init__(self, words: list[str]):
        """Read all the words; ValueError where they contradict each other."""
        self.things, self.whole, self.left_over = [], {}, {}
        self.group, self.number = [], 1  # the latest toys; how many come next
        while words:
            words = words[self._step(words) :]

    def _step(self, words: list[str]) -> int:
        """Take the first words in; how many were used."""
        word, after = words[0], words[1:2]
        if word in ("above", "below"):
            _set(self.whole, "relation", word)
        elif word in ("left", "right") and after == ["of"]:
            _set(self.whole, "relation", f"{word} of")
        elif word in PLACE_WORDS:
            two = word in ("top", "bottom") and after and after[0] in ("left", "right")
            self._place(" ".join(words[: 1 + bool(two)]))
            return 1 + bool(two)
        elif word in ("two", "three"):
            self.number = NUMBERS[word]
        elif word in AFTER:
            for thing in self.group or [self.left_over]:
                _set(thing, "pattern", AFTER[word])
        elif word in SETTINGS:
            _set(self.whole, "ground", word)
        elif word in TONES or word == "fading":
            _set(self.left_over, "style" if word == "fading" else "tone", word)
        elif word in ("ground", "background"):
            self._tone()
        elif MEANING.get(word) == "toy":
            self._toy(word)
        elif word not in FILLERS:
            _set(self.left_over, MEANING[word], word)
        return 1

    def _toy(self, toy: str) -> None:
        if {"tone", "style"} & set(self.left_over):
            word = self.left_over.get("tone") or "fading"
            raise ValueError(f"{word!r} is for grounds, not for a {toy}")
        look = {"toy": toy} | self.left_over
        self.group = [dict(look) for _ in range(self.number)]
        self.things += self.group
        self.left_over, self.number = {}, 1

    def _tone(self) -> None:
        tone = self.left_over.pop("tone", None)
        style = self.left_over.pop("style", None) or self.left_over.pop(
            "pattern", "plain"
        )
        if tone is None and style == "plain" and not self.left_over:
            return  # "the ground" in an instruction
        ground = f"{style} {tone}"
        if ground not in ATTRIBUTES["ground"] or self.left_over:
            words = [style, tone or "", *self.left_over.values()]
            raise ValueError(
                f"no such ground: {' '.join(filter(None, words))}; "
                f"there are {', '.join(ATTRIBUTES['ground'])}"
            )
        _set(self.whole, "ground", ground)

    def _place(self, place: str) -> None:
        free = [thing for thing in self.group if "place" not in thing]
        if not self.group:
            _set(self.left_over, "place", place)
        elif not free:
            raise ValueError(f"two places for one {self.group[0]['toy']}: and {place}")
        else:
            free[0]["place"] = place


def _set(said: dict, name: str, value: str) -> None:
    """Note a value; ValueError if there is another already."""
    if said.get(name) not in (None, value):
        raise ValueError(f"two values for one {name}: {said[name]} and {value}")
    said[name] = value


def parse(caption: str) -> dict:
    """What a caption says, as attributes in the form of `Scene.attributes`.

    What is not said is None in a list, or missing altogether. Things whose places are
    all known come in reading order. ValueError for unknown words, for contradictions,
    and for what no scene can be: a happy car, two toys at one place.
    """
    reading = Reading(tokens(caption))
    if not 1 <= len(reading.things) <= 3 or reading.left_over:
        left = " ".join(map(str, reading.left_over.values()))
        raise ValueError(
            f"{caption!r} has {len(reading.things)} toys"
            + (f" and says {left!r} of nothing" if left else "")
            + "; name one to three toys, each after its adjectives"
        )
    for thing in reading.things:
        check_mood(thing["toy"], thing.get("mood"))
    check_places([thing.get("place") for thing in reading.things])
    things, relation = _in_order(reading.things, reading.whole.get("relation"))
    said = {name: [thing.get(name) for thing in things] for name in OF_A_THING}
    said = {name: values for name, values in said.items() if any(values)}
    said["count"] = len(things)
    if "ground" in reading.whole:
        said["ground"] = reading.whole["ground"]
    return said | ({"relation": relation} if relation else {})


def _in_order(
    things: list[dict], relation: str | None
) -> tuple[list[dict], str | None]:
    if relation and len(things) != 2:
        raise ValueError(f"{relation!r} is for two toys, not {len(things)}")
    if relation in ("right of", "below"):
        things, relation = (
            things[::-1],
            {"right of": "left of", "below": "above"}[relation],
        )
    if not all("place" in thing for thing in things):
        return things, relation
    ordered = sorted(things, key=lambda thing: PLACES.index(thing["place"]))
    shown = relation_of([PLACES.index(thing["place"]) for thing in ordered])
    if relation and (ordered != things or relation != shown):
        raise ValueError(f"the places of the two toys contradict {relation!r}")
    return ordered, shown
