"""IP-Adapter: a picture as a second prompt (Ye et al. 2023).

The frozen network's cross-attention stays as it is; beside it a second one, with keys
and values of its own, looks at a few tokens made of the picture (eq. 5):

    paper            code                what it is
    Z                Attn(Q, K, V) + scale * Attn(Q, K', V')
    K', V'           to_k_ip, to_v_ip    (out, 128), learnt; from the words' at first
    c_i              image_proj          4 tokens: linear and LayerNorm of the embedding
    lambda           scale               0: the words alone

All modules are diffusers' own, so that `pipe.load_ip_adapter` reads what is learnt.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, models
from course_utils.images import check_images
from course_utils.models.pipelines import check_texts, decode
from course_utils.schedules import Schedule
from course_utils.training.speed import half_is_faster

TOKENS = 4  # that diffusers makes of one picture
FILE = "ip_adapter.safetensors"


def fresh_adapter(unet: nn.Module, image_dim: int = 128) -> dict[str, Tensor]:
    """An IP-Adapter's weights before training, by the names of its files.

    The picture's keys and values begin as those of the words.
    """
    words = unet.config.cross_attention_dim
    project, norm = nn.Linear(image_dim, TOKENS * words), nn.LayerNorm(words)
    weights = {f"image_proj.proj.{k}": x for k, x in project.state_dict().items()}
    weights |= {f"image_proj.norm.{k}": x for k, x in norm.state_dict().items()}
    for number, layer in zip(*_hearing(unet), strict=True):
        for which in ("k", "v"):
            weight = getattr(layer, f"to_{which}").weight.detach().clone()
            weights[f"ip_adapter.{number}.to_{which}_ip.weight"] = weight
    return weights


def _hearing(unet: nn.Module) -> tuple[range, list[nn.Module]]:
    """The cross-attentions in diffusers' order, and their odd numbers in the file."""
    names = [k for k in unet.attn_processors if k.endswith("attn2.processor")]
    layers = [unet.get_submodule(name.removesuffix(".processor")) for name in names]
    return range(1, 2 * len(layers), 2), layers


