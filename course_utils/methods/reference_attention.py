"""Reference attention: a network looks at a picture while it draws another.

MagicAnimate's appearance encoder (Xu et al. 2023, arXiv:2311.16498, section 3.2) is a
copy of the UNet that sees the picture itself. What its self-attentions are given is
written down in a bank; each self-attention of the drawing network reads that beside
its own: its keys and values come from both, its queries from its own alone.

    paper     code                     what it is
    z_i       hidden_states            what a self-attention is given, (B, places, C)
    y_a       bank[name]               the same of the picture, in the copy
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Bank = dict[str, Tensor]  # name of an attention -> (B, places, C)


def self_attentions(unet: nn.Module) -> dict[str, nn.Module]:
    """The attentions of a UNet, 2-D or with motion, that look within one frame.

    Those in the middle and on the way up, where the paper reads the bank.
    """
    return {
        name: layer
        for name, layer in unet.named_modules()
        if name.endswith(".attn1")
        and "motion_modules" not in name
        and name.startswith(("mid_block", "up_blocks"))
    }


class _Writer:
    """An attention processor that notes what the attention is given."""

    def __init__(self, name: str, bank: Bank, inner):
        self.name, self.bank, self.inner = name, bank, inner

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **options):
        self.bank[self.name] = hidden_states
        return self.inner(attn, hidden_states, encoder_hidden_states, **options)


class _Reader:
    """An attention processor whose keys and values are those of a bank, too."""

    def __init__(self, name: str, bank: Bank, inner):
        self.name, self.bank, self.inner = name, bank, inner

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **options):
        seen = self.bank[self.name].to(hidden_states)
        seen = seen.repeat_interleave(len(hidden_states) // len(seen), 0)  # frames
        both = torch.cat([hidden_states, seen], 1)
        return self.inner(attn, hidden_states, both, **options)


@contextmanager
def _with(kind: type, unet: nn.Module, bank: Bank) -> Iterator[None]:
    """Let all self-attentions of a UNet write to or read from the bank."""
    layers = self_attentions(unet)
    before = {name: layer.processor for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.processor = kind(name, bank, before[name])
    try:
        yield
    finally:
        for name, layer in layers.items():
            layer.processor = before[name]


def written(look: nn.Module, latents: Tensor, words: Tensor) -> Bank:
    """What the appearance encoder's attentions are given of a picture.

    look     a UNet2DConditionModel; latents (B, 4, h, w) without noise, at step 0
    words    (B, tokens, D)
    """
    bank: Bank = {}
    with _with(_Writer, look, bank):
        look(latents, torch.zeros(len(latents), device=latents.device).long(), words)
    return bank


@contextmanager
def reading(unet: nn.Module, bank: Bank) -> Iterator[None]:
    """Inside this block the UNet reads the bank, whose rows are clips or pictures."""
    with _with(_Reader, unet, bank):
        yield
