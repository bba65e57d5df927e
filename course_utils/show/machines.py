"""The machines that lessons take apart, drawn: GAN, U-Net, chain, latent diffusion."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from .diagrams import MARGIN, draw_diagram
from .sheet import Box, Content, Sheet
from .style import INK, PALETTE, WIDTH
from .tables import short


def draw_gan(
    z: str = "", shape: str = "", real=None, forged=None, title: str | None = None
) -> Figure:
    """Draw the game of Goodfellow et al. 2014: who sees what, whose loss moves whom.

    `z` and `shape` are the words for the shapes of the noise and of a picture. `real`
    and `forged` are pictures (B, C, H, W) of which the first is shown.
    """
    pictures = {"real picture": real, "forgery": forged}
    return draw_diagram(
        [
            [None, None, "real picture", None, None],
            ["z", "G", "forgery", "D", "real or\nforged?"],
            [None, None, None, "D's loss", None],
            [None, "G's loss", None, None, None],
        ],
        [
            ("z", "G", z),
            ("G", "forgery", shape),
            ("real picture", "D"),
            ("forgery", "D"),
            ("D", "real or\nforged?", "logit"),
            ("real or\nforged?", "D's loss"),
            ("real or\nforged?", "G's loss"),
            ("D's loss", "D", "moves D only", "learn"),
            ("G's loss", "G", "moves G only", "learn"),
        ],
        kinds={"G": "network", "D": "network", "D's loss": "loss", "G's loss": "loss",
               "real or\nforged?": "words"},
        notes={"z": "noise", "G": "generator", "D": "discriminator",
               "D's loss": "did it judge\nboth rightly?",
               "G's loss": "was the forgery\ntaken for real?"},
        pictures={name: p[0] for name, p in pictures.items() if p is not None},
        title=title,
    )  # fmt: skip


def draw_latent_diffusion(
    pipe, steps: int = 20, noise=None, picture=None, title: str | None = None
) -> Figure:
    """Draw a text-to-image pipeline taken apart, with the shape on every arrow.

    Every number is read from `pipe`, a StableDiffusionPipeline of any size. `noise` and
    `picture` are images of which the first is shown. Rombach et al. 2022, figure 3.
    """
    tokens = pipe.tokenizer.model_max_length
    width = pipe.text_encoder.config.hidden_size
    channels, side = pipe.unet.config.in_channels, pipe.unet.config.sample_size
    full = side * pipe.vae_scale_factor
    latent = f"{channels}, {side}, {side}"
    kind = pipe.scheduler.config.prediction_type
    guess = {"v_prediction": "v", "sample": "x0"}.get(kind, "the noise")
    pictures = {"noise": noise, "picture": picture}
    parts = {"text encoder": pipe.text_encoder, "U-Net": pipe.unet,
             "VAE decoder": pipe.vae.decoder}  # fmt: skip
    return draw_diagram(
        [
            ["words", "tokenizer", "text encoder", None],
            ["noise", None, "U-Net", "picture"],
            [None, None, "scheduler", "VAE decoder"],
        ],
        [
            ("words", "tokenizer"),
            ("tokenizer", "text encoder", f"({tokens},)"),
            ("text encoder", "U-Net", f"({tokens}, {width})\nby cross-attention"),
            ("noise", "U-Net", f"({latent})"),
            ("U-Net", "scheduler", f"guided guess\nof {guess}"),
            ("scheduler", "U-Net", f"less noisy latent,\nits t; {steps} times"),
            ("scheduler", "VAE decoder", f"({latent})"),
            ("VAE decoder", "picture", f"(3, {full}, {full})"),
        ],
        kinds={"words": "words"} | dict.fromkeys(parts, "network"),
        notes={"words": "and the empty\ncaption, to guide"}
        | {name: f"{_weights(part)} weights" for name, part in parts.items()},
        pictures={name: p[0] for name, p in pictures.items() if p is not None},
        title=title,
    )


def draw_controlnet(unet, control, condition=None, title: str | None = None) -> Figure:
    """Draw a ControlNet beside the network that it steers: Zhang et al. 2023, figure 3.

    `unet` and `control` are of any size; of `condition`, images in [-1, 1], the first
    is shown.
    """
    skips = len(control.controlnet_down_blocks)
    halves = {"encoder": [unet.conv_in, unet.down_blocks, unet.mid_block],
              "decoder": [unet.up_blocks, unet.conv_out]}  # fmt: skip
    sizes = {name: sum(p.numel() for part in parts for p in part.parameters())
             for name, parts in halves.items()}  # fmt: skip
    return draw_diagram(
        [
            [None, "encoder", "decoder", "its guess"],
            ["x_t, t, words", None, "zero convolutions", None],
            [None, None, "copy of the encoder", None],
            ["condition", "small network", None, None],
        ],
        [
            ("x_t, t, words", "encoder"),
            ("encoder", "decoder", f"{skips} skips\nand the middle", "skip"),
            ("decoder", "its guess"),
            ("x_t, t, words", "copy of the encoder"),
            ("condition", "small network"),
            ("small network", "copy of the encoder", "added to x_t"),
            ("copy of the encoder", "zero convolutions"),
            ("zero convolutions", "decoder", f"added to all {skips + 1}"),
        ],
        kinds={"encoder": "frozen", "decoder": "frozen", "small network": "network",
               "copy of the encoder": "network", "zero convolutions": "network"},
        notes={"encoder": f"{short(sizes['encoder'] / 1e6)} M, frozen",
               "decoder": f"{short(sizes['decoder'] / 1e6)} M, frozen",
               "its guess": "of the noise or v",
               "small network": "pixels to latents,\nzero at its end",
               "copy of the encoder": f"{_weights(control)} weights\nin all learn"},
        pictures={} if condition is None else {"condition": condition[0]},
        title=title,
    )  # fmt: skip


def _weights(network) -> str:
    """Return how many weights a network has, such as 6.1 M."""
    return f"{short(sum(p.numel() for p in network.parameters()) / 1e6)} M"


def draw_chain(
    images, labels: Sequence | None = None, title: str | None = None
) -> Figure:
    """Draw the two chains of diffusion: noise is added step by step, and taken out.

    `images` (N, C, H, W) are some pictures of one chain, from clean to noise, at least
    two; `labels` stand under them ("x_0", "x_250", ...). Ho et al. 2020, figure 2.
    """
    if len(images) < 2 or labels is not None and len(labels) != len(images):
        raise ValueError(
            "images must be at least two, and labels one per image: "
            f"{len(images)} images, {len(labels or [])} labels"
        )
    labels = labels or ["x_0", *[" "] * (len(images) - 2), "x_T"]
    room = (WIDTH - 2 * MARGIN + 34) // len(images) - 34  # an arrow takes 34 or more
    cells = [Content(label, picture=image, side=min(128, room - 12))
             for label, image in zip(labels, images, strict=True)]  # fmt: skip
    gap = min(60, (WIDTH - 2 * MARGIN - sum(c.wide for c in cells)) / (len(cells) - 1))
    wide = sum(c.wide + gap for c in cells) - gap + 2 * MARGIN
    high, x, boxes = max(c.high for c in cells), float(MARGIN), []
    sheet = Sheet(wide, high + 76, title)
    for cell in cells:
        boxes.append(sheet.box(cell, x + cell.wide / 2, high / 2 + 32))
        x += cell.wide + gap
    for a, b in pairwise(boxes):
        sheet.arrow([a.edge("right", -14), b.edge("left", -14)])
        sheet.arrow([b.edge("left", 14), a.edge("right", 14)], kind="reverse")
    sheet.words("forward: a little noise a step, q(x_t | x_t-1), known", wide / 2, 14,
                colour=INK)  # fmt: skip
    sheet.words("reverse: a little less a step, p(x_t-1 | x_t), learnt by a network",
                wide / 2, high + 52, colour=PALETTE[0])  # fmt: skip
    return sheet.figure


def draw_unet(network, side: int, title: str | None = None) -> Figure:
    """Draw a U-Net level by level: what is halved, what skips, where time enters.

    `network` is a networks.UNet, or (channels of the picture, [channels of each
    level]); `side` is the picture's height and width. Ho et al. 2020, appendix B.
    """
    channels, sizes = _sizes(network)
    high = [max(44, round(120 / 2**k)) for k in range(len(sizes))]
    wide = [round(36 + 44 * c / max(sizes)) for c in sizes]
    sheet, y, down, up = (
        Sheet(720, sum(high) + 46 * len(high) + 112, title),
        8.0,
        [],
        [],
    )
    for k, c in enumerate(sizes):
        y += high[k] / 2
        for x, column in ((236, down), (484, up)):
            column.append(_block(sheet, x, y, wide[k], high[k]))
        shape = f"({c}, {side // 2**k}, {side // 2**k})"
        sheet.arrow([down[k].edge("right"), up[k].edge("left")], shape, "skip")
        if k:
            sheet.arrow([down[k - 1].edge("bottom"), down[k].edge("top")], "halve")
            sheet.arrow([up[k].edge("top"), up[k - 1].edge("bottom")], "double",
                        above=False)  # fmt: skip
        y += high[k] / 2 + 46
    middle = _block(sheet, 304, y + 4, 60, 48)
    attention = sheet.box("attention", 408, y + 4, "network", high=48)
    sheet.arrow([down[-1].edge("bottom"), (236, y + 4), middle.edge("left")])
    sheet.arrow([middle.edge("right"), attention.edge("left")])
    sheet.arrow([attention.edge("right"), (484, y + 4), up[-1].edge("bottom")])
    shape = f"({channels}, {side}, {side})"
    x_t = sheet.box(Content("x_t", shape), 64, down[0].y)
    noise = sheet.box(Content("noise", shape), 656, up[0].y)
    sheet.arrow([x_t.edge("right"), down[0].edge("left")], "conv")
    sheet.arrow([up[0].edge("right"), noise.edge("left")], "conv")
    _legend(sheet, y + 54)
    return sheet.figure


def _block(sheet: Sheet, x: float, y: float, wide: float, high: float) -> Box:
    """Draw a residual block with the mark of the time that enters it."""
    box = sheet.box("", x, y, "network", wide, high)
    _mark(sheet, x, y)
    return box


def _mark(sheet: Sheet, x: float, y: float) -> None:
    sheet.dot(x, y, 11, PALETTE[3])
    sheet.words("t", x, y, colour="white", weight="bold")


def _legend(sheet: Sheet, y: float) -> None:
    """Say what a mark and an orange arrow mean."""
    _mark(sheet, 110, y)
    sheet.words("a block: two convolutions; the embedding of t is added in between",
                140, y, ha="left")  # fmt: skip
    sheet.arrow([(98, y + 28), (126, y + 28)], kind="skip")
    sheet.words("a skip: its channels are set beside those that come up", 140, y + 28,
                ha="left")  # fmt: skip


def _sizes(network) -> tuple[int, list[int]]:
    """Return the channels of the picture and of each level."""
    if hasattr(network, "down"):
        return network.first.in_channels, [b.conv2.out_channels for b in network.down]
    return network
