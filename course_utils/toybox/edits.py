"""Changes to a scene, and the instructions that ask for them.

apply(scene, "make the cat blue")             # a new Scene
parse_edit(instruct(edit)) == edit            # words and edits are one to one
"""

import dataclasses
import re

import numpy as np

from course_utils.toybox.attributes import (
    FACES,
    HELD_OUT,
    check_look,
    known,
)
from course_utils.toybox.palette import ALLOWED
from course_utils.toybox.parsing import CAPTION_WORDS, Reading, tokens
from course_utils.toybox.scene import Scene, Thing, check_scene
from course_utils.toybox.words import article, say

FORMS = {
    "toy": ("turn {target} into {value}", "replace {target} with {value}"),
    "colour": ("make {target} {value}", "paint {target} {value}"),
    "size": ("make {target} {value}",),
    "pattern": ("make {target} {value}",),
    "mood": ("make {target} {value}",),
    "place": ("move {target} to the {value}", "put {target} at the {value}"),
    "ground": ("change the ground to {value}", "make the ground {value}"),
    "add": ("add {value}",),
    "remove": ("remove {target}", "take away {target}"),
}
# every word of captions and instructions, for tokenizers
VOCABULARY = sorted(
    {word for forms in FORMS.values() for form in forms for word in form.split()}
    - {"{target}", "{value}"}
    | set(CAPTION_WORDS)
)


@dataclasses.dataclass(frozen=True)
class Edit:
    """One change: of an attribute, or "add" or "remove".

    `value` is what the attribute becomes, or for "add" the attributes of the new toy.
    `target` holds attributes that single out the toy to change; empty is the only toy.
    """

    attribute: str
    value: str | dict | None = None
    target: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        """Refuse what no edit can do."""
        check_editable(self.attribute)
        check_look(self.target, "target")
        if self.target and "toy" not in self.target:
            raise ValueError(f"target={self.target} must say which toy to change")
        if self.attribute == "add":
            check_look(self.value, "value")
            if "toy" not in self.value:
                raise ValueError(f"value={self.value} must say which toy to add")
        elif self.attribute != "remove":
            known(self.attribute, self.value)
        elif self.value is not None:
            raise ValueError(
                f"value={self.value!r}: to remove a toy, name it in target"
            )


def check_editable(attribute: object) -> None:
    """Refuse what is no kind of edit."""
    if attribute not in list(FORMS):
        raise ValueError(
            f"attribute={attribute!r} cannot be edited; {', '.join(FORMS)} can"
        )


def _named(target: dict) -> str:
    if not target:
        return "it"
    return (
        "the "
        + say({k: [v] for k, v in target.items()} | {"count": 1}).split(" ", 1)[1]
    )


def instruct(edit: Edit, rng: np.random.Generator | None = None) -> str:
    """The edit in words; with `rng` the wording varies. `parse_edit` is the inverse."""
    if not isinstance(edit, Edit):
        raise ValueError(f"edit must be an Edit, not {edit!r}")
    forms = FORMS[edit.attribute]
    form = forms[0 if rng is None else int(rng.random() * len(forms))]
    value = edit.value
    if edit.attribute == "add":
        value = say({k: [v] for k, v in value.items()} | {"count": 1})
    elif edit.attribute == "toy":
        value = article(value)
    return form.format(target=_named(edit.target), value=value)


def parse_edit(instruction: str) -> Edit:
    """The edit that an instruction asks for; ValueError if it cannot be understood."""
    if not isinstance(instruction, str):
        raise ValueError(f"instruction must be a text, one str, not {instruction!r}")
    text = instruction.lower().strip(" .!")
    patterns = (
        (r"(?:turn|replace) (.+) (?:into|with) (.+)", "toy"),
        (
            r"(?:change|make|turn) the (?:ground|background) (?:to |into )?(.+)",
            "ground",
        ),
        (r"(?:move|put) (.+) (?:to|at|in) the (.+)", "place"),
        (r"(?:make|paint) (.+)", None),
        (r"add (.+)", "add"),
        (r"(?:remove|take away) (.+)", "remove"),
    )
    if re.match(r"turn the (back)?ground ", text):
        patterns = patterns[1:]
    for pattern, kind in patterns:
        found = re.fullmatch(pattern, text)
        if found:
            return _understood(instruction, kind, *found.groups())
    raise ValueError(
        f"cannot follow {instruction!r}; say for instance "
        "'make the cat blue', 'turn the cat into a fish', 'move it to the top left', "
        "'change the ground to snow', 'add a small red star at the top', "
        "'remove the cat'"
    )


def _understood(instruction: str, kind: str | None, *parts: str) -> Edit:
    first, last = Reading(tokens(parts[0])), Reading(tokens(parts[-1]))
    if kind == "ground":
        whole = last.whole or Reading(tokens(parts[-1] + " ground")).whole
        if "ground" in whole:
            return Edit("ground", whole["ground"])
    elif kind == "add" and len(first.things) == 1 and not first.left_over:
        return Edit("add", first.things[0])
    elif kind == "remove":
        return Edit("remove", None, _target(first))
    elif kind == "toy" and len(last.things) == 1:
        return Edit("toy", last.things[0]["toy"], _target(first))
    elif kind == "place" and "place" in last.left_over:
        return Edit("place", last.left_over["place"], _target(first))
    elif kind is None and len(first.left_over) == 1:
        ((name, value),) = first.left_over.items()
        return Edit(name, value, _target(first))
    raise ValueError(f"cannot follow {instruction!r}: say what to change, and to what")


def _target(reading: Reading) -> dict:
    if len(reading.things) > 1:
        raise ValueError("one instruction changes one toy; name one")
    return reading.things[0] if reading.things else {}


def _find(scene: Scene, target: dict) -> int:
    fits = [
        k
        for k, thing in enumerate(scene.things)
        if all(getattr(thing, name) == value for name, value in target.items())
    ]
    if len(fits) != 1:
        raise ValueError(
            f"{_named(target)!r} fits {len(fits)} toys in {scene.caption!r}; "
            "name one by its toy, colour or place"
        )
    return fits[0]


def apply(scene: Scene, edit: Edit | str) -> Scene:
    """The scene after an edit, or after an instruction in words.

    All that is not asked for stays, to the pixel. ValueError where it does not fit.
    """
    check_scene(scene)
    edit = parse_edit(edit) if isinstance(edit, str) else edit
    if not isinstance(edit, Edit):
        raise ValueError(f"edit must be an Edit or an instruction, not {edit!r}")
    if edit.attribute == "ground":
        return dataclasses.replace(scene, ground=edit.value)
    things = list(scene.things)
    if edit.attribute == "add":
        things.append(_new(scene, edit.value))
    elif edit.attribute == "remove":
        things.pop(_find(scene, edit.target))
    else:
        k = _find(scene, edit.target)
        change = {edit.attribute: edit.value}
        if edit.attribute == "toy" and edit.value not in FACES:
            change["mood"] = None
        things[k] = dataclasses.replace(things[k], **change)
    places = [thing.cell for thing in things]
    if len(set(places)) < len(places):
        raise ValueError(f"two toys in one place after {instruct(edit)!r}")
    return dataclasses.replace(scene, things=sorted(things, key=lambda t: t.cell))


def _new(scene: Scene, look: dict) -> Thing:
    """The new toy; what is not said is red (or what stands out), small and plain."""
    colour = "red" if HELD_OUT[look["toy"]] != "red" else "blue"
    if colour not in ALLOWED[scene.ground]:
        colour = ALLOWED[scene.ground][0]
    return Thing(**({"colour": colour, "size": "small", "place": "middle"} | look))
