"""tiny-pixel: the toybox drawn in pixels, for illusions and to compare with latents.

The recipe of the miniature Stable Diffusion without its VAE, in 32x32 pixels: a latent
cannot be flipped or turned as a picture can. Its text encoder is that of tiny, frozen.
The folder is an ordinary IFPipeline, the class of DeepFloyd IF, which draws in pixels.
"""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import models, oracle, session, toybox
from course_utils.recipes import muon, parts, shelf, text, tiny_sd, trunk
from course_utils.recipes.progress import attribute_scores
from course_utils.recipes.scenes import WHOLE

SIDE = 32
WORDS = 77  # tokens; IFPipeline insists

CARD = """# tiny-pixel

A text-to-image model in 32x32 pixels of the toybox, without a VAE. Plain diffusers
loads it: `IFPipeline.from_pretrained(folder)(prompt, guidance_scale=3)`.

| right, of {n} held-out captions each | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle after enlarging to 64x64, DPM-Solver++, 20 steps, guidance 3.

- **Data** the toybox, split "train", drawn as it is used.
- **Parts** UNet2DConditionModel (32, 64, 96, 128), predicts v; of its six outputs three
  are not used (IFPipeline expects a variance there). CLIPTextModel and CLIPTokenizer
  are those of tiny-sd, for up to 77 tokens.
- **Training** {steps} steps of {batch} pictures, betas 1e-4 to 0.02, Muon at {lr}, seed
  {seed}, captions dropped in one of ten, aligned with tiny-sd's eye, averaged weights.
- **Cost** COST.
- **Repeat it** `course train tiny-pixel` (course_utils/recipes/pixels.py).
- **On disk** safetensors in half precision; progress.jsonl is what it could do when.
- **Licence** Apache-2.0, as the course.
"""


def build_pixel_unet() -> nn.Module:
    """A UNet2DConditionModel for (3, 32, 32), with fresh weights; words at 8x8, 4x4."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    plain, listens = ["DownBlock2D"] * 2, ["CrossAttnDownBlock2D"] * 2
    up = [name.replace("Down", "Up") for name in (*listens, *plain)]
    unet = UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=3,
        out_channels=6,
        block_out_channels=(32, 64, 96, 128),
        layers_per_block=1,
        down_block_types=(*plain, *listens),
        up_block_types=up,
        cross_attention_dim=128,
        attention_head_dim=4,  # diffusers' name for the number of heads
    )
    unet.set_attn_processor(AttnProcessor())  # on a CPU faster than the default
    return unet


def for_more_words(encoder: nn.Module, tokenizer) -> tuple[nn.Module, object]:
    """The same text encoder with WORDS places: the last one, of an end, repeated."""
    from transformers import CLIPTextModel

    config = encoder.config.__class__.from_dict(encoder.config.to_dict())
    config.max_position_embeddings = WORDS
    weights = dict(encoder.state_dict())
    [name] = [k for k in weights if k.endswith("position_embedding.weight")]
    places = weights[name]
    more = places[-1:].expand(WORDS - len(places), -1)
    weights[name] = torch.cat([places, more])
    longer = CLIPTextModel(config)
    missing, _ = longer.load_state_dict(weights, strict=False)
    assert not [k for k in missing if not k.endswith("position_ids")], missing
    tokenizer.model_max_length = WORDS
    return longer.eval().requires_grad_(False), tokenizer


def pixel_pipeline(unet: nn.Module, encoder: nn.Module, tokenizer):
    """An ordinary IFPipeline of the trained parts."""
    from diffusers import IFPipeline

    pipe = IFPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        unet=unet,
        scheduler=tiny_sd.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw_pixels(
    pipe, captions: list[str], steps: int = 20, guidance: float = 3.0, seed: int = 0
) -> Tensor:
    """Pictures (B, 3, 64, 64) in [-1, 1] for the captions, enlarged from 32x32."""
    options = dict(num_inference_steps=steps, guidance_scale=guidance)
    options |= dict(output_type="pt", clean_caption=False)
    found = []
    for i in range(0, len(captions), 16):
        some = captions[i : i + 16]
        seeds = range(seed + i, seed + i + len(some))
        options["generator"] = [torch.Generator().manual_seed(k) for k in seeds]
        found.append(pipe(some, **options).images.float().cpu())
    return to_64(torch.cat(found).clamp(-1, 1))


def to_64(images: Tensor) -> Tensor:
    """(B, 3, 32, 32) -> (B, 3, 64, 64); the oracle reads true ones without a fault."""
    return F.interpolate(images, 64, mode="bicubic").clamp(-1, 1)


def tiny_pixel(
    folder: Path,
    work: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    batch: int = 32,
    lr: float = 1.5e-3,
    tiny: Path | None = None,
) -> None:
    """Train it on top of `tiny`, the shipped miniature Stable Diffusion's folder.

    Leaves sheets of samples and progress.jsonl in `work` while it learns.
    """
    from transformers import CLIPTextModel, CLIPTokenizer

    tiny = tiny or models.path("tiny")
    steps = steps or 3000
    looker = parts.load_eye(tiny / "eye")
    encoder, tokenizer = for_more_words(
        CLIPTextModel.from_pretrained(tiny / "text_encoder"),
        CLIPTokenizer.from_pretrained(tiny / "tokenizer"),
    )
    torch.set_num_threads(session.threads(share=1))
    torch.manual_seed(seed)
    model = trunk.Trunk(build_pixel_unet(), None, looker.ground.in_features, floor=2)
    model = trunk.faster(model, steps)
    voice = pixel_pipeline(model.unet, encoder, tokenizer)

    def listen(said: list[str]) -> Tensor:
        return voice.encode_prompt(said, False)[0]

    batches = tiny_sd.trunk_batch(
        functools.partial(looked_at, looker),
        listen,
        WHOLE,
        batch,
        min(20_480, steps * batch),
        trunk.step_weights(trunk.SCHEDULE),
    )

    def draws(model: nn.Module, steps: int = 10) -> Callable:
        pipe = pixel_pipeline(model.unet, encoder, tokenizer)
        return functools.partial(draw_pixels, pipe, steps=steps)

    groups = muon.groups(model, lr)
    model = tiny_sd.grown(
        model, batches, groups, draws, WHOLE, work, steps=steps, seed=seed
    )
    n = 250 if steps >= 500 else 2
    scores = attribute_scores(draws(model, 20), WHOLE, n)
    pipe = pixel_pipeline(model.unet.half(), encoder.half(), tokenizer)
    pipe.save_pretrained(folder)
    text.save_text(encoder, tokenizer, folder)
    if (work / "progress.jsonl").exists():
        shutil.copy(work / "progress.jsonl", folder)
    facts = dict(n=n, rows=tiny_sd.in_rows(scores), steps=steps, batch=batch)
    shelf.write_card(folder, work, CARD.format(**facts, lr=lr, seed=seed))


@torch.no_grad()
def looked_at(looker: oracle.Reader, scenes: list) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, 32, 32) and the eye's maps (B, C, 8, 8), in half precision."""
    images = toybox.render(scenes)
    small = F.interpolate(images, SIDE, mode="area")
    return small.half(), looker.maps(images).half()
