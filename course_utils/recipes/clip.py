"""A tiny CLIP (Radford et al. 2021): pictures and captions in one space."""

import functools
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import toybox, training
from course_utils.measure.clip import TinyClip, clip_retrieval, clip_score
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.text_encoder import tokens_to_the_end
from course_utils.tiny import text
from course_utils.tiny.worlds import WHOLE, album, degraded, numpy_rng
from course_utils.training import write_whole

WARMEST = 4.6052  # log 100: Radford et al. never scale cosines by more than 100

CARD = """# clip

A tiny CLIP: 64x64 pictures of the toybox and captions in its words, as unit vectors of
one space. Plain transformers loads it: `CLIPModel.from_pretrained(folder)`, with
`CLIPProcessor.from_pretrained(folder)`. The course computes the CLIP scores of the
literature with it; no generator is trained with it.

| on held-out scenes | |
|---|---|
| own caption found among {choices} | {caption:.1%} (chance {chance:.1%}) |
| own picture found among {choices} | {image:.1%} |
| CLIP score of true pairs | {own:.1f} |
| CLIP score of others | {other:.1f} |

The choices are captions that say everything; the mean of {rounds} rounds. Of pictures
of one toy, so many are nearer to their own caption than to the same with one wrong
word (chance 50 %): {apart}.

- **Data** the toybox, split "train", drawn as it is used; pictures slightly
  degraded (blurred, noisy, brighter or darker), half of the captions with attributes
  left out. The scores are of the split "test".
- **Parts** vision: 64x64 pixels, patches of 8, {layers} layers, 128 wide; text: 3
  layers, 128 wide, CLIPTokenizer with the toybox's words. {parameters:,} parameters.
- **Training** {steps} steps of {batch_size} pairs, of which half share a ground, AdamW,
  rate {lr}, seed {seed}, averaged weights.
- **On disk** safetensors in half precision; the scores above are those of this file.
"""


def build_clip(tokenizer, layers: int = 3) -> nn.Module:
    """A transformers CLIPModel with fresh weights; tiny/text.py has its text tower."""
    from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig

    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=layers,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
        projection_dim=128,
    )
    words = text.build_text_encoder(tokenizer).config
    words.projection_dim = 128
    both = dict(text_config=words.to_dict(), vision_config=vision.to_dict())
    return CLIPModel(CLIPConfig(**both, projection_dim=128))


def clip(*, steps: int | None = None, seed: int = 0) -> Recipe:
    """The tiny CLIP; its folder is an ordinary CLIPModel's."""
    steps, seed = steps or 1000, seed + 3000
    tokenizer = text.build_tokenizer()

    def save(model: nn.Module, folder: Path) -> dict:
        save_clip(model, tokenizer, folder)
        net = TinyClip(model, tokenizer)
        facts = held_out_scores(net, 16 if steps >= 500 else 1)
        apart = told_apart(net, 500 if steps >= 500 else 20)
        facts |= dict(apart=", ".join(f"{k} {x:.1%}" for k, x in apart.items()))
        facts |= dict(layers=model.config.vision_config.num_hidden_layers)
        return facts | dict(parameters=sum(p.numel() for p in model.parameters()))

    return Recipe(
        model=lambda: build_clip(tokenizer),
        batch=functools.partial(pairs_and_ties, 64, tokenizer, seed),
        loss=contrastive_loss,
        save=save,
        card=CARD,
        steps=steps,
        batch_size=64,
        ema=0.998,
        seed=seed,
    )


