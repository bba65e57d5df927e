"""Ways of changing pictures, each with the settings that the editing bench gives it.

An editor is a function (pipe, edits, seed) -> Edited, for a chunk of Triples, all in
one batch: edit k starts from the noise of seed + k, whatever the others are. To add one
is to write it here and to name it in METHODS.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import toybox
from course_utils.images import check_floats
from course_utils.measure.edits import Triple, changed
from course_utils.methods import diffedit, instruct_pix2pix, null_text
from course_utils.methods.imagic import imagic
from course_utils.methods.sdedit import sdedit
from course_utils.models.pipelines import (
    decode,
    draw,
    encode,
    guided,
    plan_of,
    round_trip,
)

GUIDANCE = 3.0  # right for tiny; Stable Diffusion wants about 7.5
STEPS = 20
# Chosen on other edits, triples(56, seed=1), at 14 calls each, of strengths 0.5 to 0.9
# and eta 0 or 1: the most success (0.95) of those that preserve more than new_prompt.
SDEDIT = dict(strength=0.65, eta=1.0)
# Chosen by the same rule on triples(42, seed=1), of 0.85 to 1.1: 0.90 success, as much
# as new_prompt has there. On these edits it was also chosen where the walk begins.
ETA = 1.0
# The paper's usual shares of the steps. That a toy which moves needs 0 was seen in
# lesson 17, on 21 edits, of which seven are among the bench's.
SHARES = dict(cross=0.8, self_=0.4)


class Edited(NamedTuple):
    """Pictures (B, 3, 64, 64) in [-1, 1], and where the method thought to change them.

    The masks, (B, 1, h, w) bool, may be pixels or latents; most methods have none.
    """

    images: Tensor
    masks: Tensor | None = None


Editor = Callable[[object, Sequence[Triple], int], Edited]


def before(edits: Sequence[Triple]) -> Tensor:
    """The pictures that are given."""
    return toybox.render([triple.scene for triple in edits])


def said(edits: Sequence[Triple]) -> list[str]:
    """Their captions."""
    return [triple.captions[0] for triple in edits]


def wanted(edits: Sequence[Triple]) -> list[str]:
    """The captions of what should come out."""
    return [triple.captions[1] for triple in edits]


def noise_like(latents: Tensor, seed: int, *several: int) -> Tensor:
    """Noise like the latents (B, C, h, w), or (*several, B, C, h, w).

    What belongs to row k is drawn from seed + k.
    """
    check_floats(latents, "latents")
    size = *several, *latents.shape[1:]
    rows = range(seed, seed + len(latents))
    some = [torch.randn(size, generator=torch.Generator().manual_seed(k)) for k in rows]
    return torch.stack(some, len(several)).to(latents)


def at_grain(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Masks (B, 1, H, W) as (B, 1, *size): a cell is in if any of its pixels is."""
    return F.adaptive_max_pool2d(masks.float(), tuple(size)) > 0.5


