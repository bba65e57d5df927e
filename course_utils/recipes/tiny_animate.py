"""tiny-animate: one picture of a doll dances to poses, as MagicAnimate has it.

First single frames: the ControlNet and the appearance encoder learn. Then clips: the
motion modules learn, the rest is frozen. Kept is what differs from what each began as.
"""

import copy
import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import save_sheet
from course_utils.measure import dances as judge
from course_utils.methods.animatediff import groups_of_motion, save_adapter
from course_utils.methods.magic_animate import Animator, Dancer, animate, windows_of
from course_utils.models import difference
from course_utils.models.pipelines import encode, round_trip
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.dancers import dancing_batch, dancing_loss
from course_utils.toybox import Scene
from course_utils.training import muon

RATE, PICTURES, CLIPS = 1e-3, 8192, 1024
FRAMES = 8
STARTS = {
    "pose": "tiny-controlnet-pose",
    "look": "tiny-sd/unet",
    "motion": "tiny-motion",
}

CARD = """# tiny-animate

One picture of a doll dances to the poses that it is given, as MagicAnimate has it:
`pose` is a ControlNetModel, `look` the appearance encoder, a UNet2DConditionModel,
`motion` a MotionAdapter, all for tiny. `models.path("tiny-animate/pose")` and so on put
the ordinary folders together.

| {n} clips of {frames} frames, dolls that were never seen | tiny-animate | VAE |
|---|---|---|
| distance from the given points, pixels | {points} | {vae_points} |
| colour, pattern and ground right, frames | {same} | {vae_same} |
| error of the change where windows meet | {seam} | {vae_seam} |
| the same, windows that do not overlap | {bare_seam} | |
| colour, pattern and ground right without the look | {blind_same} | |

Read by the dancers' pointer and the oracle; 10 steps, guidance 2.

- **Data** dancers of the toybox, split "train", in random poses and dances.
- **Parts** tiny, frozen; a copy of its UNet whose attention learns, the ControlNet of
  poses and the motion modules of tiny-motion, which learn on.
- **Training** {first_steps} steps of 16 single frames for pose and look; then {steps}
  steps of {batch_size} clips for motion; Muon at {lr}, seed {seed}; look and words left
  out in 10 %; averaged weights.
- **On disk** the differences to what each began as, a byte a weight and a scale a row.
"""


def tiny_animate(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """Start from the shipped miniature, its pose ControlNet and its motion modules."""
    pipe = models.load("text-to-image", "tiny")
    first = steps or 2000
    then = steps or 800
    words = pipe.encode_prompt(["a doll", ""], pipe.device, 1, False)[0].detach()
    pair = words[:1].float(), words[1:].float()
    look_in = functools.partial(encode, pipe.vae)

    def build() -> Animator:
        control = models.load("controlnet", "tiny-controlnet-pose")
        parts = None, control.float(), copy.deepcopy(pipe.unet).float()
        return learning(Animator(pipe.unet.float(), *parts), motion=False).train()

    def with_motion(still: Animator) -> Animator:
        from diffusers import MotionAdapter

        adapter = MotionAdapter.from_pretrained(models.path("tiny-motion")).float()
        whole = Animator(still.unet, adapter, still.control, still.look)
        return learning(whole, motion=True).train()

    def batch(n: int, frames: int, dances: int):
        return dancing_batch(look_in, pair, n, frames, dances, seed)

    def watch(states, work: Path):
        look = functools.partial(_look, pipe, 1 if first < 500 else 8)
        return observed(states, look, work, 15)

    shared = dict(loss=dancing_loss, seed=seed, lr=RATE, ema=0.998, decay=0.4, share=1)
    shared |= dict(watch=watch, log_every=100)

    def on(model: Animator) -> Recipe:
        return Recipe(
            model=lambda: with_motion(model),
            batch=batch(2, FRAMES, min(CLIPS, 2 * then)),
            save=_not_alone,
            card="",
            steps=then,
            batch_size=2,
            optimizer=lambda m: muon.Muon(groups_of_motion(m.unet, 0.5 * RATE)),
            **shared,
        )

    def write(model: Animator, folder: Path) -> dict:
        n, frames = (24, 16) if first >= 500 else (1, 10)
        scores = dance_scores(Dancer(pipe, model.eval()), n, frames)
        keep_parts(model, folder)
        return scores | dict(first_steps=first, steps=then, batch_size=2)

    return Recipe(
        model=build,
        batch=batch(16, 1, min(PICTURES, 16 * first)),
        save=write,
        card=CARD,
        steps=first,
        batch_size=16,
        optimizer=lambda model: muon.Muon(groups_of_parts(model, RATE)),
        then=on,
        **shared,
    )


def _not_alone(model: nn.Module, folder: Path) -> dict:
    raise NotImplementedError("the motion is written with the rest")


def learning(model: Animator, motion: bool) -> Animator:
    """The same parts; either the motion modules learn, or pose and look do.

    Of the look what attends learns. The norm before it stays: torch's backward of a
    GroupNorm whose input needs no gradient ends the process (2.13, channels last).
    """
    model.requires_grad_(False)
    for name, p in model.named_parameters():
        if motion:
            p.requires_grad_("motion_modules" in name)
        else:
            look = name.startswith("look.") and ".transformer_blocks." in name
            p.requires_grad_(look or name.startswith("control."))
    return model


def groups_of_parts(model: Animator, rate: float) -> list[dict]:
    """Parameter groups for Muon: what of pose and look learns."""
    free = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in free if p.ndim > 1], "lr": rate, "muon": True},
        {"params": [p for p in free if p.ndim < 2], "lr": rate, "muon": False},
    ]


