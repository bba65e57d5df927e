"""Clips: a scene with one toy, and what the toy does.

    clip = toybox.sample_clip(rng)
    clip.caption                        # "a small red star at the right ... moves left"
    toybox.film([clip])                 # (1, 8, 3, 64, 64) in [-1, 1]
    toybox.parse_clip(clip.caption)     # attributes of the first frame, and the motion

The scene is the first frame; the last frame is where the motion ends.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from course_utils.images import check_whole
from course_utils.toybox import palette
from course_utils.toybox.attributes import CELL, HELD_OUT, PLACES, WIDTH, check_rng
from course_utils.toybox.draw import render
from course_utils.toybox.parsing import parse
from course_utils.toybox.sampling import sample
from course_utils.toybox.scene import Scene, Thing, describe

DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
MOTIONS = [f"moves {way}" for way in DIRECTIONS]
MOTIONS += ["turns", "grows", "shrinks", "jumps"]
MOTIONS += [f"becomes {colour}" for colour in palette.COLOURS]
TURN = 90.0  # degrees, clockwise
JUMP = 0.2  # picture widths, at its highest
GROWTH = WIDTH["big"] / WIDTH["small"]
ALIKE_TURNED = ("circle", "ring", "square", "cross")  # a quarter turn does not show


def check_motion(motion: object) -> None:
    """Refuse what no toy can do."""
    if motion not in MOTIONS:
        raise ValueError(
            f"motion={motion!r} is not one of: {', '.join(MOTIONS[:8])}, becomes red "
            "(or another colour)"
        )


@dataclasses.dataclass(frozen=True)
class Clip:
    """One toy on a ground, in the first frame, and its motion, one of MOTIONS.

    The motion must have room: a toy at the left cannot move left, one at the top can
    neither move up nor jump, a big one cannot grow; else a ValueError says so.
    """

    scene: Scene
    motion: str

    def __post_init__(self):
        """Refuse a motion that is none, or has no room."""
        check_motion(self.motion)
        if not isinstance(self.scene, Scene) or len(self.scene.things) != 1:
            raise ValueError("scene must be a Scene with one toy: a clip has one actor")
        why = hindrance(self.scene.things[0], self.scene.ground, self.motion)
        if why:
            raise ValueError(f"motion={self.motion!r}: {why}")

    @property
    def caption(self) -> str:
        """The first frame in words, and the motion; `parse_clip` is the inverse."""
        return f"{self.scene.caption} {self.motion}"

    @property
    def split(self) -> str:
        """That of the first frame; unseen, too, if a held-out colour comes later."""
        thing = self.last.things[0]
        return "unseen" if HELD_OUT[thing.toy] == thing.colour else self.scene.split

    def scene_at(self, s: float) -> Scene:
        """The scene at s, 0 (first frame) to 1 (last frame).

        A colour changes at once, in the middle; in pictures (`film`) it fades.
        """
        thing = self.scene.things[0]
        verb, _, to = self.motion.partition(" ")
        change = {}
        if verb == "moves":
            change = {"shift": _moved(thing, DIRECTIONS[to], CELL * s)}
        elif verb == "jumps":
            change = {"shift": _moved(thing, (0, -1), JUMP * 4 * s * (1 - s))}
        elif verb == "turns":
            change = {"turn": thing.turn + TURN * s}
        elif verb == "grows":
            change = {"scale": thing.scale * GROWTH**s}
        elif verb == "shrinks":
            change = {"scale": thing.scale / GROWTH**s}
        elif s > 0.5:
            change = {"colour": to}
        return Scene([dataclasses.replace(thing, **change)], self.scene.ground)

    def scenes(self, frames: int = 8) -> list[Scene]:
        """The scene of each frame."""
        check_whole(frames, "frames", 2)
        return [self.scene_at(k / (frames - 1)) for k in range(frames)]

    @property
    def last(self) -> Scene:
        """The last frame, its place, size and colour named as what they are there."""
        thing = self.scene_at(1.0).things[0]
        verb, _, to = self.motion.partition(" ")
        change = {}
        if verb == "moves":
            row, column = divmod(self.scene.things[0].cell, 3)
            right, down = DIRECTIONS[to]
            place = PLACES[3 * (row + down) + column + right]
            change = {"place": place, "shift": self.scene.things[0].shift}
        elif verb in ("grows", "shrinks"):
            size = {"grows": "big", "shrinks": "small"}[verb]
            change = {"size": size, "scale": self.scene.things[0].scale}
        return Scene([dataclasses.replace(thing, **change)], self.scene.ground)


def _moved(thing: Thing, way: tuple[int, int], far: float) -> tuple[float, float]:
    return thing.shift[0] + far * way[0], thing.shift[1] + far * way[1]


def hindrance(thing: Thing, ground: str, motion: str) -> str:
    """Why this toy cannot do this here; "" if it can."""
    verb, _, to = motion.partition(" ")
    row, column = divmod(thing.cell, 3)
    if verb == "moves":
        right, down = DIRECTIONS[to]
        if not (0 <= row + down <= 2 and 0 <= column + right <= 2):
            return f"at the {thing.place} there is no room to move {to}"
    if verb == "jumps" and row == 0:
        return f"at the {thing.place} there is no room to jump"
    if verb == "turns" and thing.toy in ALIKE_TURNED:
        return f"nobody sees a {thing.toy} turn; take a star, say"
    if (verb, thing.size) in (("grows", "big"), ("shrinks", "small")):
        return f"the toy is {thing.size} already"
    if verb == "becomes":
        if to == thing.colour:
            return f"the toy is {to} already"
        if to not in palette.ALLOWED[ground]:
            return f"{to} vanishes into this ground, {ground}"
    return ""


def film(
    clips: Sequence[Clip], frames: int = 8, size: int = 64, device: str = "cpu"
) -> Tensor:
    """The frames of clips: (B, frames, 3, size, size) in [-1, 1].

    A new colour fades in, from the first frame to the last.
    """
    check_clips(clips)
    check_whole(frames, "frames", 2)
    first = [clip.scenes(frames) for clip in clips]
    video = _rendered(first, size, device)
    fading = [k for k, clip in enumerate(clips) if clip.motion.startswith("becomes")]
    if fading:
        rows = torch.linspace(0, 1, frames, device=device).view(-1, 1, 1, 1)
        pairs = [(clips[k].scene, clips[k].last) for k in fading]
        ends = _rendered(pairs, size, device)
        video[fading] = torch.lerp(ends[:, :1], ends[:, 1:], rows)
    return video


def _rendered(rows: list, size: int, device: str) -> Tensor:
    """Scenes (B rows of n) -> (B, n, 3, size, size)."""
    flat = [scene for row in rows for scene in row]
    return render(flat, size, device).unflatten(0, (len(rows), len(rows[0])))


def check_clips(clips: object) -> None:
    """Refuse anything but a list of one Clip or more."""
    if not isinstance(clips, list | tuple) or not clips:
        raise ValueError("clips must be a list of Clip, such as [sample_clip(rng)]")
    wrong = [clip for clip in clips if not isinstance(clip, Clip)]
    if wrong:
        raise ValueError(f"clips must hold Clip only, not a {type(wrong[0]).__name__}")


def sample_clip(
    rng: np.random.Generator,
    split: str = "train",
    motion: str | list[str] | None = None,
    **choices: str | list[str],
) -> Clip:
    """A random clip of a split; `motion` and choices, as in `sample`, narrow it.

    Without a choice, half of all clips move, and the other kinds share the rest.
    """
    check_rng(rng)
    if split not in ("train", "test", "unseen"):
        raise ValueError(f"split={split!r} is not one of: train, test, unseen")
    some = [motion] if isinstance(motion, str) else motion
    for name in some or []:
        check_motion(name)
    for _ in range(5000):
        name = _drawn(rng, some)
        scene = sample(rng, split, 1, **choices)
        if hindrance(scene.things[0], scene.ground, name):
            continue
        clip = Clip(scene, name)
        if clip.split == split:
            return clip
    raise ValueError(
        f"sample_clip found no clip with {choices} and motion={motion!r} in "
        f"split={split!r}: widen the choice"
    )


def _drawn(rng: np.random.Generator, some: list[str] | None) -> str:
    if some:
        return some[int(rng.random() * len(some))]
    kinds = [MOTIONS[:4]] * 5 + [[name] for name in MOTIONS[4:8]] + [MOTIONS[8:]]
    kind = kinds[int(rng.random() * len(kinds))]
    return kind[int(rng.random() * len(kind))]


def describe_clip(clip: Clip, rng: np.random.Generator, keep: float = 0.75) -> str:
    """The clip in varied words, attributes left out at random; the motion is said."""
    check_clips([clip])
    return f"{describe(clip.scene, rng, keep)}, {_participle(clip.motion)}"


def _participle(motion: str) -> str:
    verb, _, to = motion.partition(" ")
    return f"{_ING[verb]} {to}".strip()


_ING = {
    "moves": "moving",
    "turns": "turning",
    "grows": "growing",
    "shrinks": "shrinking",
    "jumps": "jumping",
    "becomes": "becoming",
}
_VERB = {ing: verb for verb, ing in _ING.items()}


def parse_clip(caption: str) -> tuple[dict, str]:
    """What a clip's caption says: attributes of the first frame, and the motion.

    "moves left" and "moving left" are the same. ValueError where there is no motion.
    """
    if not isinstance(caption, str):
        raise ValueError(f"caption must be a text, one str, not {caption!r}")
    words = "|".join([*_ING, *_VERB])
    found = re.fullmatch(rf"(.+?),? ({words})(?: (\w+))?", caption.lower().strip(" ."))
    motion = ""
    if found:
        motion = f"{_VERB.get(found[2], found[2])} {found[3] or ''}".strip()
    if motion not in MOTIONS:
        raise ValueError(
            f"{caption!r} does not end in a motion, as 'a red star moves left' does; "
            f"there are {', '.join(MOTIONS[:8])}, and becomes with a colour"
        )
    return parse(found[1]), motion