def _untouched(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """Leave the picture alone: the floor of success."""
    return Edited(before(edits))


def _new_prompt(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """Draw the target's caption from the seed's noise; nobody looks at the picture.

    The floor of preservation, "same seed, new prompt": of a picture that is given, and
    was never drawn, the seed is unknown, so what it keeps is what the words say.
    """
    return Edited(draw(pipe, wanted(edits), STEPS, GUIDANCE, seed))


def _sdedit(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """SDEdit with the target's caption, by the paper's stochastic walk.

    The settings: see SDEDIT.
    """
    return Edited(_walked(pipe, edits, wanted(edits), seed, **SDEDIT))


def _diffedit(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """DiffEdit: the mask from both captions, 10 maps; DDIM up without guidance."""
    latents = encode(pipe.vae, before(edits))
    plan, predicts = plan_of(pipe)
    old, new = guided(pipe, said(edits)), guided(pipe, wanted(edits))
    noise = noise_like(latents, seed, 10)
    mask = diffedit.contrast_mask(
        diffedit.prompt_contrast(new, old, latents, plan, noise=noise)
    )
    walk = dict(mask=mask, num_steps=STEPS, predicts=predicts)
    strong = guided(pipe, wanted(edits), GUIDANCE)
    found = diffedit.diffedit(strong, old, latents, plan, **walk)
    return Edited(decode(pipe.vae, found).cpu(), mask > 0.5)


def _imagic(pipe, edits: Sequence[Triple], seed: int, eta: float = ETA) -> Edited:
    """Imagic: its own words and its own network for each picture. For eta see ETA."""
    latents = encode(pipe.vae, before(edits))
    found = []
    for k, caption in enumerate(wanted(edits)):
        generator = torch.Generator().manual_seed(seed + k)
        x0 = latents[k : k + 1]
        found.append(imagic(pipe, x0, caption, (eta,), generator=generator))
    return Edited(decode(pipe.vae, torch.cat(found)).cpu())


def _prompt_to_prompt(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """Prompt-to-Prompt, after null-text inversion: there is no noise to draw.

    Attention holds the layout, so none is shared where the layout is to change; see
    SHARES.
    """
    moves = torch.tensor([triple.edit.attribute == "place" for triple in edits])
    shares = {name: torch.where(moves, 0.0, share) for name, share in SHARES.items()}
    pair = said(edits), wanted(edits)
    return Edited(null_text.edit(pipe, before(edits), *pair, **shares))


def _instruct_pix2pix(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """InstructPix2Pix, which is told the instruction and no caption."""
    images, told = before(edits), [triple.instruction for triple in edits]
    noise = noise_like(encode(pipe.vae, images), seed)
    return Edited(instruct_pix2pix.carry_out(pipe, images, told, noise=noise))


def _inpaint_exact_mask(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """Told all: pure noise inside the true mask, and the target's whole caption.

    The ceiling of what a mask can do. With the short caption that the others get the
    toy often begins outside of the mask, where each step wipes it out.
    """
    masks, captions = changed(edits), [triple.target.caption for triple in edits]
    walked = _walked(pipe, edits, captions, seed, strength=1.0, masks=masks)
    return Edited(walked, masks)


def _walked(
    pipe, edits: Sequence[Triple], captions: list[str], seed: int, *, strength: float,
    masks: Tensor | None = None, eta: float = 0.0,
) -> Tensor:  # fmt: skip
    """The pictures that SDEdit makes, with masks (B, 1, 64, 64) or without."""
    latents = encode(pipe.vae, before(edits))
    if masks is not None:
        masks = at_grain(masks, latents.shape[2:]).to(latents)
    plan, predicts = plan_of(pipe)
    found = sdedit(
        guided(pipe, captions, GUIDANCE),
        latents,
        plan,
        strength=strength,
        num_steps=STEPS,
        noise=noise_like(latents, seed),
        mask=masks,
        eta=eta,
        generator=torch.Generator().manual_seed(10**6 + seed),  # none of noise_like's
        predicts=predicts,
    )
    return decode(pipe.vae, found).cpu()


def _vae_round_trip(pipe, edits: Sequence[Triple], seed: int) -> Edited:
    """The true result through the VAE: the ceiling of all that works on its latents."""
    return Edited(
        round_trip(pipe.vae, toybox.render([triple.target for triple in edits]))
    )


# A method that needs other weights than the model's: its task and name.
WEIGHTS = {"instruct_pix2pix": ("instruct", "tiny-instruct")}
METHODS: dict[str, Editor] = {
    "untouched": _untouched,
    "new_prompt": _new_prompt,
    "sdedit": _sdedit,
    "diffedit": _diffedit,
    "imagic": _imagic,
    "prompt_to_prompt": _prompt_to_prompt,
    "instruct_pix2pix": _instruct_pix2pix,
    "inpaint_exact_mask": _inpaint_exact_mask,
    "vae_round_trip": _vae_round_trip,
}
