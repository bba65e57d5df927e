"""What an InstructPix2Pix of the toybox learns from: a picture, words, and the result.

Brooks et al. 2023. The pairs are given: true renders, or what a text-to-image model
drew of two captions (recipes/instruct_pairs.py).
"""

import functools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, toybox, training
from course_utils.images import check_callable, check_whole
from course_utils.tiny.batches import CHAPTER, in_latents
from course_utils.tiny.unet import MEAN_WEIGHT, SCHEDULE, draw_steps, step_weights
from course_utils.tiny.worlds import WHOLE, numpy_rng
from course_utils.toybox import Edit, Scene
from course_utils.training.speed import half_is_faster

DROPPED = 0.05  # of the words alone, of the picture alone, and of both: as the paper


class Instructed(nn.Module):
    """What is trained: a UNet with eight inputs, and the text encoder."""

    def __init__(self, unet: nn.Module, encoder: nn.Module):
        super().__init__()
        self.unet, self.text = unet, encoder

    def forward(self, x_t: Tensor, t: Tensor, image: Tensor, tokens: Tensor) -> Tensor:
        """Predict v (B, 4, h, w), shown the latents of the picture to change."""
        words = self.text(tokens).last_hidden_state
        return self.unet(torch.cat([x_t, image], 1), t, words).sample


def instruct_loss(
    model: nn.Module, x0: Tensor, noise: Tensor, t: Tensor, image: Tensor, words: Tensor
) -> Tensor:
    """The error of v; the steps t come from draw_steps, so that the weight is in it."""
    x_t = diffusion.add_noise(x0, noise, t, SCHEDULE)
    with torch.autocast(x0.device.type, torch.bfloat16, half_is_faster(x0.device)):
        v = model(x_t, t, image, words)
    error = F.mse_loss(v.float(), diffusion.velocity(x0, noise, t, SCHEDULE))
    return MEAN_WEIGHT * error


def dropped(
    image: Tensor, said: list[str], generator: torch.Generator
) -> tuple[Tensor, list[str]]:
    """Leave out words, picture or both, each of the three in DROPPED of the rows.

    What is left out is "" and a latent of zeros: guidance asks about them.
    """
    draw = torch.rand(len(said), generator=generator)
    deaf = draw < 2 * DROPPED
    blind = (draw >= DROPPED) & (draw < 3 * DROPPED)
    heard = ["" if none else text for text, none in zip(said, deaf, strict=True)]
    return image * ~blind.view(-1, 1, 1, 1), heard


Album = tuple[list[str] | list[Edit], Tensor, Tensor]  # what is asked, before, after


def instruct_batch(
    album: Callable[[int], Album],
    listen: Callable[[list[str]], Tensor],
    n: int,
    seed: int = 0,
) -> training.Batch:
    """The function that draws x0, noise, t, the picture's latents and the words.

    album   of a chapter's number: instructions, or edits that are put into new words
            each time, and latents (N, 4, h, w) before and after
    listen  texts -> tokens
    """
    weights, album = step_weights(SCHEDULE), functools.lru_cache(maxsize=1)(album)

    def batch(generator: torch.Generator, step: int) -> tuple[Tensor, ...]:
        asked, before, after = album(training.chapter(seed, step, CHAPTER))
        rows = torch.randint(len(asked), (n,), generator=generator)
        rng = numpy_rng(generator)
        some = [asked[i] for i in rows]
        said = [x if isinstance(x, str) else toybox.instruct(x, rng) for x in some]
        image, heard = dropped(before[rows].float(), said, generator)
        t = draw_steps(n, weights, generator)
        noise = torch.randn(n, *after.shape[1:], generator=generator)
        return after[rows].float(), noise, t, image, listen(heard)

    return batch


KINDS = ("toy", "colour", "size", "pattern", "mood", "place", "ground", "add", "remove")


def some_edit(rng: np.random.Generator) -> tuple[Scene, Edit, Scene]:
    """A scene of the split "train", a random edit of any of KINDS, and its result.

    A result of the split "test" is not used: no scene of that split is ever seen.
    """
    while True:
        scene = WHOLE.scenes(1, rng)[0]
        not_here = {1: {"remove"}, 2: set(), 3: {"add"}}[len(scene.things)]
        not_here = not_here | (set() if "mood" in scene.attributes else {"mood"})
        kind = str(rng.choice([kind for kind in KINDS if kind not in not_here]))
        try:
            edit = toybox.random_edit(scene, rng, kind)
        except ValueError:  # no room for what is moved or added, say
            continue
        after = toybox.apply(scene, edit)
        if after.split == "train":
            return scene, edit, after


def rendered_pairs(encode: Callable, n: int, number: int) -> Album:
    """n random edits, and both pictures of each as `encode` has them."""
    check_callable(encode, "encode")
    check_whole(n, "n")
    check_whole(number, "number", 0)
    rng, asked, both = np.random.default_rng([number, 23]), [], ([], [])
    while len(asked) < n:
        scene, edit, after = some_edit(rng)
        asked.append(edit)
        both[0].append(scene)
        both[1].append(after)
    before, after = (in_latents(encode, scenes) for scenes in both)
    return asked, before, after
