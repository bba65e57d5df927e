"""How different two pictures look to a network that reads them, layer by layer."""

from torch import Tensor, nn

from course_utils.images import check_floats
from course_utils.oracle.reading import Reader, reader

DEPTHS = 5, 11, 16  # the last layer at 32x32, at 16x16 and at 8x8


def depths(images: Tensor, net: Reader) -> list[Tensor]:
    """What a Reader sees at each of the DEPTHS, the channels of a place of length 1.

    (B, 3, 64, 64) in [-1, 1] -> (B, w, 32, 32), (B, 2w, 16, 16), (B, 3w, 8, 8)
    """
    check_floats(images, "images", 4)  # of any range: a network in training overshoots
    if images.shape[1:] != (3, 64, 64):
        raise ValueError(f"images must be (B, 3, 64, 64), not {tuple(images.shape)}")
    seen, x = [], images.float()
    for number, layer in enumerate(net.body):
        x = layer(x)
        if number in DEPTHS:
            seen.append(nn.functional.normalize(x, dim=1, eps=1e-3))
    return seen


def perceptual_distance(
    images: Tensor, truth: Tensor, net: Reader | None = None
) -> Tensor:
    """How different each pair looks, (B,): 0 for equal, 6 at most.

    The squared distances of `depths`, averaged over places and summed over the layers:
    Zhang et al. 2018, eq. 1, with all weights 1. `net` is the oracle if not given.
    """
    if images.shape != truth.shape or images.shape[1:] != (3, 64, 64):
        raise ValueError(
            "images and truth must be pairs of pictures, both (B, 3, 64, 64), not "
            f"{tuple(images.shape)} and {tuple(truth.shape)}"
        )
    net = reader() if net is None else net
    pairs = zip(depths(images, net), depths(truth, net), strict=True)
    return sum((a - b).square().sum(1).mean((1, 2)) for a, b in pairs)
