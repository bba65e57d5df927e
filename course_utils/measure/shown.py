"""Does a picture take from words what they say, and from a picture shown the rest?

For IP-Adapters: the words say toy, size and place, the picture shown has a colour, a
pattern and a ground that the words leave open; its own toy is another.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from course_utils import toybox
from course_utils.images import check_list, check_whole
from course_utils.measure.attributes import attribute_accuracy

SAID, SEEN = ("toy", "size", "place"), ("colour", "pattern", "ground")


class Asked(NamedTuple):
    """A caption, the scene that is shown beside it, and what both together ask for."""

    caption: str
    shown: toybox.Scene
    wanted: dict


def shown_to_ask(n: int, seed: int = 0) -> list[Asked]:
    """n of the split "test", of one toy each; caption and picture differ in the toy."""
    check_whole(n, "n")
    check_whole(seed, "seed", 0)
    rng, found = np.random.default_rng([seed, 26]), []
    while len(found) < n:
        scene, shown = (toybox.sample(rng, "test", things=1) for _ in range(2))
        ours, theirs = scene.attributes, shown.attributes
        said = {name: ours[name] for name in ("count", *SAID)}
        looks = {name: theirs[name] for name in SEEN}
        colours = toybox.HELD_OUT[ours["toy"][0]]
        if ours["toy"] == theirs["toy"] or theirs["colour"] == [colours]:
            continue  # nothing to tell apart, or a colour that this toy never had
        found.append(Asked(toybox.say(said), shown, said | looks))
    return found


def followed_shown(images: Tensor, asked: Sequence[Asked]) -> dict[str, float]:
    """Shares right of what the words say and of what the picture shows.

    images (B, 3, 64, 64) in [-1, 1], one for each. Returns "words" and "picture", the
    means over SAID and SEEN, and each attribute.
    """
    check_list(asked, "asked", Asked, "shown_to_ask(1)[0]")
    found = attribute_accuracy(images, [one.wanted for one in asked])
    means = {
        which: sum(found[name] for name in names) / len(names)
        for which, names in (("words", SAID), ("picture", SEEN))
    }
    return means | {name: found[name] for name in (*SAID, *SEEN)}
