"""Stable Diffusion 3 in miniature: a transformer of two streams that learns a flow.

Esser et al. 2024. Pictures and words have weights of their own and one attention over
both; the pooled words and the time set the size of every layer's output (adaLN). It
draws in the latents of tiny and hears with tiny's text encoder, so that path and
network are all that differs from it.
"""

import copy
import os
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, models, training
from course_utils.diffusion.flow_matching import flow_path, flow_times, flow_velocity
from course_utils.models.pipelines import check_asked, check_texts, decode, guided
from course_utils.models.quiet import quiet
from course_utils.tiny.batches import trunk_batch
from course_utils.tiny.unet import SCHEDULE
from course_utils.tiny.worlds import World
from course_utils.training.speed import half_is_faster

# SD3's other text encoders: from_pretrained wants to be told that there are none
NO_OTHERS = dict.fromkeys(
    ("text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
)
STEPS = 1000  # diffusers' networks hear the time as 1000 t
WIDTH, HEADS, LAYERS, ALIGNED = 160, 5, 6, 2  # the layer whose tokens are aligned


def build_flow_transformer() -> nn.Module:
    """A diffusers SD3Transformer2DModel with fresh weights: 5.4 M.

    Latents (4, 16, 16) in patches of 2 are 64 tokens, beside 48 of words. A call costs
    about what tiny's UNet costs.
    """
    from diffusers import SD3Transformer2DModel

    return SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=LAYERS,
        attention_head_dim=WIDTH // HEADS,
        num_attention_heads=HEADS,
        joint_attention_dim=128,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=128,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
    )


