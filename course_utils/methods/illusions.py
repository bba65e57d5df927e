"""Diffusion Illusions: things one can print, that show more than one thing.

Burgert et al. 2023. What is printed are *primes*; how they are held, an arrangement,
makes *derived* pictures of them, and each of those has a prompt:

    flip              one prime, upright and half turned
    rotation overlay  two transparencies, the top one turned by 0, 90, 180, 270 degrees
    hidden overlay    four transparencies, and all four on top of one another

The primes are small networks, and they learn: first by score distillation (`sds`),
then from dream targets, which are the derived pictures as the model would have them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.images import check_callable, check_floats, check_kind, check_whole
from course_utils.methods.primes import Primes, mismatch
from course_utils.methods.sdedit import sdedit
from course_utils.methods.sds import sds_loss
from course_utils.models.pipelines import check_texts, guided, plan_of

BACKLIGHT = 3.0  # how bright the light behind the sheets is


def overlay(*sheets: Tensor) -> Tensor:
    """Transparencies in [0, 1] before a light: tanh(3 product), in [0, 1].

    Each lets through a share of the light, so shares multiply; the eye gets used to
    the dark, so the product is amplified and never gets brighter than white.
    """
    for k, sheet in enumerate(sheets):
        check_floats(sheet, f"sheets[{k}]")
        batches = {len(x) for x in (sheet, sheets[0])} - {1} if sheet.ndim == 4 else {}
        if sheet.shape[-3:] != sheets[0].shape[-3:] or len(batches) > 1:
            raise ValueError(
                f"sheets[{k}] must have the shape of the first, "
                f"{tuple(sheets[0].shape)}, not {tuple(sheet.shape)}"
            )
    product = sheets[0]
    for sheet in sheets[1:]:
        product = product * sheet
    return torch.tanh(BACKLIGHT * product).clamp(min=0)


class Arrangement(NamedTuple):
    """How `primes` sheets (primes, 3, H, W) in [0, 1] make derived pictures."""

    name: str
    primes: int
    views: int
    derive: Callable[[Tensor], Tensor]  # -> (views, 3, H, W) in [0, 1]
    weights: tuple[float, ...]  # how much each view counts
    moves: bool = False  # are the views the prime itself, moved about?


def turns(sheet: Tensor) -> Tensor:
    """A sheet (3, H, W) turned counterclockwise by 0 to 3 quarters: (4, 3, H, W)."""
    check_floats(sheet, "sheet", 3)
    if sheet.shape[1] != sheet.shape[2]:
        raise ValueError(f"sheet must be square, not {tuple(sheet.shape)}")
    return torch.stack([sheet.rot90(k, (1, 2)) for k in range(4)])


ARRANGEMENTS = {
    "flip": Arrangement(
        "flip", 1, 2, lambda p: torch.cat([p, p.rot90(2, (2, 3))]), (1.0, 1.0), True
    ),
    "rotation overlay": Arrangement(
        "rotation overlay", 2, 4, lambda p: overlay(p[:1], turns(p[1])), (1.0,) * 4
    ),
    "hidden overlay": Arrangement(
        "hidden overlay",
        4,
        5,
        lambda p: torch.cat([p, overlay(*p.split(1))]),
        (1.0, 1.0, 1.0, 1.0, 3.0),
    ),
}


class Stage(NamedTuple):
    """Where K illusions stand: pictures in [0, 1]."""

    name: str
    primes: Tensor  # (K, primes, 3, H, W)
    derived: Tensor  # (K, views, 3, H, W)
    targets: Tensor | None  # what the derived ones were told to be


STRENGTHS = (1.0, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
FEWER = (1.0, 0.7, 0.6, 0.5, 0.4, 0.35)  # enough for a flip, which shares its noise


def derive_all(net: Primes, arrangement: Arrangement) -> Tensor:
    """The derived pictures of K illusions, one after another: (K views, 3, H, W)."""
    check_callable(net, "net")
    check_kind(arrangement, "arrangement", Arrangement, 'ARRANGEMENTS["flip"]')
    parts = net().split(arrangement.primes)
    return torch.cat([arrangement.derive(part) for part in parts])


def distil(
    net: Primes,
    arrangement: Arrangement,
    pipe,
    prompts: Sequence[str],
    steps: int = 100,
    guidance: float = 20.0,
    lr: float = 5e-3,
    seed: int = 0,
) -> None:
    """The first phase: each step shows one random view to the model, by sds_loss.

    prompts has one for each derived picture, as derive_all has them.
    """
    schedule, predicts = plan_of(pipe)
    views, where = arrangement.views, pipe.device
    models = [guided(pipe, prompts[k::views], guidance) for k in range(views)]
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for _ in range(steps):
        view = int(torch.randint(views, (), generator=draw))
        shown = derive_all(net, arrangement)[view::views] * 2 - 1
        t = torch.randint(20, 980, (len(shown),), generator=draw).to(where)
        noise = torch.randn(shown.shape, generator=draw).to(where)
        optimizer.zero_grad()
        sds_loss(models[view], shown, t, noise, schedule, predicts).backward()
        optimizer.step()


def dream_targets(
    pipe,
    derived: Tensor,
    prompts: Sequence[str],
    strength: float,
    steps: int = 20,
    guidance: float = 5.0,
    seed: int = 0,
    noise: Tensor | None = None,
) -> Tensor:
    """What the model makes of derived pictures (B, 3, H, W), in [0, 1] as they are.

    SDEdit at this strength: 1 forgets them, 0 leaves them. Noise like them is drawn
    from the seed if not given.
    """
    schedule, predicts = plan_of(pipe)
    draw = torch.Generator().manual_seed(seed)
    dreamt = sdedit(
        guided(pipe, prompts, guidance),
        derived.detach() * 2 - 1,
        schedule,
        strength=strength,
        num_steps=steps,
        generator=draw,
        noise=noise,
        predicts=predicts,
    )
    return (dreamt.clamp(-1, 1) + 1) / 2


def shared_noise(arrangement: Arrangement, derived: Tensor, seed: int) -> Tensor | None:
    """Noise for derived pictures that is moved as they are; None where none can be.

    Where two views are one picture, moved, so is the noise that the two targets come
    from: then they tend to have light and dark at the same places of the prime.
    """
    check_kind(arrangement, "arrangement", Arrangement, 'ARRANGEMENTS["flip"]')
    check_floats(derived, "derived", 4)
    check_whole(seed, "seed", 0)
    if not arrangement.moves:
        return None
    draw = torch.Generator().manual_seed(seed)
    n = len(derived) // arrangement.views * arrangement.primes
    noise = torch.randn(n, *derived.shape[1:], generator=draw).to(derived)
    parts = noise.split(arrangement.primes)
    return torch.cat([arrangement.derive(part) for part in parts])


def fit_primes(
    net: Primes,
    arrangement: Arrangement,
    targets: Tensor,
    steps: int = 120,
    lr: float = 5e-3,
) -> None:
    """The primes learn until their derived pictures look like the targets."""
    weights = targets.new_tensor(arrangement.weights)
    weights = weights.repeat(len(targets) // arrangement.views)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, 2 * (1 - step / steps))
        derived = derive_all(net, arrangement)
        loss = (weights * mismatch(derived, targets)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def make_illusions(
    pipe,
    arrangement: Arrangement,
    sets: Sequence[Sequence[str]],
    *,
    strengths: Sequence[float] = STRENGTHS,
    sds_steps: int = 0,
    fit_steps: int = 120,
    guidance: float = 5.0,
    num_steps: int = 20,
    seed: int = 0,
) -> Iterator[Stage]:
    """Make K illusions side by side, yielding a Stage after each phase.

    pipe     an IFPipeline
    sets     K sets of prompts, each with one for each of the arrangement's views
    """
    for prompts in sets:
        check_texts(prompts, "each of sets")
        if len(prompts) != arrangement.views:
            raise ValueError(
                f"sets: a {arrangement.name} has {arrangement.views} views, each with "
                f"a prompt, not {len(prompts)}: {prompts}"
            )
    prompts = [prompt for some in sets for prompt in some]
    side = pipe.unet.config.sample_size
    net = Primes(len(sets) * arrangement.primes, side, seed).to(pipe.device)
    if sds_steps:
        distil(net, arrangement, pipe, prompts, sds_steps, seed=seed)
        yield _stage("score distillation", net, arrangement)
    for k, strength in enumerate(strengths):
        derived = derive_all(net, arrangement)
        own = 100 * seed + k
        noise = shared_noise(arrangement, derived, own)
        targets = dream_targets(
            pipe, derived, prompts, strength, num_steps, guidance, own, noise
        )
        fit_primes(net, arrangement, targets, fit_steps)
        yield _stage(f"strength {strength:g}", net, arrangement, targets)


@torch.no_grad()
def _stage(name: str, net: Primes, arrangement: Arrangement, targets=None) -> Stage:
    parts = derive_all(net, arrangement).unflatten(0, (-1, arrangement.views))
    primes = net().unflatten(0, (-1, arrangement.primes))
    if targets is not None:
        targets = targets.unflatten(0, (-1, arrangement.views))
    return Stage(name, primes, parts, targets)
