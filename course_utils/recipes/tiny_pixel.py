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
from torch import Tensor, nn

from course_utils import models, session
from course_utils.models.pipelines import draw, to_64
from course_utils.recipes import artifacts, tiny_sd
from course_utils.recipes.monitor import attribute_scores
from course_utils.tiny.batches import load_eye, looked_at, trunk_batch
from course_utils.tiny.pipelines import pixel_pipeline
from course_utils.tiny.text import for_more_words, save_text
from course_utils.tiny.unet import SCHEDULE, Trunk, build_pixel_unet, step_weights
from course_utils.tiny.worlds import WHOLE
from course_utils.training import muon
from course_utils.training.speed import faster

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
- **Repeat it** `course train tiny-pixel` (course_utils/recipes/tiny_pixel.py).
- **On disk** safetensors in half precision; progress.jsonl is what it could do when.
- **Licence** Apache-2.0, as the course.
"""


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
    looker = load_eye(tiny / "eye")
    encoder, tokenizer = for_more_words(
        CLIPTextModel.from_pretrained(tiny / "text_encoder"),
        CLIPTokenizer.from_pretrained(tiny / "tokenizer"),
    )
    torch.set_num_threads(session.threads(share=1))
    torch.manual_seed(seed)
    model = Trunk(build_pixel_unet(), None, looker.ground.in_features, floor=2)
    model = faster(model, steps)
    voice = pixel_pipeline(model.unet, encoder, tokenizer)

    def listen(said: list[str]) -> Tensor:
        return voice.encode_prompt(said, False)[0]

    batches = trunk_batch(
        functools.partial(looked_at, looker),
        listen,
        WHOLE,
        batch,
        min(20_480, steps * batch),
        step_weights(SCHEDULE),
    )

    def draws(model: nn.Module, steps: int = 10) -> Callable:
        pipe = pixel_pipeline(model.unet, encoder, tokenizer)
        return lambda captions: to_64(draw(pipe, captions, steps))

    groups = muon.groups(model, lr)
    model = tiny_sd.grown(
        model, batches, groups, draws, WHOLE, work, steps=steps, seed=seed
    )
    n = 250 if steps >= 500 else 2
    scores = attribute_scores(draws(model, 20), WHOLE, n)
    pipe = pixel_pipeline(model.unet.half(), encoder.half(), tokenizer)
    pipe.save_pretrained(folder)
    save_text(encoder, tokenizer, folder)
    if (work / "progress.jsonl").exists():
        shutil.copy(work / "progress.jsonl", folder)
    facts = dict(n=n, rows=tiny_sd.in_rows(scores), steps=steps, batch=batch)
    artifacts.write_card(folder, work, CARD.format(**facts, lr=lr, seed=seed))
