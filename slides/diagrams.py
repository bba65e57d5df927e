"""What the decks draw themselves: one function a picture, its title its words."""

import numpy as np
import torch
from matplotlib.figure import Figure

from course_utils import toybox as toys
from course_utils.show import draw_diagram, draw_grid


def toybox() -> Figure:
    """Scenes of the toybox, and two of the truths that are known about each."""
    rng = np.random.default_rng(3)
    scenes = [toys.sample(rng, "test", things=k) for k in (1, 2, 1, 3, 2, 1)]
    masks = toys.masks(scenes, 128).any(1, keepdim=True).float()
    truths = [masks, toys.edges(scenes, 128)]
    rows = [toys.render(scenes, 128)]
    rows += [(2 * truth - 1).expand(-1, 3, -1, -1) for truth in truths]
    return draw_grid(
        torch.cat(rows),
        columns=len(scenes),
        rows=["scene", "mask", "edges"],
        title="Code draws each scene, so its truth is known",
    )


def trilemma() -> Figure:
    """Three wishes, of which each family grants two."""
    return draw_diagram(
        [
            [None, "good pictures", None],
            ["GAN", None, "diffusion"],
            ["at once", "VAE", "all kinds"],
        ],
        [
            ("GAN", "good pictures"),
            ("GAN", "at once"),
            ("diffusion", "good pictures"),
            ("diffusion", "all kinds"),
            ("VAE", "at once"),
            ("VAE", "all kinds"),
        ],
        kinds=dict.fromkeys(["GAN", "VAE", "diffusion"], "network"),
        title="Three wishes: each family grants two",
    )


def first_and_last() -> Figure:
    """PixelDance: a clip between two pictures."""
    return draw_diagram(
        [
            ["first picture", None, None],
            ["words", "video U-Net", "clip"],
            ["last picture", None, None],
        ],
        [
            ("first picture", "video U-Net", "exactly"),
            ("words", "video U-Net"),
            ("last picture", "video U-Net", "roughly"),
            ("video U-Net", "clip"),
        ],
        kinds={"words": "words", "video U-Net": "network"},
        title="How it begins, how it ends, and words in between",
    )
