"""tiny-ip-adapter: tiny learns to be shown a picture beside the words.

IP-Adapter (Ye et al. 2023): tiny is frozen, and a second cross-attention learns beside
that of the words. The picture is seen by the course's CLIP.
"""

import functools
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from course_utils import toybox
from course_utils.measure.shown import followed_shown, shown_to_ask
from course_utils.methods.ip_adapter import (
    FILE,
    TOKENS,
    Adapter,
    adapter_loss,
    adapter_modules,
    adapter_weights,
    attach_adapter,
    draw_shown,
    fresh_adapter,
    image_embeds_of,
    load_seeing,
)
from course_utils.models.pipelines import encode
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.batches import in_latents
from course_utils.tiny.shown import shown_batch
from course_utils.tiny.unet import SCHEDULE
from course_utils.training import muon, write_whole

BATCH, RATE, PICTURES = 256, 1e-3, 12_288
SCALES = (0.0, 0.25, 0.5, 0.75, 1.0)

CARD = """# tiny-ip-adapter

An IP-Adapter of the toybox: tiny is shown a picture beside the words. Plain diffusers
loads it, into a tiny that has the course's CLIP as its image_encoder
(methods.ip_adapter.load_seeing):
`pipe.load_ip_adapter(folder, subfolder="", weight_name="ip_adapter.safetensors")`.

| {n} held-out pairs, scale | {scales} |
|---|{lines}
| toy, size and place as the words say | {words} |
| colour, pattern and ground as the picture shows | {picture} |

The words say nothing of what the picture gives, and the picture's own toy is another.
Read by the oracle; DPM-Solver++, 20 steps, guidance 3.

- **Data** the toybox, split "train". In three of four what is shown is another scene
  than the one to draw: what the words leave out is the same, what they say is not.
- **Parts** 4 tokens of CLIP's embedding, keys and values for tiny's seven
  cross-attentions: {parameters:,} parameters; tiny is frozen.
- **Training** {steps} steps of {batch_size} pictures, seed {seed}, Muon at {lr}; words,
  picture, and both left out in 5 % each; averaged weights.
- **On disk** safetensors in half precision.
"""


def tiny_ip_adapter(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The picture's tokens, and keys and values for them."""
    steps, seed = steps or 464, seed + 2700
    pipe = load_seeing()
    size = BATCH if steps >= 100 else 4

    def listen(texts: list[str]) -> Tensor:
        with torch.no_grad():
            return pipe.encode_prompt(texts, pipe.device, 1, False)[0]

    def build() -> nn.Module:
        return Adapter(attach_adapter(pipe.unet, fresh_adapter(pipe.unet)))

    return Recipe(
        model=build,
        batch=shown_batch(
            functools.partial(in_latents, functools.partial(encode, pipe.vae)),
            lambda scenes: image_embeds_of(pipe.image_encoder, toybox.render(scenes)),
            listen,
            size,
            min(PICTURES, steps * size),
            seed,
        ),
        loss=functools.partial(adapter_loss, schedule=SCHEDULE),
        save=functools.partial(keep_adapter, n=48 if steps >= 100 else 2),
        card=CARD,
        steps=steps,
        batch_size=BATCH,
        lr=RATE,
        seed=seed,
        ema=0.998,
        decay=0.5,
        optimizer=lambda model: muon.Muon(adapter_groups(model)),
        share=1,
    )


def adapter_groups(model: Adapter) -> list[dict]:
    """Muon's groups of what learns."""
    learning = nn.ModuleList([module for _, module in adapter_modules(model.unet)])
    return muon.groups(learning, RATE)


def keep_adapter(model: Adapter, folder: Path, n: int) -> dict:
    """Write the adapter's file; return what the card says of it."""
    weights = {k: x.half() for k, x in adapter_weights(model.unet).items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / FILE, metadata={"format": "pt"})
    (folder / FILE).chmod(0o644)
    config = dict(base="tiny-sd", image_encoder="clip", tokens=TOKENS)
    text = json.dumps(config, indent=2) + "\n"
    write_whole(folder / "config.json", text)
    rows = adapter_curve(folder, n)
    found = {
        name: " | ".join(f"{row[name]:.0%}" for row in rows.values())
        for name in ("words", "picture")
    }
    size = sum(x.numel() for x in weights.values())
    scales, lines = " | ".join(map(str, SCALES)), "---|" * len(SCALES)
    return found | dict(n=n, scales=scales, lines=lines, parameters=size)


def adapter_curve(folder: Path, n: int) -> dict[float, dict]:
    """What n pairs score at each of SCALES, with the adapter as it is kept."""
    pipe, asked = load_seeing(), shown_to_ask(n)
    pipe.load_ip_adapter(str(folder), subfolder="", weight_name=FILE)
    images = toybox.render([one.shown for one in asked])
    said = [one.caption for one in asked]
    return {
        scale: followed_shown(draw_shown(pipe, said, images, scale), asked)
        for scale in SCALES
    }
