"""tiny-lcm: tiny as a latent consistency model (Luo et al. 2023), guidance told to it.

From every point of the teacher's path it says where the path ends. Kept is what differs
from tiny-sd's UNet, a byte a weight.
"""

import math
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.methods import distillation as few
from course_utils.recipes import distilling
from course_utils.recipes.distilling import Shelf, save_unet, shelf_of, trial_or
from course_utils.recipes.few_scores import exam, keeps
from course_utils.recipes.recipe import Made
from course_utils.tiny.unet import SCHEDULE
from course_utils.training.captured import (
    Step,
    follow_weights,
    graph_adam,
    train_timed,
)

WIDTH = 64  # of the guidance's embedding
GRID, SKIP = 50, 40  # steps of the teacher to start from; how far one goes, of 1000
LEAST, MOST = 0.5, 4.0  # w, the guidance scale less 1
RATE, TARGET = 4e-4, 0.95
RANK = 16  # of the change that is kept
BATCH, STEPS, PICTURES = 128, 790, 32_768

CARD = """# tiny-lcm

tiny as a latent consistency model, for diffusers' LatentConsistencyModelPipeline: the
guidance scale is one of the UNet's inputs, from 1.5 to 5. This loads it:
`UNet2DConditionModel.from_pretrained(models.path("tiny-lcm"))`.

- **Data** latents of the toybox, split "train", and their captions.
- **Training** {steps} steps of {batch_size} latents, seed {seed}: the teacher, guided
  by 1.5 to 5, goes {skip} of 1000 steps; pseudo-Huber loss, target network averaged
  by 0.95; AdamW at {lr}; averaged weights. Luo et al. 2023, algorithm 1.
- **On disk** the difference to tiny-sd's UNet, two factors of rank {rank} in bytes.
"""


def told_guidance(unet: nn.Module, width: int = WIDTH) -> nn.Module:
    """The same UNet with one more input, timestep_cond (B, width), which says nothing.

    Its layer starts at 0, so that what it draws is what `unet` draws.
    """
    config = dict(unet.config) | dict(time_cond_proj_dim=width)
    found = type(unet).from_config(config)
    found.set_attn_processor(next(iter(unet.attn_processors.values())))
    found.load_state_dict(unet.state_dict(), strict=False)
    nn.init.zeros_(found.time_embedding.cond_proj.weight)
    return found.to(unet.device)


def consistency(shelf: Shelf, student, target, average, optimizer) -> Step:
    """Two neighbours on the teacher's path must say the same end (algorithm 1).

    The step takes x0, noise, words, the steps t above s, and w, each (B,).
    """

    def ends(net, x: Tensor, t: Tensor, words: Tensor, w: Tensor) -> Tensor:
        told = few.scale_embedding(w, WIDTH)
        v = net(x, t, words, timestep_cond=told).sample.float()
        return few.consistent(few.clean_of(v, x, t, SCHEDULE), x, t)

    def step(x0, noise, words, t, s, w) -> Tensor:
        x_t = few.renoise(x0, torch.full_like(t, -1), t, noise, SCHEDULE)
        with shelf.half(), torch.no_grad():
            empty = shelf.empty.expand(len(words), -1, -1)
            scale = 1 + w.view(-1, 1, 1, 1)
            v = few.guided_v(shelf.pipe.unet, x_t, t, words, empty, scale)
            x_s = few.jump(few.clean_of(v, x_t, t, SCHEDULE), x_t, t, s, SCHEDULE)
            goal = ends(target, x_s, s, words, w)
        with shelf.half():
            said = ends(student, x_t, t, words, w)
        loss = few.huber(said, goal)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        follow_weights(target, student, TARGET)
        follow_weights(average, student, distilling.MEMORY)
        return loss.detach()

    return step


def consistency_draws(shelf: Shelf, n: int):
    """Batches of n for `consistency`."""
    stride = SCHEDULE.T // GRID

    def draw() -> tuple[Tensor, ...]:
        x0, words = shelf.rows(n)
        t = stride * (1 + shelf.whole(n, GRID)) - 1
        w = torch.rand(n, generator=shelf.generator, device=shelf.device)
        s = (t - SKIP).clamp(min=0)
        return x0, shelf.noise(n), words, t, s, LEAST + (MOST - LEAST) * w

    return draw


def learn_consistency(
    shelf: Shelf, keep, *, steps=None, seconds=math.inf, n=BATCH, **options
) -> tuple[nn.Module, int]:
    """Train it; keep(name, average) is called now and then, and at the end.

    Returns the averaged UNet and how many steps it took.
    """
    unet = told_guidance(shelf.pipe.unet)
    if shelf.device.type == "cuda":
        unet.to(memory_format=torch.channels_last)
    student, average = distilling.copied(unet)
    target = deepcopy(average)
    optimizer = graph_adam([student], RATE, (0.9, 0.99))
    done = train_timed(
        consistency(shelf, student, target, average, optimizer),
        consistency_draws(shelf, n),
        [optimizer],
        steps=steps,
        seconds=seconds,
        look=lambda: keep("lcm", average),
        label="lcm",
        **options,
    )
    print(f"lcm: {done} steps, {keep('lcm', average)}", flush=True)
    return average, done


def tiny_lcm(*, steps: int | None = None, seed: int = 0) -> Made:
    """Start from the shipped tiny-sd; a GPU takes a minute, a CPU some hours."""
    enough = steps or STEPS
    n = trial_or(BATCH, enough)

    def make(work: Path) -> nn.Module:
        place = shelf_of(min(PICTURES, enough * n), seed)
        keep = keeps(exam(place, trial_or(96, enough)))
        options = dict(steps=enough, n=n, log=work / "log.csv")
        return learn_consistency(place, keep, **options)[0]

    def save(unet: nn.Module, folder: Path) -> dict:
        save_unet(unet, folder, RANK)
        return {}

    facts = dict(steps=enough, batch_size=n, seed=seed, skip=SKIP, lr=RATE)
    facts |= dict(rank=RANK)
    return Made(make=make, save=save, card=CARD, facts=facts)