def keep_parts(model: Animator, folder: Path) -> None:
    """Write the three folders, each as what differs from where it started."""
    with tempfile.TemporaryDirectory() as place:
        model.control.half().save_pretrained(Path(place) / "pose")
        model.look.half().save_pretrained(Path(place) / "look")
        save_adapter(model.unet.half(), Path(place) / "motion")
        for name, start in STARTS.items():
            base, _, part = start.partition("/")
            whole, kept = Path(place) / name, folder / name
            difference.keep_difference(whole, models.path(base) / part, kept, start)


def some_dances(n: int, frames: int = 16, seed: int = 0) -> list[list[Scene]]:
    """n dolls of the split "test", each doing one of the DANCES: a scene a frame."""
    rng, names = np.random.default_rng([n, seed, 47]), list(toybox.DANCES)
    return [
        toybox.perform(
            toybox.sample_dancer(rng, "test"), toybox.dance(names[k % 5], frames)
        )
        for k in range(n)
    ]


def still_of(row: list[Scene], seed: int = 0) -> Scene:
    """The doll of a dance, standing with its arms down."""
    return toybox.perform(row[0], [(-50, -50, 0, 0)])[0]


def given_of(dances: list[list[Scene]]) -> tuple[Tensor, Tensor]:
    """What a dancer is given: pictures (B, 3, 64, 64), poses (B, F, 3, 64, 64)."""
    pictures = toybox.render([still_of(row) for row in dances])
    return pictures, torch.stack([toybox.poses(row) for row in dances])


def _look(pipe, n: int, model: Animator, sheet: Path) -> tuple[dict, list[str]]:
    dances = some_dances(n, FRAMES)
    videos = animate(Dancer(pipe, model), *given_of(dances))
    save_sheet(sheet, videos.flatten(0, 1))
    return {
        "points": round(judge.keypoint_error(videos, dances).mean().item(), 3),
        "same": round(judge.same_doll(videos, dances).mean().item(), 3),
    }, [row[0].caption for row in dances]


def dance_scores(dancer: Dancer, n: int, frames: int = 16) -> dict:
    """The rows of the card, as it words them."""
    dances = some_dances(n, frames)
    pictures, poses = given_of(dances)
    seams = [row[0] for row in windows_of(frames, FRAMES, 0)][1:]
    true = torch.stack([toybox.render(row) for row in dances])
    vae = round_trip(dancer.pipe.vae, true.flatten(0, 1)).view_as(true)
    videos = {"": animate(dancer, pictures, poses), "vae_": vae}
    videos["bare_"] = animate(dancer, pictures, poses, overlap=0)
    videos["blind_"] = animate(dancer, None, poses)
    found = {}
    for name, clips in videos.items():
        points = judge.keypoint_error(clips, dances).mean().item()
        found[f"{name}points"] = f"{points:.2f}"
        found[f"{name}same"] = f"{judge.same_doll(clips, dances).mean().item():.0%}"
        seam = judge.seam_error(clips, dances, seams).mean().item()
        found[f"{name}seam"] = f"{seam:.4f}"
    return found | dict(n=n, frames=frames)
