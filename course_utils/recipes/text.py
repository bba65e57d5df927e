"""The text encoder learns to say from one token what its caption says."""

from pathlib import Path

import torch
from torch import Tensor

from course_utils import oracle, training
from course_utils.recipes import artifacts
from course_utils.recipes.oracle import reading_loss
from course_utils.tiny import text
from course_utils.tiny.worlds import SMALL, WHOLE, World, captions, numpy_rng


def text_encoder(
    folder: Path,
    work: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    small: bool = False,
    batch: int = 64,
) -> None:
    """Train tokenizer and text encoder; `folder` gets both, as a pipeline has them."""
    world, enough = (SMALL, 1600) if small else (WHOLE, 2000)
    torch.manual_seed(seed)
    tokenizer = text.build_tokenizer()
    run = training.train(
        text.Listener(text.build_text_encoder(tokenizer)),
        lambda generator: _captions_and_answers(world, batch, tokenizer, generator),
        reading_loss,
        steps=steps or enough,
        lr=1e-3,
        seed=seed,
        save_to=work / "state.safetensors",
    )
    text.save_text(artifacts.follow(run, work).cpu().encoder, tokenizer, folder)


def _captions_and_answers(
    world: World, n: int, tokenizer, generator: torch.Generator
) -> tuple[Tensor, ...]:
    rng = numpy_rng(generator)
    scenes = world.scenes(n, rng)
    tokens = text.tokenise(tokenizer, captions(scenes, rng))
    ends = (tokens == tokenizer.eos_token_id).int().argmax(1)  # (n,), of the captions
    tokens = tokens[:, : ends.max() + 1]  # it looks back only: what follows is wasted
    return tokens, *oracle.targets(scenes).values()
