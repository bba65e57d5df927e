"""Prompt-to-Prompt: two prompts, one drawing's attention (Hertz et al. 2022).

    before, after = draw_pair(pipe, ["a red cat"], ["a blue cat"])

Two pictures are drawn side by side from the same noise. In the first steps the second
one listens as the first one does: the place of each thing is decided there. Rows i of
`before` and of `after` are a pair, and a batch holds as many as you like.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from course_utils import diffusion
from course_utils.diffusion import ddim_step
from course_utils.images import check_floats, check_number, check_whole
from course_utils.methods import attention
from course_utils.methods.word_map import WordMap, word_map
from course_utils.models.pipelines import (
    decode,
    guided,
    plan_of,
)

PLACES = 32**2  # of larger maps, who listens to whom among places is not shared


class Sharing:
    """Which attention a drawing of pairs shares, and at which step; see `shared`."""

    def __init__(self, words: WordMap, cross: Tensor, self_: Tensor):
        self.words, self.cross, self.self_ = words, cross, self_  # (B,), in steps
        self.step = -1
        self.heard: dict[int, Tensor] = {}  # side -> (2, B, side, side, N), summed

    def next_step(self, *_) -> None:
        """The network is asked once more."""
        self.step += 1

    def cross_attention(self, weights: Tensor) -> Tensor:
        """Mix the second prompts' rows of weights (rows, heads, places, N)."""

        def change(source: Tensor, target: Tensor) -> Tensor:
            on = _column(self.step < self.cross, target)
            target = torch.where(on, self.words.mixed(source, target), target)
            self._hear(torch.stack([source, target]))
            return target

        return self._changed(weights, change)

    def self_attention(self, weights: Tensor) -> Tensor:
        """Give the second prompts the first ones' (rows, heads, places, places)."""
        on = _column(self.step < self.self_, weights)
        return self._changed(weights, lambda a, b: torch.where(on, a, b))

    def _changed(self, weights: Tensor, change: Callable) -> Tensor:
        """Change the last rows; with guidance those without a prompt come before."""
        B = len(self.cross)
        if len(weights) not in (2 * B, 4 * B):
            raise ValueError(
                f"the network was asked about {len(weights)} rows, but {B} pairs are "
                f"{2 * B}, or {4 * B} with guidance: all first prompts, then all second"
            )
        *rest, source, target = weights.split(B)
        return torch.cat([*rest, source, change(source, target)])

    def _hear(self, both: Tensor) -> None:
        side = round(both.shape[3] ** 0.5)
        if side <= 16:  # as in the paper
            now = both.detach().float().mean(2).unflatten(2, (side, side))
            self.heard[side] = self.heard.get(side, 0) + now

    def mask(self, size: Sequence[int], threshold: float = 0.3) -> Tensor:
        """Where the words that differ were listened to so far: (B, 1, *size) bool.

        Their mean map, in either picture, above that share of its largest value.
        """
        maps = self.heard[max(self.heard)]
        maps = (maps * self.words.new.to(maps)[:, :, None, None]).sum(-1)
        maps = nn.functional.max_pool2d(maps, 3, 1, 1)  # (2, B, side, side)
        maps = nn.functional.interpolate(maps, tuple(size))
        top = maps.amax((2, 3), keepdim=True).clamp(min=1e-12)
        return (maps / top > threshold).any(0)[:, None]


@contextmanager
def shared(
    unet: nn.Module,
    words: WordMap,
    steps: int,
    cross: float | Tensor = 0.8,
    self_: float | Tensor = 0.4,
) -> Iterator[Sharing]:
    """Let a UNet draw pairs: the second prompts' attention is the first ones'.

    Cross-attention in the first share `cross` of the calls, self-attention in the first
    share `self_`: in [0, 1], or one for each pair, (B,). The rows are all the first
    prompts, then all the second; with guidance as many without a prompt before them,
    which are left alone. A pipeline that asks once a step may be run in here, too.
    """
    B = len(words.table)
    both = (shares(x, name, B) for name, x in (("cross", cross), ("self_", self_)))
    sharing = Sharing(words, *((x * steps).round() for x in both))

    def make(name: str, own):
        if attention.is_cross(name):
            return attention.Changing(sharing.cross_attention)
        ours = attention.Changing(sharing.self_attention)

        def choose(attn, x, *args, **options):
            return (ours if x.shape[1] <= PLACES else own)(attn, x, *args, **options)

        return choose

    count = unet.register_forward_pre_hook(sharing.next_step)
    try:
        with attention.processors(unet, make):
            yield sharing
    finally:
        count.remove()


