"""How each shipped weight was trained: `course train NAME` repeats it from nothing.

A recipe function has the name of its weight, and says what is trained (see recipe); all
that is the same for all is in recipe, artifacts (log, card) and workplace (lock).
"""

from collections.abc import Callable
from pathlib import Path

from accelerate import PartialState

from course_utils import models
from course_utils.measure import bench
from course_utils.recipes import (
    classifiers,
    clip,
    clip_reader,
    closeup_readers,
    dancer_pointer,
    editing,
    fashion,
    garments_ddpm,
    garments_gan,
    illusion_sheets,
    instruct_lm,
    instruct_pairs,
    instruct_twins,
    latent_eye,
    oracle,
    personalization,
    pixeldance_twins,
    pointer,
    race_bench,
    race_scores,
    rivals,
    sampler_sheets,
    segmenter,
    small,
    text_gan,
    tiny_animate,
    tiny_cascade,
    tiny_closeup,
    tiny_controlnets,
    tiny_flow,
    tiny_instruct,
    tiny_ip_adapter,
    tiny_lcm,
    tiny_lightning,
    tiny_lm,
    tiny_motion,
    tiny_pixel,
    tiny_pixeldance,
    tiny_reflow,
    tiny_sd,
    tiny_taesd,
    tiny_video,
    tiny_views,
    toy_ddgan,
    toy_dreams,
    toy_gan,
    translators,
    upscalers,
    view_reader,
)
from course_utils.recipes.components import COMPONENTS
from course_utils.recipes.recipe import Made, Recipe, name_of, produce

ON_COMPONENTS = (
    tiny_sd.tiny_sd,
    latent_eye.latent_eye,
    toy_gan.toy_gan,
    toy_ddgan.toy_ddgan,
    text_gan.text_gan,
    rivals.tiny_vae,
    small.small,
)
ON_NONE = (
    classifiers.judge_digits,
    classifiers.judge_fashion,
    fashion.fashion,
    garments_ddpm.garments_ddpm,
    garments_gan.garments_gan,
    illusion_sheets.illusion_sheets,
    instruct_lm.instruct_lm,
    instruct_pairs.instruct_pairs,
    instruct_twins.instruct_twins,
    oracle.oracle,
    pointer.pointer,
    race_scores.race_scores,
    personalization.personalization,
    segmenter.segmenter,
    clip.clip,
    clip_reader.clip_reader,
    closeup_readers.closeup_eye,
    closeup_readers.closeup_reader,
    dancer_pointer.dancer_pointer,
    editing.editing,
    pixeldance_twins.pixeldance_twins,
    tiny_animate.tiny_animate,
    tiny_cascade.tiny_cascade,
    tiny_closeup.tiny_closeup,
    tiny_controlnets.tiny_controlnet_edges,
    tiny_controlnets.tiny_controlnet_pose,
    tiny_controlnets.tiny_controlnet_scribble,
    tiny_controlnets.tiny_controlnet_segmentation,
    tiny_flow.tiny_flow,
    tiny_instruct.tiny_instruct,
    tiny_lcm.tiny_lcm,
    tiny_lightning.tiny_lightning,
    tiny_ip_adapter.tiny_ip_adapter,
    tiny_lm.tiny_lm,
    tiny_motion.tiny_motion,
    tiny_pixel.tiny_pixel,
    tiny_pixeldance.tiny_pixeldance,
    tiny_taesd.tiny_taesd,
    tiny_reflow.tiny_reflow,
    tiny_video.tiny_video,
    tiny_views.tiny_views,
    toy_dreams.toy_dreams,
    sampler_sheets.trilemma,
    translators.translators,
    upscalers.upscalers,
    view_reader.view_reader,
)
RECIPES: dict[str, Callable[..., Recipe | Made]] = COMPONENTS | {
    name_of(recipe): recipe for recipe in (*ON_NONE, *ON_COMPONENTS)
}
NAMES = tuple(sorted(RECIPES))
BENCHES = bench.BENCHES | {"training": race_bench.race_training}
STAY = (*COMPONENTS, "instruct-pairs")  # in `work`: only what they led to is shipped
OF_CLIPS = ("tiny-video", "tiny-pixeldance", "pixeldance-twins")
CAN_BE_SMALL = (*COMPONENTS, "tiny-sd", "tiny-views", *OF_CLIPS)


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
           components of tiny-sd, and what is small or without, stay in `work`
    work   where a run that is killed keeps what it needs to go on (delete to restart)
    steps  fewer than the recipe's, to try it out
    small  for two cores: of tiny-sd and its parts a world of plain shapes only, learnt
           in less than an hour; of clips a shorter training, of two hours at most
    without  one of tiny_sd.ABLATIONS (alignment, weighting, muon): what was it worth?

    Raises ValueError for a name or a number that cannot be; if what `work` holds was
    made with other settings; if a folder cannot be written; if another training is at
    work there.
    """
    _check(name, steps, seed, small, without)
    place = Path(work) / ("small" if small else "") / name
    place = place.with_name(f"{name}-without-{without}") if without else place
    ships = not (small or without or name in STAY)
    folder = models.shipped.shelf(name) / name if ships else place / "weights"
    folder = Path(into) if into else folder
    options = {"small": True} if small else {}
    options |= {"without": without} if without else {}
    options |= {"root": place.parent} if RECIPES[name] in ON_COMPONENTS else {}
    produce(RECIPES[name], folder, place, steps=steps, seed=seed, **options)
    if ships and not into and PartialState().is_main_process:
        models.write_sums(name)
    return folder


def _check(name: str, steps: int | None, seed: int, small: bool, without: str) -> None:
    if name not in RECIPES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, not {name!r}")
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise ValueError(f"steps must be a whole number from 1 on, not {steps!r}")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on, not {seed!r}")
    if small and name not in CAN_BE_SMALL:
        raise ValueError(f"small is for {', '.join(CAN_BE_SMALL)}, not for {name!r}")
    if without and name != "tiny-sd":
        raise ValueError(f"without is for tiny-sd, not for {name!r}")