def pairs_and_ties(
    n: int, tokenizer, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, ...]:
    """Pictures (n, 3, 64, 64), tokens (n, length), ties (n, n), own (n,).

    ties[i, j] where caption j is true of picture i, though drawn for another: "a cat"
    is true of every cat. Half of the captions leave something out, so there are many;
    to push such a pair apart would teach that a true caption is false. `own` is the
    number of each row, by which a share of the batch finds its own columns.
    """
    scenes, images = album(WHOLE, training.chapter(seed, step, 32))
    rows = torch.randint(len(scenes), (n,), generator=generator)
    rng = numpy_rng(generator)
    rows[: n // 2] = _on_one_ground(scenes, n // 2, rng)
    here = [scenes[i] for i in rows]
    said = [
        s.attributes if rng.random() < 0.5 else toybox.leave_out(s.attributes, rng)
        for s in here
    ]
    wording = [toybox.say(x, None if rng.random() < 0.5 else rng) for x in said]
    tokens = tokens_to_the_end(tokenizer, wording)
    return degraded(images[rows], generator), tokens, ties(here, said), torch.arange(n)


def _on_one_ground(scenes: list[toybox.Scene], n: int, rng) -> Tensor:
    """Rows of n scenes that share a ground.

    The ground alone tells most others apart, and toys would be learnt very late.
    """
    ground = scenes[int(rng.random() * len(scenes))].ground
    rows = [i for i, scene in enumerate(scenes) if scene.ground == ground]
    return torch.from_numpy(rng.choice(rows, n, replace=len(rows) < n))


def ties(scenes: list[toybox.Scene], said: list[dict]) -> Tensor:
    """(n, n) bool: is what is said j true of scene i? False on the diagonal."""
    found = torch.zeros(len(scenes), len(said), dtype=torch.bool)
    kinds = [sorted(scene.attributes["toy"]) for scene in scenes]
    for i, scene in enumerate(scenes):
        for j, words in enumerate(said):
            if i != j and kinds[i] == kinds[j]:  # a caption always names its toys
                verdict = toybox.graded(words, scene.attributes)
                found[i, j] = all(good for _, good in verdict)
    return found


def contrastive_loss(
    model: nn.Module, images: Tensor, tokens: Tensor, ties: Tensor, own: Tensor
) -> Tensor:
    """Which caption belongs to a picture, and which picture to a caption?

    Cross-entropy of the scaled cosines over the rows and over the columns of the batch,
    their mean (Radford et al. 2021, figure 3). Ties are no choice: left out.
    """
    out = model(input_ids=tokens, pixel_values=images)
    alone = getattr(model, "module", model)  # Accelerate wraps it to share the work
    scale = alone.logit_scale.clamp(max=WARMEST).exp()
    cosine = out.image_embeds @ out.text_embeds.T  # (n, n) of unit vectors
    logits = (scale * cosine).masked_fill(ties[:, own], -torch.inf)
    right = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def held_out_scores(net: TinyClip, rounds: int, choices: int = 64) -> dict[str, float]:
    """What the model card says: means over rounds of `choices` held-out scenes."""
    rng, rows = numpy_rng(torch.Generator().manual_seed(99)), []
    for _ in range(rounds):
        scenes = WHOLE.scenes(choices, rng, "test")
        images, said = toybox.render(scenes), [scene.caption for scene in scenes]
        others = said[1:] + said[:1]
        scores = {"own": clip_score(images, said, net).mean().item()}
        scores |= {"other": clip_score(images, others, net).mean().item()}
        rows.append(scores | clip_retrieval(images, said, net))
    means = {key: sum(row[key] for row in rows) / rounds for key in rows[0]}
    return means | dict(rounds=rounds, choices=choices, chance=1 / choices)


def told_apart(net: TinyClip, n: int) -> dict[str, float]:
    """Share of n pictures nearer to their caption than to one with one wrong word.

    Attribute -> share, chance 0.5: it says which attributes the scores can see.
    """
    rng = numpy_rng(torch.Generator().manual_seed(98))
    scenes = WHOLE.scenes(n, rng, "test", things=1)
    seen = torch.cat([net.see(toybox.render([scene])) for scene in scenes])
    said = [scene.attributes | {"mood": [None]} for scene in scenes]

    def nearness(words: list[dict]) -> Tensor:
        return (seen * net.hear([toybox.say(x) for x in words])).sum(1)

    def wrong(name: str, value: object) -> object:
        if isinstance(value, list):
            return [wrong(name, value[0])]
        others = [x for x in toybox.ATTRIBUTES[name] if x != value]
        return others[int(rng.random() * len(others))]

    own, found = nearness(said), {}
    for name in ("toy", "colour", "size", "pattern", "place", "ground"):
        foils = [x | {name: wrong(name, x[name])} for x in said]
        found[name] = (own > nearness(foils)).float().mean().item()
    return found


def save_clip(model: nn.Module, tokenizer, folder: Path) -> None:
    """Write model, tokenizer and how pictures are prepared, as CLIPProcessor wants."""
    model.half().save_pretrained(folder)
    model.float()  # what follows scores the rounded weights, in single precision
    text.ask_for_single(folder)
    text.save_tokenizer(tokenizer, folder)
    half = [0.5] * 3  # 0..255 becomes [-1, 1]
    prepare = dict(image_processor_type="CLIPImageProcessor", do_convert_rgb=True)
    prepare |= dict(do_resize=True, size={"shortest_edge": 64}, resample=3)
    prepare |= dict(do_center_crop=True, crop_size={"height": 64, "width": 64})
    prepare |= dict(do_rescale=True, rescale_factor=1 / 255)
    prepare |= dict(do_normalize=True, image_mean=half, image_std=half)
    file = folder / "preprocessor_config.json"
    write_whole(file, json.dumps(prepare, indent=2) + "\n")
