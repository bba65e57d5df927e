"""Was the edit made, and was the rest left alone?

    some = triples(140)                       # what to change, with the true result
    edit_scores(images, some)                 # tensors, a number for each picture

The triples are fixed by their number and seed, from scenes that training never saw.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_list, check_tensor, check_whole
from course_utils.measure.pairs import psnr
from course_utils.toybox import Edit, Scene, Thing
from course_utils.toybox.attributes import OF_A_THING

KINDS = ("colour", "toy", "ground", "add", "remove", "place", "pattern")


@dataclasses.dataclass(frozen=True)
class Triple:
    """A scene, what is to be changed in it, and the scene that should come out."""

    scene: Scene
    edit: Edit
    target: Scene

    @property
    def instruction(self) -> str:
        """The edit in words."""
        return toybox.instruct(self.edit)

    @property
    def captions(self) -> tuple[str, str]:
        """What a user would say of both: toys, colours, and what the edit is about.

        All else is left open, so a method that keeps it does so by itself. Of a toy
        that is added all is said, as the instruction does.
        """
        new = _toy_that_changes(self) if self.edit.attribute == "add" else None
        return self._said(self.scene), self._said(self.target, new)

    def _said(self, scene: Scene, whole: int | None = None) -> str:
        """The scene in words: what matters, and all of the toy number `whole`."""
        attributes, said = scene.attributes, {}
        matters = {"toy", "colour", "count", self.edit.attribute}
        for name, value in attributes.items():
            if name in matters:
                said[name] = value
            elif isinstance(value, list) and whole is not None:
                said[name] = [v if k == whole else None for k, v in enumerate(value)]
        return toybox.say(said)


def triples(n: int, seed: int = 0, kinds: Sequence[str] = KINDS) -> list[Triple]:
    """n triples, the kinds taking turns; scenes of the split "test", edits too.

    Half of the scenes have one toy, half two; two before a removal, one before an
    addition.
    """
    check_whole(n, "n")
    check_whole(seed, "seed", 0)
    check_list(kinds, "kinds", str, repr(KINDS[0]))
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kinds: no {kind!r}; there are {', '.join(KINDS)}")
    rng, found = np.random.default_rng([seed, 17]), []
    while len(found) < n:
        kind = kinds[len(found) % len(kinds)]
        things = {"add": 1, "remove": 2}.get(kind, 1 + len(found) // len(kinds) % 2)
        scene = toybox.sample(rng, things=things, split="test")
        if len(set(scene.attributes["toy"])) < things:
            continue  # two toys alike: the words would not say which
        try:
            edit = toybox.random_edit(scene, rng, kind)
        except ValueError:  # beside a toy in the middle there is no room for another
            continue
        found.append(Triple(scene, edit, toybox.apply(scene, edit)))
    return found


def seen_edit(seen: dict, instruction: str) -> Triple | None:
    """The edit of the scene that the oracle sees, to judge what nobody rendered.

    seen is one of oracle.read's dicts. None if it is no scene, or if the instruction
    cannot be understood, asks for what is not there, or for what there is.
    """
    names = [name for name in OF_A_THING if name in seen]
    looks = ({name: seen[name][k] for name in names} for k in range(seen["count"]))
    try:
        things = sorted((Thing(**look) for look in looks), key=lambda t: t.cell)
        scene = Scene(things, seen["ground"])
        edit = toybox.parse_edit(instruction)
        target = toybox.apply(scene, edit)
    except ValueError:
        return None
    return None if target == scene else Triple(scene, edit, target)


def edit_scores(images: Tensor, edits: Sequence[Triple]) -> dict[str, Tensor]:
    """What became of each edit: name -> (B,).

    images        (B, 3, 64, 64) in [-1, 1], what a method made of the scenes
    success       1 if the oracle reads all that was to change as the target has it
    preservation  share of all other attributes that it reads as they were
    psnr_outside  dB, to the true scene, where the true result is the same to the pixel
    psnr_target   dB, to the true result
    """
    check_tensor(images, "images")
    check_list(edits, "edits", Triple, "*triples(7)")
    if not len(edits) or len(images) != len(edits):
        raise ValueError(f"{len(images)} images need as many edits, not {len(edits)}")
    verdicts = [
        _verdict(triple, seen)
        for triple, seen in zip(edits, oracle.read(images), strict=True)
    ]
    before = toybox.render([triple.scene for triple in edits])
    after = toybox.render([triple.target for triple in edits])
    images, same = images.detach().cpu().float(), ~changed(edits)
    success, preservation = torch.tensor(verdicts).T
    return dict(
        success=success,
        preservation=preservation,
        psnr_outside=_psnr_where(images, before, same),
        psnr_target=psnr(images, after),
    )


def changed(edits: Sequence[Triple]) -> Tensor:
    """Where the true result differs from the scene: (B, 1, 64, 64) bool."""
    check_list(edits, "edits", Triple, "*triples(7)")
    before = toybox.render([triple.scene for triple in edits])
    after = toybox.render([triple.target for triple in edits])
    return (before - after).abs().amax(1, keepdim=True) > 0.02


def _psnr_where(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """PSNR over the pixels of a mask (B, 1, H, W); nan where it is empty."""
    error = ((a - b).square() * where).flatten(1).sum(1)
    pixels = where.flatten(1).sum(1) * a.shape[1]
    found = 10 * (4 / (error / pixels).clamp(min=1e-10)).log10()
    return torch.where(pixels > 0, found, torch.nan)


def _verdict(triple: Triple, seen: dict) -> tuple[float, float]:
    """Is all right that was to change? And how much of the rest?"""
    kind, k = triple.edit.attribute, _toy_that_changes(triple)
    asked = {x: v for x, v in triple.target.attributes.items() if x != "relation"}
    names = [name for name, value in asked.items() if isinstance(value, list)]
    if kind == "toy" and "mood" in asked:  # a new face may be in any mood
        asked["mood"] = [m for m in asked["mood"]]
        asked["mood"][k] = None
    places = [
        (i, name)
        for i in range(asked["count"])
        for name in names
        if asked[name][i] is not None
    ]
    places += [(None, name) for name in asked if name not in names]
    new = {
        "add": {place for place in places if place[0] == k} | {(None, "count")},
        "remove": {(None, "count")},
        "ground": {(None, "ground")},
    }.get(kind, {(k, kind)})
    verdicts = zip(places, toybox.graded(asked, seen), strict=True)
    right = {place: good for place, (_, good) in verdicts}
    rest = [good for place, good in right.items() if place not in new]
    return float(all(right[place] for place in new)), sum(rest) / len(rest)


def _toy_that_changes(triple: Triple) -> int | None:
    """Which toy of the target was not there before, as it is."""
    before = {thing.cell: thing for thing in triple.scene.things}
    new = [
        k
        for k, thing in enumerate(triple.target.things)
        if before.get(thing.cell) != thing
    ]
    return new[0] if new else None
