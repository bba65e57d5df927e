"""Random edits that suit a scene: `random_edit`."""

import numpy as np

from course_utils.toybox.attributes import (
    ATTRIBUTES,
    FACES,
    PAIRS,
    TRIPLES,
    check_rng,
)
from course_utils.toybox.edits import FORMS, Edit, apply, check_editable
from course_utils.toybox.palette import ALLOWED
from course_utils.toybox.sampling import sample
from course_utils.toybox.scene import Scene, check_scene


def random_edit(
    scene: Scene, rng: np.random.Generator, attribute: str | None = None
) -> Edit:
    """An edit that changes the scene, keeps its split's colours, and all toys apart."""
    check_scene(scene)
    check_rng(rng)
    if attribute is not None:
        check_editable(attribute)
    kinds = list(FORMS) if attribute is None else [attribute]
    for _ in range(500):
        kind = kinds[int(rng.random() * len(kinds))]
        edit = _propose(scene, kind, rng)
        if edit is not None and _suits(scene, edit):
            return edit
    raise ValueError(
        f"random_edit found no edit of {attribute!r} for {scene.caption!r}"
    )


def _propose(scene: Scene, kind: str, rng: np.random.Generator) -> Edit | None:
    thing = scene.things[int(rng.random() * len(scene.things))]
    target = {} if len(scene.things) == 1 else {"toy": thing.toy}
    if sum(t.toy == thing.toy for t in scene.things) > 1:
        target["place"] = thing.place
    if kind == "remove":
        return Edit("remove", None, target)
    if kind == "add":
        new = sample(rng, things=1, ground=scene.ground).things[0]
        names = ("size", "pattern", "colour", "toy", "mood", "place")
        look = {name: getattr(new, name) for name in names}
        return Edit("add", {name: value for name, value in look.items() if value})
    if kind == "mood" and thing.toy not in FACES:
        return None
    values = ATTRIBUTES[kind]
    value = values[int(rng.random() * len(values))]
    return Edit(kind, value, {} if kind == "ground" else target)


def _suits(scene: Scene, edit: Edit) -> bool:
    try:
        after = apply(scene, edit)
    except ValueError:
        return False
    cells = tuple(t.cell for t in after.things)
    kinds = [t.toy for t in after.things]
    before = [t.toy for t in scene.things]
    return (
        after.attributes != scene.attributes
        and all(t.colour in ALLOWED[after.ground] for t in after.things)
        and (scene.split == "unseen" or after.split != "unseen")
        and (len(cells) == 1 or cells in PAIRS + TRIPLES)
        and (len(set(kinds)) == len(kinds) or len(set(before)) < len(before))
    )
