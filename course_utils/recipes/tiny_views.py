"""tiny-views: the miniature Stable Diffusion learns toys in the round and view words.

What DreamFusion (lesson 22) asks from all sides. First the VAE learns to draw shaded
toys, then the UNet and the text encoder learn on. The words of views are no words of
the tokenizer: they fall into pieces, as rare words do in CLIP's.
"""

import functools
import itertools
import tempfile
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import measure, models, training
from course_utils.images import save_sheet
from course_utils.models import difference
from course_utils.models.pipelines import draw, encode, round_trip
from course_utils.oracle.views import read_views
from course_utils.recipes.monitor import observed
from course_utils.recipes.recipe import Recipe
from course_utils.recipes.vae import Autoencoder, vae_loss
from course_utils.recipes.view_reader import any_toys
from course_utils.tiny.pipelines import pipeline, save
from course_utils.tiny.text import tokenise
from course_utils.tiny.views import ViewTrunk, noised_loss, toy_pictures, view_batch
from course_utils.tiny.worlds import numpy_rng
from course_utils.toybox import solid

# steps and batches of the VAE, then of the UNet; the first are for a GPU
WHOLE, SMALL = ((900, 128), (2300, 256)), ((1200, 8), (5000, 32))
VAE_RATE, RATE, TEXT_RATE = 1e-3, 6e-4, 6e-4
PICTURES, ALBUM = 24_576, 512  # at most drawn at once, for the UNet and for the VAE
HELD = 64  # pictures that the VAE's round trip is measured on

CARD = """# tiny-views

A miniature Stable Diffusion of toys in the round: 64x64 pictures from captions such as
"front view of a red car", "a blue duck, back view" or "a pink robot".
`models.path("tiny-views")` puts the ordinary folder together, and plain diffusers loads
it: `StableDiffusionPipeline.from_pretrained(folder)(prompt, guidance_scale=3)`.

| right, of {n} captions with a view word | drawn | true renders |
|---|---|---|
| toy | {toy} | {true_toy} |
| colour | {colour} | {true_colour} |
| view: front, side, back, overhead | {view} | {true_view} |
| all three | {all} | {true_all} |

Without a view word {front} are front views (of 100 pictures it learnt from so, 70
were): a model that is not told draws faces. Read by view-reader; DPM-Solver++, 10
steps, guidance 3. Round trip through the VAE: {psnr:.1f} dB, tiny's {psnr_before:.1f}.

- **Data** toybox.solid, every colour of every toy; half of the captions have a view
  word and the views come evenly, the others have none and come mostly from the front.
- **Parts** those of tiny-sd. The VAE learns on alone, then the UNet (but for its ResNet
  blocks on the way down and in the middle) and the text encoder.
- **Training** the VAE {steps} steps of {batch_size} pictures, AdamW at {lr}; the UNet
  {later}
  seed {seed}; captions left out in 10 %; averaged weights. This is for a GPU;
  `--small` sees a quarter as many, on two cores in hours.
- **On disk** the difference to tiny-sd, a byte a weight and a scale a row, safetensors.
"""


def tiny_views(
    *, steps: int | None = None, seed: int = 0, small: bool = False
) -> Recipe:
    """Start from the shipped miniature; what is small is learnt on two cores."""
    (first, few), (more, many) = SMALL if small else WHOLE
    tiny, pipe = models.path("tiny"), models.load("text-to-image", models.path("tiny"))

    def write(model: ViewTrunk, folder: Path) -> dict:
        whole = as_view_pipeline(pipe, model)
        scores = drawn_view_scores(whole, 1 if (steps or more) >= 500 else 0)
        scores |= vae_scores(whole.vae, pipe.vae)
        with tempfile.TemporaryDirectory() as place:
            save(whole, Path(place))
            difference.keep_difference(Path(place), tiny, folder)
        later = f"{steps or more} steps of {many} pictures, AdamW at {RATE},"
        return scores | dict(later=later)

    def on(model: Autoencoder) -> Recipe:
        return unet_recipe(pipe, model.vae, steps or more, many, seed, small)

    return Recipe(
        model=lambda: (
            Autoencoder(deepcopy(pipe.vae)).float().train().requires_grad_(True)
        ),
        batch=functools.partial(pictures_and_noise, few, seed),
        loss=vae_loss,
        save=write,
        card=CARD,
        steps=steps or first,
        batch_size=few,
        lr=VAE_RATE,
        seed=seed,
        choices=dict(small=small),
        share=1,
        then=on,
    )


