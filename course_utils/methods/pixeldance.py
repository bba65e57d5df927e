"""PixelDance: a clip that is told how it begins and how it ends (Zeng et al. 2023).

A text-to-video UNet with a second set of inputs, concatenated with the noise
(arXiv:2311.10982, section 3.2): the latents of the first frame where the first frame
is, those of the last one where the last is, and zeros between them.

The first frame is to be kept. The last is only a hint, such as a sketch: training
takes one of the final three frames for it, adds noise, and leaves it out in a quarter
of the clips; sampling looks at it only while the noise is high.

And the first frame is known, so it need not be predicted: `held` puts in what leads to
it, at every step, as inpainting does with what lies outside its mask.

    paper      code     what it is
    c^image    hints    both instructions, (B, 4, F, h, w)
    tau        tau      share of the sampling that looks at the last frame
    eta        DROPPED  how often training leaves it out
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion import Model
from course_utils.diffusion.forward import check_same
from course_utils.diffusion.solvers import dpm_sample
from course_utils.images import (
    check_floats,
    check_generator,
    check_number,
    check_tensor,
    check_whole,
)
from course_utils.models.pipelines import (
    check_asked,
    decode,
    encode,
    plan_of,
)
from course_utils.schedules import Schedule, check_schedule

DROPPED = 0.25
FINAL = 3  # one of so many final frames is the last frame's instruction
ROUGH = 0.3  # of the steps: the most noise that it gets


def hints_of(first: Tensor, last: Tensor | None, frames: int) -> Tensor:
    """The second set of inputs, (B, 4, frames, h, w), of latents (B, 4, h, w)."""
    check_floats(first, "first", 4)
    check_whole(frames, "frames", 2)
    hints = first.new_zeros(*first.shape[:2], frames, *first.shape[2:])
    hints[:, :, 0] = first
    if last is not None:
        check_same("first", first, "last", last)
        hints[:, :, -1] = last
    return hints


def training_hints(
    x0: Tensor, schedule: Schedule, generator: torch.Generator, dropped: float = DROPPED
) -> Tensor:
    """Hints for clips x0 (B, 4, F, h, w), as training gives them.

    The first frame as it is; of the last ones one at random, with noise of a random
    step, the earliest ROUGH of them; left out in `dropped` of the clips.
    """
    check_floats(x0, "x0", 5)
    check_schedule(schedule)
    check_generator(generator)
    check_number(dropped, "dropped", 0, 1)
    n, frames = len(x0), x0.shape[2]
    which = frames - 1 - torch.randint(FINAL, (n,), generator=generator)
    last = x0[torch.arange(n), :, which]
    t = (torch.rand(n, generator=generator) * ROUGH * schedule.T).long()
    noise = torch.randn(last.shape, generator=generator)
    rough = diffusion.add_noise(last, noise, t, schedule)
    kept = torch.rand(n, generator=generator) >= dropped
    return hints_of(x0[:, :, 0], rough * kept.view(-1, 1, 1, 1), frames)


def hinted(
    pipe,
    prompts: Sequence[str],
    first: Tensor,
    last: Tensor | None,
    *,
    frames: int,
    guidance: float,
    tau: float,
) -> Model:
    """The network as a model(x_t, t) of clips: guided by words, hinted at by pictures.

    first, last  latents (B, 4, h, w)
    Both halves of the guidance see the hints; the last frame while t >= (1 - tau) T.
    """
    if not 0 <= tau <= 1:
        raise ValueError(f"tau={tau} must be a share of the sampling, in 0..1")
    texts = [*prompts, *[""] * len(prompts)]
    words = pipe.encode_prompt(texts, pipe.device, 1, False)[0]
    early, late = hints_of(first, last, frames), hints_of(first, None, frames)
    until, precision = (1 - tau) * plan_of(pipe)[0].T, pipe.unet.dtype

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        hints = early if t[0] >= until else late
        x = torch.cat([x_t, hints.to(x_t)], 1).to(precision)
        both = pipe.unet(torch.cat([x, x]), torch.cat([t, t]), words).sample.to(x_t)
        told, untold = both.chunk(2)
        return diffusion.guidance(told, untold, guidance)

    return model


def held(model: Model, first: Tensor, schedule: Schedule, predicts: str) -> Model:
    """The same model, but for frame 1 it predicts what leads to `first`.

    first     latents (B, 4, h, w)
    predicts  what the model predicts: "noise", "x0" or "v"
    """

    def network(x_t: Tensor, t: Tensor) -> Tensor:
        prediction, known = model(x_t, t).clone(), first.to(x_t)
        noise = diffusion.predict_noise(x_t[:, :, 0], known, t, schedule)
        prediction[:, :, 0] = diffusion.target(known, noise, t, schedule, predicts)
        return prediction

    return network


@torch.no_grad()
def draw_between(
    pipe,
    prompts: Sequence[str],
    first: Tensor,
    last: Tensor | None = None,
    *,
    frames: int = 8,
    steps: int = 10,
    guidance: float = 2.0,
    tau: float = 0.6,
    hold: bool = True,
    seed: int = 0,
) -> Tensor:
    """Clips (B, frames, 3, H, W) in [-1, 1] that begin with `first`, end like `last`.

    pipe         a TextToVideoSDPipeline whose UNet has twice as many inputs
    first, last  pictures (B, 3, H, W) in [-1, 1]; without a last one the clip goes
                 where the words say
    tau          share of the sampling that looks at the last one
    hold         whether the first frame is held, or only hinted at
    The noise of clip k depends on seed and k alone.
    """
    check_asked(prompts, "prompts", steps, guidance, seed)
    check_whole(frames, "frames", 2)
    check_tensor(first, "first")
    for name, images in (("first", first), ("last", last)):
        if images is not None and len(images) != len(prompts):
            raise ValueError(
                f"{name} holds {len(images)} pictures for {len(prompts)} prompts: "
                "pass one for each"
            )
    latents = [None if x is None else encode(pipe.vae, x) for x in (first, last)]
    shape = (*latents[0].shape[1:2], frames, *latents[0].shape[2:])
    rows = [torch.Generator().manual_seed(seed + k) for k in range(len(prompts))]
    noise = torch.stack([torch.randn(shape, generator=row) for row in rows])
    plan, predicts = plan_of(pipe)
    options = dict(frames=frames, guidance=guidance, tau=tau)
    model = hinted(pipe, prompts, *latents, **options)
    if hold:
        model = held(model, latents[0], plan, predicts)
    found = dpm_sample(
        model, noise.to(latents[0]), plan, num_steps=steps, predicts=predicts
    )
    images = decode(pipe.vae, found.transpose(1, 2).flatten(0, 1)).cpu()
    return images.unflatten(0, (len(prompts), frames))


def draw_long(pipe, story: Sequence[Sequence[str]], first: Tensor, **options) -> Tensor:
    """Longer clips, part by part: each begins with the frame that ended the last one.

    story    for each part the prompts, one for each clip
    options  as in draw_between
    That frame is shown once, so there are len(story) * (frames - 1) + 1 frames.
    """
    if isinstance(story, str) or not story or isinstance(story[0], str):
        raise ValueError(
            "story must be a list of parts, each a list with a prompt for each clip, "
            "such as [['a red star moves right'], ['a red star moves down']]"
        )
    seed, clips = options.pop("seed", 0), []
    for k, prompts in enumerate(story):
        clip = draw_between(pipe, prompts, first, seed=seed + 1000 * k, **options)
        clips.append(clip[:, 1:] if k else clip)
        first = clip[:, -1]
    return torch.cat(clips, 1)
