"""Edits beyond the bench, of which one might think that no mask can make them.

    exchange        two toys change places: another composition, all else as it was
    size            small becomes big, or big small: the outline leaves its old place
    toy and place   another toy, elsewhere

`rows_beyond` tries DiffEdit, which has a mask, and Imagic, which has none, on the same.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_whole
from course_utils.measure import editors
from course_utils.toybox import Scene, Thing
from course_utils.toybox.attributes import OF_A_THING

Place = tuple[int, str]  # which toy of the target, and what of it
WAYS: dict[str, editors.Editor] = {
    "diffedit": editors.METHODS["diffedit"],
    "imagic, eta 0.9": partial(editors.METHODS["imagic"], eta=0.9),
    "imagic": editors.METHODS["imagic"],  # with the bench's eta
}


@dataclasses.dataclass(frozen=True)
class Change:
    """A scene, what should come out, both in words, and what is new in the target."""

    scene: Scene
    target: Scene
    captions: tuple[str, str]
    new: frozenset[Place]


def changes(kind: str, n: int, seed: int = 1) -> list[Change]:
    """n changes of one of KINDS, from scenes of the split "test"."""
    check_whole(n, "n")
    if kind not in KINDS:
        raise ValueError(f"kind: no {kind!r}; there are {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, 31 + list(KINDS).index(kind)])
    found = []
    while len(found) < n:
        number = 2 if kind == "exchange" else 1 + len(found) % 2
        scene = toybox.sample(rng, things=number, split="test")
        if len(set(scene.attributes["toy"])) < number:
            continue  # two toys alike: the words would not say which
        after = KINDS[kind](scene, rng)
        if after is not None:
            found.append(_change(scene, after))
    return found


def change_scores(images: Tensor, some: Sequence[Change]) -> dict[str, Tensor]:
    """success, preservation and all (both are whole), each (B,), as the oracle reads.

    images  (B, 3, 64, 64) in [-1, 1], what a method made of the scenes
    """
    if not len(some) or len(images) != len(some):
        raise ValueError(f"{len(images)} images need as many changes, not {len(some)}")
    read = zip(some, oracle.read(images), strict=True)
    success, rest = torch.tensor([_verdict(change, seen) for change, seen in read]).T
    return dict(success=success, preservation=rest, all=success * (rest == 1))


def rows_beyond(pipe, n: int = 28, kinds: Sequence[str] | None = None) -> list[dict]:
    """A row for each kind and each of WAYS: kind, method, n and the means, 0..1."""
    rows = []
    for kind in kinds or KINDS:
        some = changes(kind, n)
        for method, edit in WAYS.items():
            scores = change_scores(edit(pipe, some, 0).images, some)
            means = {name: round(x.mean().item(), 5) for name, x in scores.items()}
            rows.append(dict(kind=kind, method=method, n=n) | means)
    return rows


def _exchange(scene: Scene, rng: np.random.Generator) -> list[Thing]:
    a, b = scene.things
    places = b.place, a.place
    pairs = zip((a, b), places, strict=True)
    return [dataclasses.replace(toy, place=place) for toy, place in pairs]


def _resize(scene: Scene, rng: np.random.Generator) -> list[Thing] | None:
    return _edited(scene, scene.things, rng, "size")


def _swap_and_move(scene: Scene, rng: np.random.Generator) -> list[Thing] | None:
    swapped = _edited(scene, scene.things, rng, "toy")
    if swapped is None:
        return None
    order = sorted(swapped, key=lambda toy: toy.cell)
    both = _edited(Scene(order, scene.ground), swapped, rng, "place")
    if both is None:
        return None
    first, second = (
        {k for k, toy in enumerate(after) if toy != old[k]}
        for old, after in ((scene.things, swapped), (swapped, both))
    )
    return both if first == second else None  # one toy, not this one and that one


KINDS: dict[str, Callable[[Scene, np.random.Generator], list[Thing] | None]] = {
    "size": _resize,
    "toy and place": _swap_and_move,
    "exchange": _exchange,
}


def _edited(
    scene: Scene, things: list[Thing], rng: np.random.Generator, attribute: str
) -> list[Thing] | None:
    """The things, in their order, after a random edit; None if none suits."""
    try:
        after = toybox.apply(scene, toybox.random_edit(scene, rng, attribute))
    except ValueError:
        return None
    new = [toy for toy in after.things if toy not in things]
    gone = [k for k, toy in enumerate(things) if toy not in after.things]
    if len(new) != 1 or len(gone) != 1:
        return None
    return [new[0] if k == gone[0] else toy for k, toy in enumerate(things)]


def _change(scene: Scene, after: list[Thing]) -> Change:
    """The scene and its things afterwards, in the scene's order, as a Change."""
    order = sorted(range(len(after)), key=lambda k: after[k].cell)
    places = {
        (k, name)
        for k, old in enumerate(scene.things)
        for name in OF_A_THING
        if getattr(old, name) != getattr(after[k], name)
    }
    names = {"toy", "colour"} | {name for _, name in places} - {"mood"}
    target = Scene([after[k] for k in order], scene.ground)
    new = frozenset((order.index(k), name) for k, name in places)
    return Change(scene, target, (_said(scene, names), _said(target, names)), new)


def _said(scene: Scene, names: set[str]) -> str:
    kept = {name: scene.attributes[name] for name in OF_A_THING if name in names}
    return toybox.say(kept | dict(count=len(scene.things)))


def _verdict(change: Change, seen: dict) -> tuple[float, float]:
    """Is all right that was to change? And how much of the rest?"""
    asked = {x: v for x, v in change.target.attributes.items() if x != "relation"}
    if "mood" in asked:  # a new face may be in any mood
        moods = enumerate(asked["mood"])
        asked["mood"] = [None if (k, "mood") in change.new else x for k, x in moods]
    lists = [name for name, value in asked.items() if isinstance(value, list)]
    places = [
        (k, name)
        for k in range(asked["count"])
        for name in lists
        if asked[name][k] is not None
    ]
    places += [(None, name) for name in asked if name not in lists]
    verdicts = zip(places, toybox.graded(asked, seen), strict=True)
    right = {place: good for place, (_, good) in verdicts}
    rest = [good for place, good in right.items() if place not in change.new]
    new = [right[place] for place in change.new if place in right]
    return float(all(new)), sum(rest) / len(rest)
