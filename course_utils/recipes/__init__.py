"""How each shipped weight was trained: `course train NAME` repeats it from nothing."""

from collections.abc import Callable
from pathlib import Path

import torch

from course_utils import models, session
from course_utils.recipes import (
    ablations,
    classifiers,
    clip,
    components,
    oracle,
    rivals,
    sampler_sheets,
    segmenter,
    text,
    tiny_pixel,
    tiny_sd,
    vae,
)

RECIPES: dict[str, Callable[..., None]] = {
    "judge-digits": classifiers.digits,
    "judge-fashion": classifiers.fashion,
    "oracle": oracle.judge_of_scenes,
    "segmenter": segmenter.silhouette,
    "eye": oracle.eye,
    "clip": clip.clip,
    "vae": vae.vae,
    "text": text.text_encoder,
    "tiny-sd": tiny_sd.tiny_sd,
    "tiny-pixel": tiny_pixel.tiny_pixel,
    "small": ablations.helps,
    "tiny-gan": rivals.tiny_gan,
    "tiny-vae": rivals.tiny_vae,
    "trilemma": sampler_sheets.draw_sheets,
}
NAMES = tuple(RECIPES)
CAN_BE_SMALL = (*components.PARTS, "tiny-sd")


def train(
    name: str,
    *,
    into: str | Path | None = None,
    work: str | Path = "build/train",
    steps: int | None = None,
    seed: int = 0,
    small: bool = False,
    without: str = "",
) -> Path:
    """Train one of NAMES and put it on the shelf; return its folder.

    into   the folder to write; if not given, the package's own, with its SHA256SUMS;
           parts of tiny-sd, and whatever is small or without, stay in the folder `work`
    work   where a run that is killed keeps what it needs to go on (delete to restart)
    steps  fewer than the recipe's, to try it out
    small  a world of plain shapes only, learnt in less than an hour on two cores
    without  one of tiny-sd's helps (alignment, weighting, muon): what was it worth?
    """
    if name not in RECIPES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, not {name!r}")
    if small and name not in CAN_BE_SMALL:
        raise ValueError(f"small is for {', '.join(CAN_BE_SMALL)}, not for {name!r}")
    if without and name != "tiny-sd":
        raise ValueError(f"without is for tiny-sd, not for {name!r}")
    place = Path(work) / ("small" if small else "") / name
    place = place.with_name(f"{name}-without-{without}") if without else place
    ships = not (small or without or name in components.PARTS)
    folder = models.shipped.WEIGHTS / name if ships else place / "weights"
    folder = Path(into) if into else folder
    options = {"small": True} if small else {}
    options |= {"without": without} if without else {}
    torch.set_num_threads(session.threads())
    RECIPES[name](folder, place, steps=steps, seed=seed, **options)
    if ships and not into:
        models.write_sums(name)
    return folder
