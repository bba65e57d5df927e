"""Exercises of lesson 18: InstructPix2Pix."""

import torch
import torch.nn.functional as F

from course_utils.check import Exercise

# 18.1: did the picture change as the words did?


def _direction(before, after, said_before, said_after):
    return F.cosine_similarity(after - before, said_after - said_before, dim=1)


def _pictures_only(before, after, said_before, said_after):
    return F.cosine_similarity(before, after, dim=1)


def _caption_only(before, after, said_before, said_after):
    return F.cosine_similarity(after, said_after, dim=1)


def _backwards(before, after, said_before, said_after):
    return -_direction(before, after, said_before, said_after)


def _no_length(before, after, said_before, said_after):
    return ((after - before) * (said_after - said_before)).sum(1)


def _over_the_batch(before, after, said_before, said_after):
    return F.cosine_similarity(after - before, said_after - said_before, dim=0)


def _direction_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(18)
    return [
        tuple(F.normalize(torch.randn(4, n, d, generator=generator), dim=2))
        for n, d in ((3, 5), (6, 16))
    ]


# 18.2: what is left out


def _leave_out(u, p):
    return u < 2 * p, (u >= p) & (u < 3 * p)


def _shares(text, image):
    return lambda u, p: (text(u, p), image(u, p))


def _leave_out_cases() -> list[tuple]:
    u = (torch.arange(2000) + 0.5) / 2000
    return [(u, 0.05), (u, 0.2)]


def _three_cases(answer, u, p):
    """How often words only, the picture only, and both are left out: which, is free."""
    text, image = (torch.as_tensor(x).bool() for x in answer(u, p))
    cases = text & ~image, image & ~text, text & image
    return torch.stack([x.float().mean() for x in cases])


# 18.3: two guidances


def _guide(both, image, nothing, text_scale, image_scale):
    return nothing + image_scale * (image - nothing) + text_scale * (both - image)


def _one_scale(both, image, nothing, text_scale, image_scale):
    return nothing + text_scale * (both - nothing)


def _exchanged(both, image, nothing, text_scale, image_scale):
    return _guide(both, image, nothing, image_scale, text_scale)


def _from_nothing(both, image, nothing, text_scale, image_scale):
    picture = image_scale * (image - nothing)
    return nothing + picture + text_scale * (both - nothing)


def _from_the_picture(both, image, nothing, text_scale, image_scale):
    return image + image_scale * (image - nothing) + text_scale * (both - image)


def _without_a_start(both, image, nothing, text_scale, image_scale):
    return image_scale * (image - nothing) + text_scale * (both - image)


def _guide_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(3)
    some = [torch.randn(3, 2, 4, 8, 8, generator=generator) for _ in range(2)]
    scales = (7.5, 1.5), (3.0, 1.2)
    return [(*parts, *pair) for parts, pair in zip(some, scales, strict=True)]


EXERCISES = {
    "18.1": Exercise(
        reference=_direction,
        cases=_direction_cases,
        mistakes={
            "You compare the two pictures. That says how much changed, not whether "
            "the words changed in the same way.": _pictures_only,
            "You compare the new picture with the new caption: also high if nothing "
            "was kept. Compare the changes.": _caption_only,
            "One of the two changes runs backwards. Take after minus before of both.": (
                _backwards
            ),
            "A product without lengths: divide by both norms, as a cosine does.": (
                _no_length
            ),
            "You take the cosine over the batch. One number for each pair: dim=1.": (
                _over_the_batch
            ),
        },
        hint="Subtract before from after, once for the pictures and once for the "
        "captions, and take the cosine of both changes along dim=1.",
        praise="Blue minus red in the pictures, blue minus red in the words.",
    ),
    "18.2": Exercise(
        reference=_leave_out,
        cases=_leave_out_cases,
        outcome=_three_cases,
        tolerance=1e-3,
        mistakes={
            "Words and picture are never left out together. Guidance also asks about "
            "neither: let the two ranges overlap by p.": _shares(
                lambda u, p: u < p, lambda u, p: (u >= p) & (u < 2 * p)
            ),
            "They are only left out together. Then the network never hears a picture "
            "without words: shift one of the ranges by p.": _shares(
                lambda u, p: u < 2 * p, lambda u, p: u < 2 * p
            ),
            "You left out words or picture three times as often as both. Each of the "
            "three cases has the share p.": _shares(
                lambda u, p: u < 3 * p, lambda u, p: (u >= 2 * p) & (u < 3 * p)
            ),
            "That is what is kept. Return what is left out.": _shares(
                lambda u, p: u >= 2 * p, lambda u, p: (u < p) | (u >= 3 * p)
            ),
        },
        hint="Words are out for u < 2p, the picture for p <= u < 3p: where the two "
        "overlap, both are.",
        praise="One draw, three cases of equal share, and 85 % see everything.",
    ),
    "18.3": Exercise(
        reference=_guide,
        cases=_guide_cases,
        mistakes={
            "That is the guidance of lesson 08, with one scale. Here picture and "
            "words have a scale each.": _one_scale,
            "You exchanged the scales: image_scale belongs to what the picture adds, "
            "image - nothing.": _exchanged,
            "What the words add is counted from the picture, both - image; you count "
            "it from nothing, so the picture counts twice.": _from_nothing,
            "You start from the prediction with the picture. Start from nothing, or "
            "the picture counts once too often.": _from_the_picture,
            "You forgot to start somewhere: add nothing.": _without_a_start,
        },
        hint="Three terms: nothing, then image_scale times what the picture adds to "
        "it, then text_scale times what the words add to the picture.",
        praise="At scales 1 and 1 it is the prediction with both.",
    ),
}
