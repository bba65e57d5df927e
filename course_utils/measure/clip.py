"""CLIP's scores: how close are pictures and captions in a space that both share?

The literature scores with CLIP because nothing better knows its pictures. Here the
oracle does: these scores are for comparing with papers, and for seeing what they miss.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import models
from course_utils.images import check_images, check_tensor, in_parts


class TinyClip(NamedTuple):
    """A transformers CLIPModel of 64x64 pictures, and its CLIPTokenizer."""

    model: Any
    tokenizer: Any

    @torch.no_grad()
    def see(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, 64, 64) in [-1, 1] to unit vectors (B, D)."""
        check_images(images, 3, self.model.config.vision_config.image_size)
        like = self.model.visual_projection.weight

        def look(part: Tensor) -> Tensor:
            pooled = self.model.vision_model(pixel_values=part.to(like)).pooler_output
            return self.model.visual_projection(pooled)

        found = in_parts(look, images.detach())
        return F.normalize(found, dim=1).float().cpu()

    @torch.no_grad()
    def hear(self, captions: Sequence[str]) -> Tensor:
        """Captions, or one of them, to unit vectors (B, D)."""
        captions = [captions] if isinstance(captions, str) else list(captions)
        options = dict(padding=True, truncation=True, return_tensors="pt")
        tokens = self.tokenizer(captions, **options).input_ids
        tokens = tokens.to(self.model.device)
        pooled = self.model.text_model(input_ids=tokens).pooler_output
        return F.normalize(self.model.text_projection(pooled), dim=1).float().cpu()


@functools.cache
def shipped_clip() -> TinyClip:
    """The tiny CLIP of the toybox that the course ships."""
    return load_clip(models.path("clip"))


def load_clip(folder: str) -> TinyClip:
    """A TinyClip from any folder of a CLIPModel with its tokenizer."""
    from transformers import CLIPModel, CLIPTokenizer

    options = dict(use_safetensors=True, local_files_only=True)
    with models.no_loading_bars():
        model = CLIPModel.from_pretrained(folder, dtype=torch.float32, **options)
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    return TinyClip(model.eval().requires_grad_(False), tokenizer)


def clip_score(
    images: Tensor, captions: Sequence[str], net: TinyClip | None = None
) -> Tensor:
    """max(100 cos(image, caption), 0) for each pair, (B,).

    Hessel et al. 2021, section 3, with the weight 100 of most software in place of
    their 2.5. Says nothing alone: compare with that of true renders, and of others.
    """
    net = net or shipped_clip()
    _check_captions(images, captions, "captions")
    cosine = (net.see(images) * net.hear(captions)).sum(1)
    return (100 * cosine).clamp(min=0)


def clip_directional(
    before: Tensor,
    after: Tensor,
    captions_before: Sequence[str],
    captions_after: Sequence[str],
    net: TinyClip | None = None,
) -> Tensor:
    """Does a picture change as its caption does? The cosine of both changes, (B,).

    cos(E(after) - E(before), E(caption after) - E(caption before)), E unit vectors
    (Gal et al. 2021, section 4: one minus their directional loss). 0 where picture or
    caption stays as it is.
    """
    net = net or shipped_clip()
    check_images(before, 3, 64, "before")
    check_images(after, 3, 64, "after")
    _check_captions(before, captions_before, "captions_before")
    _check_captions(after, captions_after, "captions_after")
    if len(before) != len(after):
        raise ValueError(
            f"after has {len(after)} pictures, and before {len(before)}: pass pairs"
        )
    seen = net.see(after) - net.see(before)
    said = net.hear(captions_after) - net.hear(captions_before)
    return F.cosine_similarity(seen, said, dim=1)


def clip_retrieval(
    images: Tensor, captions: Sequence[str], net: TinyClip | None = None
) -> dict[str, float]:
    """Share of pictures whose own caption is the nearest of all, and the reverse.

    Returns {"caption": share, "image": share}; chance is 1 / B. Captions should say
    everything: else one can be true of several pictures.
    """
    net = net or shipped_clip()
    _check_captions(images, captions, "captions")
    cosine = net.see(images) @ net.hear(captions).T  # (B, B)
    own = torch.arange(len(images))
    return {
        "caption": (cosine.argmax(1) == own).float().mean().item(),
        "image": (cosine.argmax(0) == own).float().mean().item(),
    }


def _check_captions(images: Tensor, captions: Sequence[str], name: str) -> None:
    check_tensor(images, "images")
    captions = [captions] if isinstance(captions, str) else captions
    if not isinstance(captions, list | tuple) or any(
        not isinstance(caption, str) for caption in captions
    ):
        raise ValueError(f"{name} must be a list of texts, one for each picture")
    if len(captions) != len(images):
        raise ValueError(
            f"{name}: {len(images)} images need as many, not {len(captions)}"
        )
    if not captions:
        raise ValueError("images is empty: nothing can be measured")
