"""Attention written out, and watched while a network draws.

Cross-attention is where words meet the picture: each place of the picture asks (query),
each word answers to a key and brings a value. Who listened to whom is a table of
probabilities, and that can be looked at.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from course_utils.images import check_floats


def attend(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(Q K' / sqrt(d)) V: Vaswani et al. 2017, eq. 1.

    query (..., N, d), key (..., M, d), value (..., M, c) -> (..., N, c), and the
    weights (..., N, M), each row of which sums to 1.
    """
    for name, x in (("query", query), ("key", key), ("value", value)):
        check_floats(x, name)
        if x.ndim < 2 or x.shape[:-2] != query.shape[:-2] or x.dtype != query.dtype:
            raise ValueError(
                f"{name} is {x.dtype} {tuple(x.shape)}: it must be (..., rows, width) "
                f"as the query is, {query.dtype} {tuple(query.shape)}"
            )
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            "query and key must be equally wide, key and value equally long, not "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    weights = _weights(query, key)
    return weights @ value, weights


def _weights(query: Tensor, key: Tensor) -> Tensor:
    return (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)


class Changing:
    """An attention processor of diffusers whose weights go through `change` first.

    change(weights) gets who listens to whom, (B, heads, N, M), and returns what is to
    be used instead.
    """

    def __init__(self, change: Callable[[Tensor], Tensor]):
        self.change = change

    def __call__(self, attn, x, encoder_hidden_states=None, *_, **__) -> Tensor:
        """x (B, N, C), words (B, M, c) -> (B, N, C), as diffusers' AttnProcessor."""
        words = x if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            part.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # (B, heads, ., d)
            for part in (attn.to_q(x), attn.to_k(words), attn.to_v(words))
        )
        out = self.change(_weights(query, key)) @ value
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


class Watching(Changing):
    """An attention processor of diffusers that also tells `keep` the weights.

    They are the mean over the heads, (B, N, M).
    """

    def __init__(self, keep: Callable[[Tensor], object]):
        def change(weights: Tensor) -> Tensor:
            keep(weights.mean(1))
            return weights

        super().__init__(change)


@contextmanager
def processors(unet: nn.Module, make: Callable) -> Iterator[None]:
    """Give a UNet other attention processors for a while: make(name, its own one).

    The names of self-attention hold "attn1", those of cross-attention "attn2".
    """
    before = dict(unet.attn_processors)
    if not any(is_cross(name) for name in before):
        raise ValueError("this network has no cross-attention (attn2)")
    unet.set_attn_processor({name: make(name, own) for name, own in before.items()})
    try:
        yield
    finally:
        unet.set_attn_processor(before)


def is_cross(name: str) -> bool:
    """Does the layer with this processor listen to words (attn2), not to places?"""
    layer, dot, _ = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    if not dot:
        raise ValueError(
            "name must be that of an attention processor, a key of "
            f"unet.attn_processors, not {name!r}"
        )
    return layer.rpartition(".")[2] == "attn2"


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

    def make(name: str, own):
        return Watching(keep) if is_cross(name) else own

    with processors(unet, make):
        yield maps


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
