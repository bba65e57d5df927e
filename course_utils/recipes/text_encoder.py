"""The text encoder learns to say from one token what its caption says."""

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import oracle
from course_utils.recipes.oracle import reading_loss
from course_utils.recipes.recipe import Recipe
from course_utils.tiny import text
from course_utils.tiny.worlds import SMALL, WHOLE, World, captions, numpy_rng
from course_utils.training import muon

SHORT = 32  # tokens; two plain toys with all that can be said of them need 29

CARD = """# text-encoder

The tokenizer of the toybox's words, and a CLIPTextModel (3 layers, 128 wide) that can
say from its one pooled token all that a caption says. The miniature Stable Diffusion
begins with it; the whole one goes on teaching it.

- **Data** captions of the toybox, split "train", drawn as they are used.
- **Training** {steps} steps of {batch_size} captions, {optimizer}, rate {lr},
  seed {seed}, averaged weights.
"""


def text_encoder(
    *, steps: int | None = None, seed: int = 0, small: bool = False
) -> Recipe:
    """Tokenizer and text encoder, in two folders, as a pipeline has them."""
    world, enough = (SMALL, 800) if small else (WHOLE, 2000)
    tokenizer, rate = text.build_tokenizer(), 2e-3 if small else 1e-3
    if small:  # its captions are short, and what follows an end costs time
        tokenizer.model_max_length = SHORT

    def save(model: nn.Module, folder: Path) -> dict:
        text.save_text(model.encoder, tokenizer, folder)
        return dict(optimizer="Muon" if small else "AdamW")

    return Recipe(
        model=lambda: text.Listener(text.build_text_encoder(tokenizer)),
        batch=functools.partial(captions_and_answers, world, 64, tokenizer),
        loss=reading_loss,
        save=save,
        card=CARD,
        steps=steps or enough,
        batch_size=64,
        lr=rate,
        ema=0.995 if small else 0.999,
        optimizer=functools.partial(muon.optimizer, lr=rate) if small else None,
        seed=seed,
        choices={"small": small},
    )


def captions_and_answers(
    world: World, n: int, tokenizer, generator: torch.Generator, step: int
) -> tuple[Tensor, ...]:
    """Tokens (n, length) of captions, and the right answers, in order of QUESTIONS."""
    rng = numpy_rng(generator)
    scenes = world.scenes(n, rng)
    tokens = tokens_to_the_end(tokenizer, captions(scenes, rng))
    return tokens, *oracle.targets(scenes).values()


def tokens_to_the_end(tokenizer, said: list[str]) -> Tensor:
    """Token ids (B, length), cut after the end of the longest of these captions.

    The encoder looks back only, so that what follows an end is wasted.
    """
    tokens = text.tokenise(tokenizer, said)
    ends = (tokens == tokenizer.eos_token_id).int().argmax(1)  # (B,)
    return tokens[:, : ends.max() + 1]
