"""Is what is seen what was asked for? Attribute by attribute, toy by toy."""

import itertools

from course_utils.toybox.attributes import OF_A_THING, check_each, known
from course_utils.toybox.scene import Scene


def said_of(scene: object) -> dict:
    """The attributes of a Scene; or those given, as `parse` reads them, checked."""
    if isinstance(scene, Scene):
        return scene.attributes
    if not isinstance(scene, dict) or "count" not in scene:
        kind = f"a {type(scene).__name__}"
        raise ValueError(
            "scenes: give a Scene for each picture, or what toybox.parse(caption) "
            f"reads, which has a count, not {kind} such as {scene!r}"
        )
    for name, values in scene.items():
        if name in ("confidence", "count"):  # the oracle may count more than three
            continue
        if name in OF_A_THING:
            check_each(name, values, scene["count"])
        for value in values if isinstance(values, list) else [values]:
            if value is not None:
                known(name, value)
    return scene


def graded(asked: dict, seen: dict) -> list[tuple[str, bool]]:
    """(attribute, right or wrong) for everything that is asked for.

    Both are like `Scene.attributes`; None, or a missing name, is not asked for. The
    list follows the toys asked for, then what is said of the whole picture.
    """
    for name, said in (("asked", asked), ("seen", seen)):
        if not isinstance(said, dict) or "count" not in said:
            raise ValueError(
                f"{name} must be a dict with a count, as attributes, not {said!r}"
            )
    lists = [name for name, value in asked.items() if isinstance(value, list)]
    things = [{name: asked[name][k] for name in lists} for k in range(asked["count"])]
    there = [{n: seen[n][k] for n in lists if n in seen} for k in range(seen["count"])]
    there += [{}] * (len(things) - len(there))  # nothing, in place of what is missing
    whole = [name for name in asked if name not in lists]

    def verdict(order: tuple[int, ...]) -> list[tuple[str, bool]]:
        alike = [
            (name, there[k].get(name) == value)
            for thing, k in zip(things, order, strict=True)
            for name, value in thing.items()
            if value is not None
        ]
        # The first of two toys is left of, or above, the second: not if exchanged.
        turned = order != tuple(sorted(order))
        same = {name: seen.get(name) == asked[name] for name in whole}
        same |= (
            {"relation": same["relation"] and not turned} if "relation" in same else {}
        )
        return alike + list(same.items())

    verdicts = map(verdict, itertools.permutations(range(len(there)), len(things)))
    return max(verdicts, key=lambda pairs: sum(good for _, good in pairs))
