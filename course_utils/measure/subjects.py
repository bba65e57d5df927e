"""Does a picture show the subject, as asked, and is the class still what it was?

To compare a picture with a subject one must know where it stands. Its sticker is tried
at every place, in several sizes and turns; where it fits best, the picture is judged.

    likeness        cosine of tiny CLIP's view with that of true pictures (as CLIP-I)
    marks_present   does each mark have its colour where it belongs?
    prompt_scores   do ground, place and number agree with the prompt?
    class_kept      how varied, and how right, is the class without the rare token?
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import oracle, toybox
from course_utils.images import check_images, check_whole
from course_utils.measure.attributes import attribute_accuracy
from course_utils.measure.clip import shipped_clip
from course_utils.toybox import Scene, Subject, Thing, palette
from course_utils.toybox.subjects import check_subject

SCALES = (0.9, 1.0, 1.1, 1.2, 1.3)  # of a big toy
TURNS = (-14.0, -7.0, 0.0, 7.0, 14.0)
WINDOW = 44  # pixels: what the largest sticker needs
CROP = 40  # pixels around the subject that CLIP sees, enlarged to 64


def fit(images: Tensor, subject: Subject) -> list[Scene]:
    """Where the subject fits best into each picture (B, 3, 64, 64): B scenes.

    Their grounds mean nothing. First at every second pixel, then around the best.
    """
    check_images(images, 3, 64)
    if not len(images):
        raise ValueError("images is empty: pass one or more")
    check_subject(subject)
    looks = [(scale, turn) for scale in SCALES for turn in TURNS]
    rough, fine = _stickers(subject, looks, 32), _stickers(subject, looks, 64)
    edge, scenes = WINDOW // 2 + 2, []
    for image in images[:, None]:
        thumb = F.pad(F.avg_pool2d(image, 2), [WINDOW // 4] * 4, mode="replicate")
        cost = _costs(thumb, *rough).amin(0)  # (33, 33)
        row, column = (2 * k for k in divmod(cost.argmin().item(), 33))
        around = F.pad(image, [edge] * 4, mode="replicate")
        around = around[..., row : row + 2 * edge, column : column + 2 * edge]
        cost = _costs(around, *fine)  # (looks, 5, 5): two pixels to each side
        look, place = divmod(cost.argmin().item(), 25)
        down, right = divmod(place, 5)
        centre = (column + right - 2) / 64, (row + down - 2) / 64
        shift = tuple(min(max(x, 0.0), 1.0) - 0.5 for x in centre)
        scale, turn = looks[look]
        thing = Thing(subject.toy, subject.colour, shift=shift, scale=scale, turn=turn)
        scenes.append(Scene([thing]))
    return scenes


def _stickers(subject: Subject, looks: list, size: int) -> tuple[Tensor, Tensor]:
    """Convolution weights (looks, 4, P, P) and constants (looks,) for _costs."""
    things = [Thing(subject.toy, subject.colour, scale=s, turn=a) for s, a in looks]
    scenes = [Scene([thing]) for thing in things]
    pictures, _, masks = toybox.portray_layers(subject, scenes, size)
    solid = (masks[:, :1] > 0.8).float()
    solid = solid / solid.sum((2, 3), keepdim=True)
    edge = (size - WINDOW * size // 64) // 2
    weights = torch.cat([solid, -2 * solid * pictures], 1)
    constants = (solid * pictures.square()).sum((1, 2, 3))
    return weights[..., edge : size - edge, edge : size - edge], constants


def _costs(image: Tensor, weights: Tensor, constants: Tensor) -> Tensor:
    """Mean square error under each sticker at each place: (looks, H, W)."""
    both = torch.cat([image.square().sum(1, keepdim=True), image], 1)
    return F.conv2d(both, weights)[0] + constants[:, None, None]


def views(images: Tensor, scenes: Sequence[Scene]) -> Tensor:
    """What tiny CLIP sees around the first thing of each scene: unit vectors (B, D)."""
    side, found = CROP / 64, []
    for image, scene in zip(images, scenes, strict=True):
        x, y = scene.things[0].centre
        window = torch.tensor([[[side, 0, 2 * x - 1], [0, side, 2 * y - 1]]])
        grid = F.affine_grid(window, (1, 3, 64, 64), align_corners=False)
        options = dict(align_corners=False, padding_mode="border")
        found.append(F.grid_sample(image[None], grid, **options))
    return shipped_clip().see(torch.cat(found).clamp(-1, 1))


def likeness(images: Tensor, subject: Subject) -> Tensor:
    """Mean cosine of each picture with true ones of the subject, (B,).

    Both are seen through tiny CLIP, where the subject fits best; as the field's CLIP-I,
    which looks at whole pictures. The true ones stand on every ground where it stands
    out, at the nine places in turn; they reach about 0.98.
    """
    check_subject(subject)
    places = [toybox.PLACES[k % 9] for k in range(len(subject.contrasts))]
    pairs = zip(places, subject.contrasts, strict=True)
    scenes = [toybox.setting(subject, place, ground) for place, ground in pairs]
    true = views(toybox.portray(subject, scenes), scenes)
    return (views(images, fit(images, subject)) @ true.T).mean(1)


def marks_present(images: Tensor, subject: Subject) -> Tensor:
    """Whether each mark is there, (B, marks) bool.

    It is if, where it belongs, the mean colour is nearer to its own than to any other
    of the toybox's colours, in OKLab.
    """
    masks = toybox.portray_layers(subject, fit(images, subject))[2][:, 1:]
    masks = masks * (masks >= 0.7 * masks.amax((2, 3), keepdim=True))
    pairs = torch.einsum("bchw,bmhw->bmc", images, masks)
    means = pairs / masks.sum((2, 3))[..., None].clamp(min=1e-6)
    tones = [*palette.COLOURS.values(), palette.INK, palette.CREAM]
    for areas in (*palette.TONES.values(), *palette.SETTINGS.values()):
        tones += areas
    own = [list(palette.COLOURS).index(colour) for colour in subject.marks.values()]
    gaps = torch.cdist(_oklab(means / 2 + 0.5), _oklab(torch.tensor(tones)))
    return gaps.argmin(-1) == torch.tensor(own)


def _oklab(colours: Tensor) -> Tensor:
    rows = colours.clamp(0, 1).reshape(-1, 3).tolist()
    found = np.array([palette.oklab(row) for row in rows]).reshape(colours.shape)
    return torch.from_numpy(found)


def prompt_scenes(subject: Subject, seen: Sequence[Scene], n: int = 18) -> list[Scene]:
    """n scenes to ask for: all nine places, and grounds that `seen` does not have."""
    check_subject(subject)
    check_whole(n, "n")
    if not (isinstance(seen, list | tuple) and not seen):  # nothing seen is allowed
        toybox.check_scenes(seen, "seen")
    grounds = [g for g in subject.contrasts if g not in {s.ground for s in seen}]
    order = [
        (toybox.PLACES[k % 9], grounds[(k + k // 9) % len(grounds)]) for k in range(n)
    ]
    return [toybox.setting(subject, place, ground) for place, ground in order]


def prompts(scenes: Sequence[Scene], token: str = "") -> list[str]:
    """Captions of where the toy is and on what: "a sks star at the top in the snow"."""
    toybox.check_scenes(scenes)
    captions = [toybox.say(_asked(scene)) for scene in scenes]
    return [c.replace("a ", f"a {token} ", 1) if token else c for c in captions]


def _asked(scene: Scene) -> dict:
    names = ("toy", "place", "ground", "count")
    return {name: scene.attributes[name] for name in names}


def prompt_scores(images: Tensor, scenes: Sequence[Scene]) -> dict[str, float]:
    """Share of pictures with the right ground, place and number, and "all" their mean.

    The oracle reads them; what is where it cannot name counts as a toy like any other.
    """
    toybox.check_scenes(scenes)
    asked = [_asked(scene) | dict(toy=[None]) for scene in scenes]
    found = attribute_accuracy(images, asked)
    kept = {name: found[name] for name in ("ground", "place", "count")}
    return kept | {"all": sum(kept.values()) / 3}


def class_kept(images: Tensor, toy: str) -> dict[str, float]:
    """What pictures of "a star" still are: right, variety, and their product, "kept".

    right    share in which the oracle sees this toy and no other
    variety  how many colours times how many patterns it has, each exp(entropy): 32 at
             most. It grows with the number of pictures, so compare equal numbers
    """
    check_images(images, 3, 64)
    if not len(images):
        raise ValueError("images is empty: pass one or more")
    seen = [r for r in oracle.read(images) if set(r["toy"]) == {toy}]
    variety = math.prod(_kinds([r[name][0] for r in seen]) for name in _LOOK)
    right = len(seen) / len(images)
    return {"right": right, "variety": variety, "kept": right * variety}


_LOOK = ("colour", "pattern")


def _kinds(values: list) -> float:
    """How many different values there are, were they equally frequent; 0 of none."""
    shares = [k / len(values) for k in Counter(values).values()]
    return math.exp(-sum(p * math.log(p) for p in shares)) if values else 0.0


def drift(after: Tensor, before: Tensor, toy: str) -> float:
    """How much of the class is lost, 0 nothing to 1 all; draw both from one noise.

    0 where the oracle saw none before, as in pictures of another world than the toybox.
    """
    check_images(after, 3, 64, "after")
    check_images(before, 3, 64, "before")
    if not len(after) or not len(before):
        raise ValueError("after and before are empty: pass one or more of both")
    kept, had = (class_kept(images, toy)["kept"] for images in (after, before))
    return max(0.0, 1 - kept / had) if had else 0.0
