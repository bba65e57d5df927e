"""What the decks draw themselves: one function a picture, its title its words.

Most stand where the course has no run to show yet. When the lesson arrives, its own
pictures take their place.
"""

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


def landscape() -> Figure:
    """Families of generative models, by what they know of p(x)."""
    return draw_diagram(
        [
            [None, None, "generative model", None],
            [None, "knows p(x)", None, "only samples"],
            ["exactly", None, "nearly", "GAN"],
            ["autoregressive,\nflow", None, "VAE, energy,\ndiffusion", None],
        ],
        [
            ("generative model", "knows p(x)"),
            ("generative model", "only samples"),
            ("knows p(x)", "exactly"),
            ("knows p(x)", "nearly"),
            ("exactly", "autoregressive,\nflow"),
            ("nearly", "VAE, energy,\ndiffusion"),
            ("only samples", "GAN"),
        ],
        kinds=dict.fromkeys(
            ["GAN", "autoregressive,\nflow", "VAE, energy,\ndiffusion"], "network"
        ),
        title="What does a model know of the density of pictures?",
    )


def one_generator() -> Figure:
    """What a GAN's generator can be given, and which paper gives it."""
    given = ["a small picture", "a map of edges", "a sentence", "a stroke of the brush"]
    papers = ["SRGAN", "pix2pix", "GAN-INT-CLS", "iGAN"]
    return draw_diagram(
        [[a, b] for a, b in zip(given, papers, strict=True)],
        list(zip(given, papers, strict=True)),
        kinds=dict.fromkeys(papers, "network"),
        notes={
            "SRGAN": "a large one",
            "pix2pix": "a photograph",
            "GAN-INT-CLS": "a bird that fits",
            "iGAN": "the nearest picture that is one",
        },
        title="One game, four kinds of input",
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


def prompts() -> Figure:
    """A language model between a wish and the picture network."""
    return draw_diagram(
        [["a wish", "language model", "prompt", "picture model", "picture"]],
        [
            ("a wish", "language model"),
            ("language model", "prompt"),
            ("prompt", "picture model"),
            ("picture model", "picture"),
        ],
        kinds={
            "a wish": "words",
            "prompt": "words",
            "language model": "network",
            "picture model": "frozen",
        },
        notes={"a wish": "loneliness", "prompt": "an empty bench\nin the rain"},
        title="One model finds the words, the other paints",
    )


def dreamfusion() -> Figure:
    """A scene that learns from a frozen picture model: score distillation."""
    return draw_diagram(
        [
            ["camera", "scene", "picture", "noisy picture"],
            [None, None, "words", "U-Net"],
            [None, "difference", None, "its guess"],
        ],
        [
            ("camera", "scene"),
            ("scene", "picture", "render"),
            ("picture", "noisy picture", "+ noise"),
            ("noisy picture", "U-Net"),
            ("words", "U-Net"),
            ("U-Net", "its guess"),
            ("its guess", "difference", "- noise"),
            ("difference", "scene", "moves\nthe scene", "learn"),
        ],
        kinds={
            "scene": "network",
            "U-Net": "frozen",
            "words": "words",
            "difference": "loss",
        },
        notes={"scene": "a NeRF", "words": "and the side\nthat is seen"},
        title="A picture model teaches a solid thing",
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