def attach_adapter(unet: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """Have the UNet look at pictures, as `load_ip_adapter` does; return it.

    It then asks for added_cond_kwargs={"image_embeds": [(B, 1, image_dim)]}.
    """
    parts: dict[str, dict] = {"image_proj": {}, "ip_adapter": {}}
    for name, x in weights.items():
        part, _, rest = name.partition(".")
        if part not in parts:
            raise ValueError(f"weights: {name!r} is not of an IP-Adapter's file")
        parts[part][rest] = x
    unet._load_ip_adapter_weights([parts], low_cpu_mem_usage=False)
    return unet


def adapter_modules(unet: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The parts that learn, by the beginnings of their names in the file."""
    projection = unet.encoder_hid_proj.image_projection_layers[0]
    yield "image_proj.proj", projection.image_embeds
    yield "image_proj.norm", projection.norm
    for number, layer in zip(*_hearing(unet), strict=True):
        yield f"ip_adapter.{number}.to_k_ip", layer.processor.to_k_ip[0]
        yield f"ip_adapter.{number}.to_v_ip", layer.processor.to_v_ip[0]


def adapter_weights(unet: nn.Module) -> dict[str, Tensor]:
    """What an attached adapter has learnt, for a file: attach_adapter's inverse."""
    return {
        f"{name}.{key}": x.detach().clone()
        for name, module in adapter_modules(unet)
        for key, x in module.state_dict().items()
    }


class Adapter(nn.Module):
    """An attached adapter as what is trained: of the UNet itself nothing learns."""

    def __init__(self, unet: nn.Module):
        """Take a UNet after attach_adapter; freeze it, but for the adapter."""
        super().__init__()
        self.unet = unet.requires_grad_(False)
        for _, module in adapter_modules(unet):
            module.requires_grad_(True)

    def forward(self, x_t: Tensor, t: Tensor, words: Tensor, image: Tensor) -> Tensor:
        """What the UNet predicts, told words (B, tokens, D) and shown image (B, E)."""
        shown = {"image_embeds": [image[:, None]]}
        return self.unet(x_t, t, words, added_cond_kwargs=shown).sample


def adapter_loss(
    model: Adapter,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    words: Tensor,
    image: Tensor,
    schedule: Schedule,
) -> Tensor:
    """The squared error of v (Ye et al. 2023, eq. 6, there of the noise).

    x0, noise (B, 4, h, w); t (B,); words (B, tokens, D); image (B, E), zeros where
    the picture is left out.
    """
    x_t = diffusion.add_noise(x0, noise, t, schedule)
    with torch.autocast(x0.device.type, torch.bfloat16, half_is_faster(x0.device)):
        v = model(x_t, t, words, image)
    return F.mse_loss(v.float(), diffusion.velocity(x0, noise, t, schedule))


def load_seeing(name: str = "tiny"):
    """A StableDiffusionPipeline with the course's CLIP as its image_encoder.

    So that `load_ip_adapter` asks for no other.
    """
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection
    from transformers.utils import logging

    folder, level = models.path("clip"), logging.get_verbosity()
    logging.set_verbosity_error()  # the folder also holds CLIP's other half
    try:
        with models.no_loading_bars():
            eye = CLIPVisionModelWithProjection.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True
            )
    finally:
        logging.set_verbosity(level)
    prepare = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    parts = dict(image_encoder=eye.eval(), feature_extractor=prepare)
    pipe = models.load("text-to-image", name, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def image_embeds_of(eye: nn.Module, images: Tensor) -> Tensor:
    """CLIP's embeddings (B, E) of pictures (B, 3, 64, 64) in [-1, 1]."""
    check_images(images, 3, eye.config.image_size)
    return eye(pixel_values=images.to(eye.device, eye.dtype)).image_embeds


def draw_shown(
    pipe,
    captions: Sequence[str],
    images: Tensor,
    scale: float = 1.0,
    steps: int = 20,
    guidance: float = 3.0,
    seed: int = 0,
) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] for captions, each shown its own picture.

    pipe    of load_seeing, after load_ip_adapter
    images  (B, 3, 64, 64) in [-1, 1]
    scale   of the picture's attention: 0 is the words alone
    Picture k starts from the noise of seed + k.
    """
    check_texts(captions, "captions")
    if len(images) != len(captions):
        raise ValueError(f"images: {len(captions)} captions need one each")
    pipe.set_ip_adapter_scale(scale)
    plan = steps, guidance
    parts = [
        _draw_some(pipe, list(captions[i : i + 16]), images[i : i + 16], seed + i, plan)
        for i in range(0, len(captions), 16)
    ]
    return torch.cat(parts)


@torch.no_grad()
def _draw_some(pipe, said: list[str], images: Tensor, seed: int, plan: tuple) -> Tensor:
    """The pipeline's own loop, which has one picture for all captions."""
    (steps, guidance), n = plan, len(said)
    device, clock = pipe.device, pipe.scheduler
    words = pipe.encode_prompt(["" for _ in said] + said, device, 1, False)[0]
    shown = image_embeds_of(pipe.image_encoder, images)[:, None]
    told = {"image_embeds": [torch.cat([torch.zeros_like(shown), shown])]}
    shape = (1, pipe.unet.config.in_channels, *[pipe.unet.config.sample_size] * 2)
    draws = (torch.Generator().manual_seed(seed + k) for k in range(n))
    x_t = torch.cat([torch.randn(shape, generator=g) for g in draws]).to(device)
    clock.set_timesteps(steps, device=device)
    for t in clock.timesteps:
        both = pipe.unet(torch.cat([x_t, x_t]), t, words, added_cond_kwargs=told).sample
        without, with_it = both.chunk(2)
        v = diffusion.guidance(with_it, without, guidance)
        x_t = clock.step(v, t, x_t).prev_sample
    return decode(pipe.vae, x_t).cpu()