def unet_recipe(
    pipe, vae: nn.Module, steps: int, n: int, seed: int, small: bool = False
) -> Recipe:
    """The second training: the UNet and the text encoder, in the latents of `vae`."""

    def build() -> nn.Module:
        vae.eval()
        return ViewTrunk(pipe.unet, pipe.text_encoder, vae).float().train()

    def watch(states, work: Path):
        return observed(states, functools.partial(_look, pipe), work, 20)

    see = functools.partial(encode, vae)
    hear = functools.partial(tokenise, pipe.tokenizer)
    return Recipe(
        model=build,
        batch=view_batch(see, hear, n, min(PICTURES, steps * n), seed),
        loss=noised_loss,
        save=lambda *_: {},
        card="",
        steps=steps,
        batch_size=n,
        lr=RATE,
        seed=seed,
        decay=0.6,
        optimizer=view_optimizer,
        choices=dict(small=small),
        watch=watch,
        share=1,
    )


def view_optimizer(model: ViewTrunk, **options: object) -> torch.optim.Optimizer:
    """AdamW for what learns; options as the optimizer's."""
    groups = [
        {"params": [p for p in net.parameters() if p.requires_grad], "lr": rate}
        for net, rate in ((model.unet, RATE), (model.text, TEXT_RATE))
    ]
    return torch.optim.AdamW(groups, weight_decay=0.0, **options)


@functools.lru_cache(maxsize=1)
def _album(number: int, n: int) -> Tensor:
    rng = numpy_rng(torch.Generator().manual_seed(number))
    return toy_pictures(*any_toys(n, rng), rng)


def pictures_and_noise(
    n: int, seed: int, generator: torch.Generator, step: int
) -> tuple[Tensor, Tensor]:
    """Renders (n, 3, 64, 64) and noise (n, 4, 16, 16); 128 steps share an album."""
    images = _album(training.chapter(seed, step, 128), ALBUM)
    rows = torch.randint(len(images), (n,), generator=generator)
    return images[rows], torch.randn(n, 4, 16, 16, generator=generator)


def as_view_pipeline(pipe, model: ViewTrunk):
    """The ordinary pipeline of what was trained."""
    return pipeline(model, model.vae, pipe.tokenizer)


def view_prompts(each: int) -> tuple[list[solid.Solid], list[str]]:
    """Every toy in every colour from every view, `each` times; with 0, four of them."""
    pairs = itertools.product(solid.SOLIDS, solid.COLOURS, solid.VIEWS)
    rows = list(pairs) * each if each else list(pairs)[::61]
    return [solid.Solid(t, c) for t, c, _ in rows], [view for *_, view in rows]


def drawn_view_scores(pipe, each: int, steps: int = 10) -> dict:
    """The rows of the card, as it words them."""
    toys, words = view_prompts(each)
    told = [solid.view_caption(t, w) for t, w in zip(toys, words, strict=True)]
    rows = view_rows(draw(pipe, told, steps, seed=500), toys, words)
    rng = numpy_rng(torch.Generator().manual_seed(62))
    some, views = any_toys(len(toys), rng)
    true = view_rows(
        toy_pictures(some, views, rng), some, [view.word for view in views]
    )
    found = rows | {f"true_{name}": x for name, x in true.items()}
    untold = [toy.caption for toy in toys[::2]]
    said = read_views(draw(pipe, untold, steps, seed=900))["view"]
    found["front"] = said.count("front") / len(said)
    return {name: f"{x:.1%}" for name, x in found.items()} | dict(n=len(toys))


def view_rows(
    images: Tensor, toys: list, words: list[str], net: nn.Module | None = None
) -> dict[str, float]:
    """How many of the pictures are read, by net, as what they should show."""
    said, n = read_views(images, net), len(toys)
    pairs = {
        "toy": [a == b.toy for a, b in zip(said["toy"], toys, strict=True)],
        "colour": [a == b.colour for a, b in zip(said["colour"], toys, strict=True)],
        "view": [a == b for a, b in zip(said["view"], words, strict=True)],
    }
    scores = {name: sum(right) / n for name, right in pairs.items()}
    return scores | {"all": sum(map(all, zip(*pairs.values(), strict=True))) / n}


def vae_scores(vae: nn.Module, before: nn.Module) -> dict[str, float]:
    """The round trips' PSNR in dB, of the VAE and of the one that it was."""
    rng = numpy_rng(torch.Generator().manual_seed(63))
    images = toy_pictures(*any_toys(HELD, rng), rng)
    pairs = (("psnr", vae), ("psnr_before", before))
    return {
        name: measure.psnr(round_trip(net, images), images).mean().item()
        for name, net in pairs
    }


def _look(pipe, average: nn.Module, sheet: Path) -> tuple[dict, list[str]]:
    """Four views of each toy on a sheet, and how they are read."""
    pairs = zip(solid.SOLIDS, solid.COLOURS, strict=False)  # a colour is left over
    toys = [solid.Solid(*pair) for pair in pairs]
    rows = [(toy, word) for toy in toys for word in solid.VIEWS]
    asked = [solid.view_caption(*row) for row in rows]
    images = draw(as_view_pipeline(pipe, average), asked, 10)
    save_sheet(sheet, images)
    found = view_rows(images, *map(list, zip(*rows, strict=True)))
    return {name: round(x, 4) for name, x in found.items()}, asked
