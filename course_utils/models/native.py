"""One call of each network of a real checkpoint, in the size that it draws in.

Shapes as the pipelines pass them: `native_call("sd15", "unet", net)` is a function
that calls the network once. On the meta device it takes no time and no memory, and is
what measure.scales counts.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.models.architectures import ARCHITECTURES

# name -> how many calls of each part make one picture or clip, as its authors draw it:
# pictures of 512 px (sd15), 1024 px (sdxl, cascade), 24 frames of 576x320 (zeroscope)
CALLS = {
    "sd15": {"text_encoder": 1, "unet": 50, "vae": 1},
    "sdxl": {"text_encoder": 1, "text_encoder_2": 1, "unet": 50, "vae": 1},
    "sdxl-lightning": {"text_encoder": 1, "text_encoder_2": 1, "unet": 4, "vae": 1},
    "stable-cascade": {"text_encoder": 1, "prior": 20, "decoder": 10, "vqgan": 1},
    "zeroscope": {"text_encoder": 1, "unet": 50, "vae": 1},
}
_LATENTS = {"sd15": (64, 64), "sdxl": (128, 128), "zeroscope": (40, 72)}
FRAMES = 24


def native_call(
    name: str,
    part: str,
    net: nn.Module,
    rows: int | None = None,
    latents: tuple[int, int] | None = None,
) -> Callable[[], Tensor]:
    """A function without arguments that calls `net` once, on zeros.

    name     "sd15", "sdxl", "sdxl-lightning", "stable-cascade" or "zeroscope"
    part     one of its parts in CALLS; net: that part, on any device, in any dtype
    rows     batch size: by default what one picture needs, 2 where it is guided
    latents  (h, w) of the latents of a U-Net or VAE, by default the native ones
    """
    if part not in CALLS.get(name, {}):
        known = "; ".join(f"{n}: {', '.join(parts)}" for n, parts in CALLS.items())
        raise ValueError(f"name, part must be of {known}, not {name!r}, {part!r}")
    weights = next(net.parameters())
    like = {"device": weights.device, "dtype": weights.dtype}
    name = "sdxl" if name == "sdxl-lightning" else name
    if name == "stable-cascade" and part != "text_encoder":
        return _cascade_call(part, net, rows, like)
    side = latents or _LATENTS.get(name, (24, 24))
    guided = rows or 2
    if part.startswith("text_encoder"):
        tokens = torch.zeros(guided, 77, dtype=torch.long, device=like["device"])
        return lambda: net(tokens)[0]
    if part == "vae":
        pictures = rows or (FRAMES if name == "zeroscope" else 1)
        z = torch.zeros(pictures, 4, *side, **like)
        return lambda: net.decode(z).sample
    return _unet_call(name, net, guided, side, like)


def _unet_call(name, net, rows, side, like) -> Callable[[], Tensor]:
    words = ARCHITECTURES[name]["unet"][1]["cross_attention_dim"]
    context, t = torch.zeros(rows, 77, words, **like), torch.zeros(rows, **like)
    between = (FRAMES,) if name == "zeroscope" else ()
    x = torch.zeros(rows, 4, *between, *side, **like)
    more = {}
    if name == "sdxl":  # the pooled words, and six numbers about size and crop
        pooled, sizes = torch.zeros(rows, 1280, **like), torch.zeros(rows, 6, **like)
        more = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
    return lambda: net(x, t, encoder_hidden_states=context, **more).sample


def _cascade_call(part, net, rows, like) -> Callable[[], Tensor]:
    if part == "vqgan":
        codes = torch.zeros(rows or 1, 4, 256, 256, **like)
        return lambda: net.decode(codes).sample
    rows = rows or (2 if part == "prior" else 1)  # stage B is not guided
    ratio, pooled = torch.zeros(rows, **like), torch.zeros(rows, 1, 1280, **like)
    if part == "prior":
        x = torch.zeros(rows, 16, 24, 24, **like)
        words = torch.zeros(rows, 77, 1280, **like)
        eyes = torch.zeros(rows, 1, 768, **like)
        more = {"clip_text": words, "clip_img": eyes}
    else:
        x = torch.zeros(rows, 4, 256, 256, **like)
        more = {"effnet": torch.zeros(rows, 16, 24, 24, **like)}
    return lambda: net(x, ratio, clip_text_pooled=pooled, **more).sample
