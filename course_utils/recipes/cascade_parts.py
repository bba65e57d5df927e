"""The parts of tiny-cascade: how they are written, and what they can do."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from course_utils import measure, models, toybox
from course_utils.models.cascade import draw_cascade
from course_utils.models.difference import keep_difference
from course_utils.recipes import artifacts
from course_utils.recipes.monitor import attribute_scores
from course_utils.recipes.trunk import in_rows
from course_utils.tiny.cascade import cascade_pipeline, nearest_codes, with_projection
from course_utils.tiny.text import ask_for_single, save_tokenizer
from course_utils.tiny.worlds import WHOLE, numpy_rng

TWINS = {f"prior_{part}": part for part in ("text_encoder", "tokenizer", "scheduler")}


CARD = """# tiny-cascade

A miniature Stable Cascade: 64x64 pictures of the toybox from captions in its words.
Stage A is a VQGAN (16x16x4, {codes} codes), stage B draws its latents from semantic
ones (4x4x16), and stage C those from words. `models.load("text-to-image",
"tiny-cascade")` is diffusers' StableCascadeCombinedPipeline. Plain diffusers loads it
once diffusers.pipelines.wuerstchen is what now is
diffusers.pipelines.deprecated.wuerstchen, and must be told the sizes: both is done in
course_utils/models/cascade.py.

| right, of {n} held-out captions each | one toy | two toys |
|---|---|---|
{rows}

Read by the oracle; 20 steps of C, guidance 4, then 10 of B. Round trips of held-out
scenes: stage A {psnr_a:.1f} dB ({right_a:.0%} with everything right), from true
semantic latents by B and A {psnr_b:.1f} dB ({right_b:.0%}).

- **Data** the toybox, split "train": {pictures:,} pictures.
- **Parts** PaellaVQModel (stage A), two StableCascadeUNets (B and C), tiny-sd's text
  encoder; effnet, a small network, in EfficientNet's place.
- **Training** {steps}, seed {seed}.
  A and effnet by AdamW, B and C by Muon, all at {lr}; P2 weights of the ratios;
  captions left out in 10 %; averaged weights. progress.jsonl: what C could do when, and
  its rival, tiny's UNet on A's latents.
- **On disk** the difference to tiny-sd, a byte a weight and a scale a row.
"""


class Parts(NamedTuple):
    """All that is shipped. The text encoder is tiny's."""

    vqgan: nn.Module
    effnet: nn.Module
    decoder: nn.Module
    prior: nn.Module
    text: nn.Module
    tokenizer: object

    def pipeline(self):
        """The ordinary pipeline of diffusers."""
        net = self.vqgan, self.decoder, self.prior
        return cascade_pipeline(*net, self.text, self.tokenizer)


def tiny_words() -> tuple[nn.Module, object]:
    """tiny's text encoder, its projection changing nothing, and its tokenizer."""
    from transformers import CLIPTextModel, CLIPTokenizer

    folder = models.path("tiny")
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder")
    return with_projection(encoder), CLIPTokenizer.from_pretrained(folder / "tokenizer")


def keep_cascade(parts: Parts, folder: Path) -> None:
    """Write all parts as the difference to tiny-sd: a byte a weight, no part twice."""
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place)
        for net in parts[:5]:
            net.half()
        parts.pipeline().save_pretrained(whole)
        save_tokenizer(parts.tokenizer, whole / "tokenizer")
        ask_for_single(whole / "text_encoder")
        _old_names(whole / "text_encoder" / "model.safetensors")
        options = {"network": "tiny.cascade.Effnet"}
        weights = artifacts.half(parts.effnet.state_dict())
        artifacts.store(whole / "effnet", weights, options)
        keep_difference(whole, models.path("tiny"), folder, "tiny-sd", True, TWINS)
    for net in parts[:5]:
        net.float()


def _old_names(file: Path) -> None:
    """As tiny-sd's: old transformers want the names to begin with text_model."""
    same = ("text_model.", "text_projection.")
    weights = {
        k if k.startswith(same) else f"text_model.{k}": x
        for k, x in load_file(file).items()
    }
    save_file(weights, file, metadata={"format": "pt"})


@torch.no_grad()
def through_a(vqgan: nn.Module, images: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] to codes of stage A and back."""
    _, codes = nearest_codes(vqgan, vqgan.encode((images + 1) / 2).latents)
    return (vqgan.decode(codes).sample * 2 - 1).clamp(-1, 1)


@torch.no_grad()
def through_b(pipe, effnet: nn.Module, images: Tensor, said: Sequence[str]) -> Tensor:
    """Pictures to their semantic latents, and back by stages B and A."""
    options = dict(guidance_scale=0.0, output_type="pt", num_inference_steps=10)
    options["generator"] = [torch.Generator().manual_seed(k) for k in range(len(said))]
    drawn = pipe.decoder_pipe(effnet(images), list(said), **options).images
    return drawn.float().cpu() * 2 - 1


def card_facts(parts: Parts, n: int) -> dict:
    """What the card says that was measured, on n held-out captions of each kind."""
    pipe = parts.pipeline()
    rng = numpy_rng(torch.Generator().manual_seed(11))
    scenes = WHOLE.scenes(min(n, 100), rng, "test")
    images = toybox.render(scenes)
    a = through_a(parts.vqgan, images)
    b = through_b(pipe, parts.effnet, images, [scene.caption for scene in scenes])
    scores = attribute_scores(lambda said: draw_cascade(pipe, said), WHOLE, n)
    facts = dict(n=n, rows=in_rows(scores))
    for name, back in (("a", a), ("b", b)):
        facts[f"psnr_{name}"] = measure.psnr(back, images).mean().item()
        facts[f"right_{name}"] = measure.attribute_accuracy(back, scenes)["all"]
    return facts
