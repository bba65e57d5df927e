"""Exercises of lesson 11: Stable Cascade."""

import torch

from course_utils.check import Exercise

# 11.1: the nearest code


def _nearest(latents, book):
    rows = latents.permute(0, 2, 3, 1)
    return torch.cdist(rows.flatten(0, 2), book).argmin(1).view(rows.shape[:3])


def _farthest(latents, book):
    rows = latents.permute(0, 2, 3, 1)
    return torch.cdist(rows.flatten(0, 2), book).argmax(1).view(rows.shape[:3])


def _most_alike(latents, book):
    return torch.einsum("bchw,kc->bhwk", latents, book).argmax(-1)


def _mixed_up(latents, book):
    b, c, h, w = latents.shape
    rows = latents.reshape(-1, c)
    return torch.cdist(rows, book).argmin(1).view(b, h, w)


def _flat(latents, book):
    return _nearest(latents, book).flatten()


def _codes_themselves(latents, book):
    return book[_nearest(latents, book)].permute(0, 3, 1, 2)


def _latent_of_each_code(latents, book):
    rows = latents.permute(0, 2, 3, 1).flatten(0, 2)
    return torch.cdist(rows, book).argmin(0)


def _code_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(11)
    sizes = ((1, 2, 3, 3, 5), (2, 4, 3, 5, 16), (3, 4, 4, 4, 30))
    return [
        (
            torch.randn(b, c, h, w, generator=generator),
            2 * torch.rand(k, 1, generator=generator)
            * torch.randn(k, c, generator=generator),
        )
        for b, c, h, w, k in sizes
    ]  # fmt: skip


# 11.2: straight through


def _straight(z, codes):
    return z + (codes - z).detach()


def _value_and_gradients(answer, z, codes):
    """The values, then the slopes of z and of the codes, in one tensor."""
    z, codes = z.clone().requires_grad_(), codes.clone().requires_grad_()
    found = answer(z, codes)
    slopes = [torch.zeros_like(z), torch.zeros_like(codes)]
    if isinstance(found, torch.Tensor) and found.requires_grad:
        weights = torch.arange(found.numel()).view(found.shape) + 1.0
        (found * weights).sum().backward()
        slopes = [torch.zeros_like(x) if x.grad is None else x.grad for x in (z, codes)]
    if not isinstance(found, torch.Tensor) or found.shape != z.shape:
        return found
    return torch.stack([found.detach(), *slopes])


def _straight_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(12)
    return [
        tuple(torch.randn(2, *size, generator=generator))
        for size in ((3,), (2, 4, 3, 3))
    ]


EXERCISES = {
    "11.1": Exercise(
        reference=_nearest,
        cases=_code_cases,
        mistakes={
            "That is the farthest code: argmin, not argmax, of the distances.": (
                _farthest
            ),
            "The largest product is not the smallest distance: long codes win too "
            "often. Take distances.": _most_alike,
            "view or reshape alone mixes channels and places. Bring the channels to "
            "the end with permute first.": _mixed_up,
            "The codes are right. Give them the shape of the picture: (B, h, w).": (
                _flat
            ),
            "Those are the codes themselves. Asked is which ones: their numbers.": (
                _codes_themselves
            ),
            "You ask each code for its latent. Ask each latent for its code: argmin "
            "over the codes.": _latent_of_each_code,
        },
        hint="Bring the channels to the end first: latents.permute(0, 2, 3, 1). Then "
        "torch.cdist, or a difference with a new axis, and argmin over the codes.",
        praise="Right: that is all of a VQGAN's quantiser.",
    ),
    "11.2": Exercise(
        reference=_straight,
        cases=_straight_cases,
        outcome=_value_and_gradients,
        mistakes={
            "The values are right, but the gradient goes to the codes (a z that is "
            "added and taken away again is not there), and the encoder learns "
            "nothing.": lambda z, codes: codes,
            "Those are the latents: nothing is quantised.": lambda z, codes: z,
            "Nothing learns: the whole is cut off. Detach only the difference.": (
                lambda z, codes: (z + (codes - z)).detach()
            ),
            "The other way round: here the codes learn, and z does not.": (
                lambda z, codes: codes + (z - codes).detach()
            ),
            "The detach stands at z alone: z learns, but so do the codes.": (
                lambda z, codes: z + codes - z.detach()
            ),
        },
        hint="Write the codes as z plus something. Of that something, nothing may "
        "learn: .detach().",
        praise="Right: forward the code, backward as if nothing had happened.",
    ),
    "11.3": Exercise(
        reference="C",
        mistakes={
            "B is told by C's latents which colour it is, and only fills in. Look at "
            "the two rows.": "B",
            "Both draw from noise, but only one decides the colour: look at the two "
            "rows.": "both",
            "The colour is not in the caption, but somebody has to decide it: look at "
            "the two rows.": "neither",
        },
        hint="Which of the two is told what the other one drew?",
        praise="Right: what is seen is decided in 256 numbers.",
    ),
}