def side_by_side(
    pipe,
    before: Sequence[str],
    after: Sequence[str],
    x_T: Tensor,
    *,
    words: WordMap | None = None,
    cross: float | Tensor = 0.8,
    self_: float | Tensor = 0.4,
    blend: bool = False,
    steps: int = 10,
    guidance: float = 3.0,
    nothing: Mapping[int, Tensor] | None = None,
) -> Tensor:
    """Draw pairs of latents from the noises x_T (B, 4, h, w) by DDIM: (2, B, 4, h, w).

    words    the alignment, word_map(pipe.tokenizer, before, after) if not given
    cross    share of the steps with shared cross-attention, the paper's tau_c
    self_    the same for self-attention, the paper's tau_s
    blend    keep the first picture where the words that differ are not listened to
    nothing  for each step what stands for the empty prompt, (B, tokens, D)

    Only what is predicted under the prompts is changed. Hertz et al. 2022, Algorithm 1.
    """
    check_floats(x_T, "x_T", 4)
    check_whole(steps, "steps")
    check_number(guidance, "guidance")
    words = word_map(pipe.tokenizer, before, after) if words is None else words
    if len(x_T) != len(before):
        raise ValueError(f"x_T has {len(x_T)} rows for {len(before)} pairs of prompts")
    twice = nothing and {t: torch.cat([row, row]) for t, row in nothing.items()}
    model = guided(pipe, [*before, *after], guidance, twice)
    plan, predicts = plan_of(pipe)

    def step(*args, **options):
        source, target = ddim_step(*args, **options).chunk(2)
        if blend and sharing.step >= 0.2 * steps:  # maps of few steps say little
            target = torch.where(sharing.mask(target.shape[2:]), target, source)
        return torch.cat([source, target])

    with shared(pipe.unet, words, steps, cross, self_) as sharing:
        x = torch.cat([x_T, x_T])
        options = dict(num_steps=steps, step=step, predicts=predicts)
        return diffusion.sample(model, x, plan, **options).unflatten(0, (2, -1))


def draw_pair(
    pipe,
    before: Sequence[str],
    after: Sequence[str],
    *,
    how: str = "replace",
    times: Mapping[str, float] | None = None,
    cross: float | Tensor = 0.8,
    self_: float | Tensor = 0.4,
    seed: int = 0,
    **options: object,
) -> tuple[Tensor, Tensor]:
    """Pictures for both of each two prompts: twice (B, 3, H, W) in [-1, 1].

    Pair k starts from the noise of seed + k, whatever the others are, and its first
    picture is what the prompt alone would give. how and times are word_map's, the rest
    `side_by_side`'s: cross and self_ may hold one share for each pair.
    """
    words = word_map(pipe.tokenizer, before, after, how, times)
    B, latent = len(before), pipe.unet.config
    cross, self_ = shares(cross, "cross", B), shares(self_, "self_", B)
    size = latent.in_channels, latent.sample_size, latent.sample_size
    found = []
    for i in range(0, B, 8):
        rows = slice(i, i + 8)
        x_T = torch.stack(
            [
                torch.randn(size, generator=torch.Generator().manual_seed(seed + k))
                for k in range(B)[rows]
            ]
        ).to(pipe.device)
        pair = before[rows], after[rows], x_T
        some = dict(words=words[rows], cross=cross[rows], self_=self_[rows])
        found.append(side_by_side(pipe, *pair, **some, **options))
    first, second = torch.cat(found, 1)
    return decode(pipe.vae, first).cpu(), decode(pipe.vae, second).cpu()


def shares(share: float | Tensor, name: str, pairs: int) -> Tensor:
    """A share of the steps for each pair, (B,), checked."""
    each = torch.as_tensor(share, dtype=torch.float32)
    if each.ndim > 1 or (each.ndim and len(each) != pairs):
        raise ValueError(
            f"{name} has shape {tuple(each.shape)}: give one share, or one a pair, "
            f"({pairs},)"
        )
    if not ((each >= 0) & (each <= 1)).all():
        raise ValueError(f"{name}={share} must be in [0, 1], a share of the steps")
    return each.expand(pairs)


def _column(on: Tensor, like: Tensor) -> Tensor:
    return on.to(like.device)[:, None, None, None]