class FlowTransformer(nn.Module):
    """What is trained: the transformer, and a head that is thrown away (REPA)."""

    def __init__(self, transformer: nn.Module, channels: int):
        """Align the tokens of a layer with maps of so many `channels` at 8x8."""
        super().__init__()
        self.transformer = transformer
        width = transformer.inner_dim
        layers = nn.Linear(width, 256), nn.Linear(256, channels)
        self.head = nn.Sequential(layers[0], nn.SiLU(), layers[1])
        self.inside: Tensor | None = None  # (B, 64, width)
        block = transformer.transformer_blocks[ALIGNED]
        block.register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, inputs: tuple, output: tuple) -> None:
        self.inside = output[1]  # the stream of the picture

    def forward(self, z: Tensor, t: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the velocity, of the shape of z, and maps (B, channels, 8, 8).

        z (B, 4, 16, 16); t (B,) in [0, 1]; words (B, 49, 128), of `flow_words`.
        """
        states, pooled = words[:, :-1], words[:, -1]
        v = self.transformer(z, states, pooled, STEPS * t, return_dict=False)[0]
        inside, self.inside = self.inside, None
        return v, self.head(inside).mT.unflatten(2, (8, 8))


def flow_matching_loss(
    model: nn.Module,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    words: Tensor,
    maps: Tensor,
    align: float = 0.5,
) -> Tensor:
    """The velocity's squared error (Esser et al. 2024, eq. 8), and the alignment.

    x0, noise (B, 4, 16, 16); t (B,) of flow_times, so that no weight is needed; words
    (B, 49, 128); maps (B, channels, 8, 8), of which `align` times 1 - cosine counts
    (REPA, Yu et al. 2024).
    """
    z = flow_path(x0, noise, t)
    with torch.autocast(x0.device.type, torch.bfloat16, half_is_faster(x0.device)):
        v, features = model(z, t, words)
    flowing = F.mse_loss(v.float(), flow_velocity(x0, noise))
    alignment = F.cosine_similarity(features.float(), maps.float(), dim=1).mean()
    return flowing + align * (1 - alignment)


@torch.no_grad()
def flow_words(encoder: nn.Module, tokens: Tensor) -> Tensor:
    """What tiny's text encoder says: states (B, 48, 128), and pooled as a 49th."""
    heard = encoder(tokens)
    return torch.cat([heard.last_hidden_state, heard.pooler_output[:, None]], 1)


def flow_batch(
    encode: Callable,
    listen: Callable,
    world: World,
    n: int,
    pictures: int,
    seed: int = 0,
) -> training.Batch:
    """Draws x0, noise, t, words and maps: trunk_batch, but with a flow's times."""
    steps = torch.ones(1)  # trunk_batch draws a diffusion's; these are not used
    inner = trunk_batch(encode, listen, world, n, pictures, steps, seed)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        x0, noise, _, words, maps = inner(generator, step)
        return x0, noise, flow_times(n, generator), words, maps

    return batch


def flow_scheduler():
    """FlowMatchEulerDiscreteScheduler with shift 1.

    With any other, diffusers 0.42 shifts the times twice where it is given none.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=STEPS, shift=1.0)


def flow_pipeline(transformer: nn.Module, tiny):
    """An ordinary StableDiffusion3Pipeline of the transformer and the parts of tiny.

    SD3 has three text encoders; this one has tiny's alone, and is told what it says
    by `flow_prompts`.
    """
    from diffusers import StableDiffusion3Pipeline

    pipe = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=flow_scheduler(),
        vae=_unshifted(tiny.vae),
        text_encoder=tiny.text_encoder,
        tokenizer=tiny.tokenizer,
        **NO_OTHERS,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load_flow(name: str | os.PathLike = "tiny-flow"):
    """The StableDiffusion3Pipeline that is shipped, or that of a Path to a folder."""
    from diffusers import StableDiffusion3Pipeline

    folder = name if isinstance(name, os.PathLike) else models.path(name)
    options = dict(local_files_only=True, use_safetensors=True, dtype=torch.float32)
    with models.no_loading_bars(), quiet():  # SD3's encoders have a projection more
        pipe = StableDiffusion3Pipeline.from_pretrained(folder, **NO_OTHERS, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _unshifted(vae: nn.Module) -> nn.Module:
    """The same VAE with a shift of 0: SD3's pipeline adds one to all latents."""
    vae = copy.deepcopy(vae)
    vae.register_to_config(shift_factor=0.0)
    return vae


def flow_prompts(pipe, captions: Sequence[str]) -> dict[str, Tensor]:
    """What StableDiffusion3Pipeline is told in place of prompts, as its arguments."""
    check_texts(captions, "captions")
    options = dict(padding="max_length", truncation=True, return_tensors="pt")

    def told(texts: Sequence[str], kind: str) -> dict[str, Tensor]:
        tokens = pipe.tokenizer(list(texts), **options).input_ids
        words = flow_words(pipe.text_encoder, tokens.to(pipe.text_encoder.device))
        states, pooled = words[:, :-1], words[:, -1]
        return {f"{kind}prompt_embeds": states, f"{kind}pooled_prompt_embeds": pooled}

    return told(captions, "") | told([""] * len(captions), "negative_")


def draw_flow(
    pipe,
    captions: Sequence[str],
    steps: int = 20,
    guidance: float = 3.0,
    seed: int = 0,
    shift: float = 1.0,
) -> Tensor:
    """Pictures (B, 3, 64, 64) in [-1, 1], 16 at a time, as `models.pipelines.draw`.

    Picture k starts from the noise of seed + k; steps and shift are flow_grid's.
    """
    check_asked(captions, "captions", steps, guidance, seed)
    grid = diffusion.flow_grid(steps, shift)[:-1]
    found = []
    for i in range(0, len(captions), 16):
        some = captions[i : i + 16]
        seeds = range(seed + i, seed + i + len(some))
        images = pipe(
            **flow_prompts(pipe, some),
            sigmas=grid,
            num_inference_steps=steps,
            guidance_scale=guidance,
            output_type="pt",
            generator=[torch.Generator().manual_seed(k) for k in seeds],
        ).images
        found.append(images.float().cpu() * 2 - 1)
    return torch.cat(found).clamp(-1, 1)


@torch.no_grad()
def draw_as_flow(
    pipe,
    said: Sequence[str],
    steps: int = 4,
    guidance: float = 3.0,
    seed: int = 0,
    shift: float = 1.5,
) -> Tensor:
    """The same walk by a diffusion that predicts v, seen as a flow; nothing is learnt.

    pipe  a StableDiffusionPipeline, such as tiny; a shift of 1.5 suits few steps of it
    Picture k starts from the noise of seed + k.
    """
    check_asked(said, "said", steps, guidance, seed)
    grid, found = diffusion.flow_grid(steps, shift), []
    for i in range(0, len(said), 16):
        some = list(said[i : i + 16])
        velocity = diffusion.as_flow(guided(pipe, some, guidance), SCHEDULE)
        draws = (torch.Generator().manual_seed(seed + i + k) for k in range(len(some)))
        noise = torch.cat([torch.randn(1, 4, 16, 16, generator=g) for g in draws])
        path = diffusion.euler_path(velocity, noise.to(pipe.device), grid)
        found.append(decode(pipe.vae, path[-1]).cpu())
    return torch.cat(found)
