"""A critic of latents, made of a teacher's UNet: it knows what the teacher knows.

SDXL-Lightning (Lin et al. 2024, section 3.3) keeps the UNet's way down and its middle,
and puts a small head on it. Ours has a head at every depth: the mouth of a face is half
a latent wide, and the middle, where latents are 4x4, hardly sees it.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn


class Critic(nn.Module):
    """Did the teacher make x, or the student? It may see where both came from."""

    def __init__(self, unet: nn.Module, width: int = 128):
        """Start from a UNet2DConditionModel, which stays as it is; heads are fresh."""
        super().__init__()
        parts = "conv_in", "time_proj", "time_embedding", "down_blocks", "mid_block"
        for name in parts:
            setattr(self, name, deepcopy(getattr(unet, name)))
        channels = unet.config.block_out_channels
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2 * c, width, 3, padding=1),
                nn.GroupNorm(16, width),
                nn.SiLU(),
                nn.Conv2d(width, 1, 3, padding=1),
            )
            for c in (*channels, channels[-1])
        )

    def depths(self, x: Tensor, t: Tensor, words: Tensor) -> list[Tensor]:
        """What the UNet sees in x (B, C, H, W) at steps t (B,): a map for each head."""
        time = self.time_embedding(self.time_proj(t.clamp(min=0)).to(x.dtype))
        h, maps = self.conv_in(x), []
        for block in self.down_blocks:
            options = dict(temb=time)
            if getattr(block, "has_cross_attention", False):
                options["encoder_hidden_states"] = words
            h, inside = block(h, **options)
            maps.append(inside[0])
        return [*maps, self.mid_block(h, time, encoder_hidden_states=words)]

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        words: Tensor,
        before: list[Tensor] | None = None,
    ) -> list[Tensor]:
        """Logits of each head, (B, 1, h, w): high where x looks like the teacher's.

        x, t, words  (B, C, H, W), (B,), (B, tokens, D); t = -1 is the clean picture
        before       `depths` of the x_t that x was made from, of as many rows: then the
                     critic is conditional. Without it, it judges x alone.
        """
        maps = self.depths(x, t, words)
        before = [torch.zeros_like(x) for x in maps] if before is None else before
        both = (torch.cat(pair, 1) for pair in zip(maps, before, strict=True))
        return [head(seen) for head, seen in zip(self.heads, both, strict=True)]
