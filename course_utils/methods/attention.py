"""Attention written out, and watched while a network draws.

Cross-attention is where words meet the picture: each place of the picture asks (query),
each word answers to a key and brings a value. Who listened to whom is a table of
probabilities, and that can be looked at.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from course_utils.images import check_tensor


def attend(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(Q K' / sqrt(d)) V: Vaswani et al. 2017, eq. 1.

    query (..., N, d), key (..., M, d), value (..., M, c) -> (..., N, c), and the
    weights (..., N, M), each row of which sums to 1.
    """
    for name, x in (("query", query), ("key", key), ("value", value)):
        check_tensor(x, name)
    scores = query @ key.mT / query.shape[-1] ** 0.5
    weights = scores.softmax(-1)
    return weights @ value, weights


class Watching:
    """An attention processor of diffusers that also tells `keep` the weights."""

    def __init__(self, keep):
        self.keep = keep

    def __call__(self, attn, x, encoder_hidden_states=None, *_, **__) -> Tensor:
        """x (B, N, C), words (B, M, c) -> (B, N, C), as diffusers' AttnProcessor."""
        words = x if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            part.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # (B, heads, ., d)
            for part in (attn.to_q(x), attn.to_k(words), attn.to_v(words))
        )
        out, weights = attend(query, key, value)
        self.keep(weights.mean(1))  # over heads: (B, N, M)
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


@contextmanager
def watched(unet: nn.Module) -> Iterator[dict[int, Tensor]]:
    """Watch a UNet's cross-attention: `with watched(pipe.unet) as maps: pipe(...)`.

    Afterwards maps[side] is (B, side, side, tokens), the mean over the heads, layers
    and calls in which the picture was side x side (square) large. B counts what the
    UNet saw: with guidance, the pictures without the caption come first.
    """
    sums, counts, maps = {}, defaultdict(int), {}

    def keep(weights: Tensor) -> None:
        side = round(weights.shape[1] ** 0.5)
        now = weights.detach().float().cpu().unflatten(1, (side, side))
        sums[side] = sums.get(side, 0) + now
        counts[side] += 1
        maps[side] = sums[side] / counts[side]

    before = dict(unet.attn_processors)
    across = {name for name in before if name.split(".")[-2] == "attn2"}
    if not across:
        raise ValueError("this network has no cross-attention (attn2) to watch")
    unet.set_attn_processor(
        {k: Watching(keep) if k in across else v for k, v in before.items()}
    )
    try:
        yield maps
    finally:
        unet.set_attn_processor(before)


def positions(tokenizer, prompt: str, word: str) -> list[int]:
    """Where the tokens of `word` are among those of the prompt, the start being 0.

    ValueError if it is not there; the first place if it is there more than once.
    """
    said = tokenizer(prompt).input_ids
    wanted = tokenizer(word, add_special_tokens=False).input_ids
    for i in range(len(said) - len(wanted) + 1):
        if said[i : i + len(wanted)] == wanted:
            return list(range(i, i + len(wanted)))
    raise ValueError(f"word={word!r} is not in the prompt {prompt!r}")


def heat(maps: dict[int, Tensor], at: list[int], size: int, side: int) -> Tensor:
    """How much each pixel listened to the tokens `at`: (B, 1, size, size), sum 1.

    `side` chooses the maps; they are enlarged smoothly.
    """
    if side not in maps:
        raise ValueError(f"side must be one of {sorted(maps)}, not {side}")
    found = maps[side][..., at].sum(-1)[:, None]  # (B, 1, side, side)
    big = torch.nn.functional.interpolate(
        found, (size, size), mode="bilinear", align_corners=False
    )
    return big / big.sum((1, 2, 3), keepdim=True)
