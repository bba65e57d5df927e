"""Fields that were dreamt beforehand: a field as a picture of its slices, and back.

A dream takes half a minute on a core, and a claim wants three seeds: lesson 22 dreams
one of each kind itself and reads the others from here.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from course_utils import models
from course_utils.methods.nerf import VoxelField
from course_utils.toybox.solid import Solid

KINDS = {  # what a kind hands to methods.dreamfusion.view_models
    "words": dict(words=True),
    "no words": dict(words=False),
    "perp-neg": dict(words=False, away=1.0),
}
COLUMNS = 8  # slices side by side
LOW, HIGH = -6.0, 8.0  # of what the page keeps of density, before softplus
FAINT, LEVELS = -4.5, 51  # of a density whose colour counts; of a number on the page


class Kept(NamedTuple):
    """A dream that is over: of which toy, how it was asked, from which seed."""

    solid: Solid
    kind: str
    seed: int
    field: VoxelField


def page_name(solid: Solid, kind: str, seed: int) -> str:
    """The file of a dream: "red-robot-no-words-1.png"."""
    return f"{solid.colour}-{solid.toy}-{kind}-{seed}.png".replace(" ", "-")


@torch.no_grad()
def to_page(field: VoxelField) -> Image.Image:
    """Slices from below to above, eight in a row: colour, and density as opacity.

    Fewer levels than a byte has, and grey where next to nothing is: it packs well.
    """
    raw = (field.start + field.thickness).cpu()
    dense = ((raw - LOW) / (HIGH - LOW)).clamp(0, 1)
    near = F.max_pool3d(raw[None], 3, 1, 1) > FAINT  # rays mix a place's neighbours in
    colour = torch.where(near, field.colour.sigmoid().cpu(), 0.5)
    slices = torch.cat([colour, dense[None]]).mul(LEVELS).round()  # (4, z, y, x)
    slices = slices.mul(255 / LEVELS).round().byte()
    n = slices.shape[1]
    if n % COLUMNS:
        raise ValueError(f"a field of {n} slices fills no page: take 8, 16, 32, ...")
    rows = slices.permute(1, 2, 3, 0).unflatten(0, (-1, COLUMNS)).transpose(1, 2)
    return Image.fromarray(rows.reshape(n // COLUMNS * n, COLUMNS * n, 4).numpy())


@torch.no_grad()
def from_page(page: Image.Image) -> VoxelField:
    """The field of a page, as good as before but for what a byte rounds away."""
    pixels = torch.from_numpy(np.array(page)).float() / 255  # (H, W, 4)
    n = pixels.shape[1] // COLUMNS
    slices = pixels.unflatten(0, (-1, n)).unflatten(2, (COLUMNS, n)).transpose(1, 2)
    slices = slices.reshape(n, n, n, 4).permute(3, 0, 1, 2)
    field = VoxelField(n)
    field.colour.copy_(slices[:3].logit(1e-3))
    field.thickness.copy_(LOW + slices[3] * (HIGH - LOW) - field.start)
    return field


def read_dreams(
    kind: str, toy: str | None = None, folder: Path | None = None
) -> list[Kept]:
    """The shipped dreams of one of KINDS, of one toy or of all.

    folder  if not the shipped one
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of: {', '.join(KINDS)}")
    folder = folder or models.path("toy-dreams")
    known = json.loads((folder / "config.json").read_text(encoding="utf-8"))["dreams"]
    found = []
    for row in known:
        solid = Solid(row["toy"], row["colour"])
        if row["kind"] == kind and toy in (None, solid.toy):
            with Image.open(folder / page_name(solid, kind, row["seed"])) as page:
                found.append(Kept(solid, kind, row["seed"], from_page(page)))
    return found
