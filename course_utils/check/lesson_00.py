"""Exercises of lesson 00: pictures as tensors."""

import torch

from course_utils.check import Exercise


def to_range(pixels):
    """Bring pixels from 0..255 to [-1, 1]."""
    return pixels / 127.5 - 1


def channels_first(photo):
    """Turn a photo (H, W, C) into a batch of one, (1, C, H, W)."""
    return photo.permute(2, 0, 1)[None]


def mix(x, noise, share):
    """Mix so that `share` of the variance is noise."""
    return (1 - share) ** 0.5 * x + share**0.5 * noise


def _photo(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(0, 256, shape, generator=generator).float()


def _mixes() -> list[tuple]:
    x, noise = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return [(x, noise, share) for share in (0.0, 0.1, 0.36, 1.0)]


EXERCISES = {
    "00.1": Exercise(
        reference=to_range,
        cases=lambda: [
            (_photo(1, 1, 8, 8),),
            (torch.tensor([0.0, 127.5, 255.0]),),
            (_photo(2, 1, 4, 4) / 4 + 20,),  # neither black nor white in it
        ],
        mistakes={
            "That is 0 to 1. Stretch it to a width of 2, and centre it at 0.": (
                lambda pixels: pixels / 255
            ),
            "Black comes out as -0.5 and white as 0.5: half as wide as it should be.": (
                lambda pixels: pixels / 255 - 0.5
            ),
            "Its width is right, its centre is not: black comes out as 0.": (
                lambda pixels: pixels / 127.5
            ),
            "With 128, black is -1 but white is 0.99. Half of 255 is 127.5.": (
                lambda pixels: pixels / 128 - 1
            ),
            "You divide by the brightest pixel of this picture, so that a dark photo "
            "comes out bright. White is 255 in every picture.": (
                lambda pixels: pixels / pixels.max() * 2 - 1
            ),
            "Subtract first, or divide first, but watch the brackets: you divide the 1 "
            "as well.": lambda pixels: (pixels - 1) / 127.5,
        },
        hint="Two steps: make it 2 wide, then move its middle to 0.",
    ),
    "00.2": Exercise(
        reference=channels_first,
        cases=lambda: [(_photo(4, 6, 3),), (_photo(5, 5, 1),)],
        mistakes={
            "Right shape, wrong picture: reshape cuts the row of numbers anew, it does "
            "not turn axes. Use permute.": (
                lambda photo: photo.reshape(1, photo.shape[2], *photo.shape[:2])
            ),
            "Height and width are swapped: the picture lies on its side.": (
                lambda photo: photo.permute(2, 1, 0)[None]
            ),
            "Nearly: the batch dimension in front is missing, as in [None].": (
                lambda photo: photo.permute(2, 0, 1)
            ),
            "The channels are still last: permute names the old axes in their new "
            "order.": lambda photo: photo[None],
        },
        hint="`permute` takes the old axes in their new order: which of 0, 1, 2 comes "
        "first now? Then `[None]` adds an axis in front.",
    ),
    "00.3": Exercise(
        reference=mix,
        cases=_mixes,
        mistakes={
            "You mix with share itself. Variances add and factors count squared: take "
            "square roots.": lambda x, noise, share: (1 - share) * x + share * noise,
            "The two factors are swapped: share = 0 should give x.": (
                lambda x, noise, share: share**0.5 * x + (1 - share) ** 0.5 * noise
            ),
            "The noise is right, but nothing is taken from x: the whole gets louder.": (
                lambda x, noise, share: x + share**0.5 * noise
            ),
            "One root is missing: the factor of x needs it too.": (
                lambda x, noise, share: (1 - share) * x + share**0.5 * noise
            ),
        },
        hint="If the factors are a and b, the variance is a*a + b*b. That should be 1, "
        "and b*b should be share.",
    ),
}
