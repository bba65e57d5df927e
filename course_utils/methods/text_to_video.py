"""From pictures to clips: a text-to-image UNet that learns what comes next.

ModelScope's text-to-video (Wang et al. 2023, arXiv:2308.06571), which Zeroscope goes on
from. Between the layers that see one frame stand new ones that see one place in all
frames: temporal convolutions after each ResNet block, temporal attention after each
attention. They add to what passes, and start by adding nothing.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import session
from course_utils.images import check_kind, check_whole
from course_utils.models.pipelines import check_asked, check_pipe, check_unet


def inflate(unet: nn.Module, head_size: int | None = None) -> nn.Module:
    """A UNet3DConditionModel that draws each frame as `unet`, a UNet2DConditionModel.

    All its weights are copied; what is new adds zero: temporal convolutions end in
    zeros as diffusers builds them, and temporal attention, which diffusers leaves
    random, gets a zero `proj_out` here.

    In a UNet2DConditionModel's config, `attention_head_dim` is the number of heads; in
    a UNet3DConditionModel's it is their size, one for all levels: `head_size`, or the
    deepest level's. Heads of another size are set by hand: right in memory, but a file
    cannot say it. `as_saved` cuts them as a file would.
    """
    check_unet(unet)
    config = unet.config
    heads = config.attention_head_dim
    if not isinstance(heads, int):
        raise ValueError(f"unet has {heads} heads: one number for all levels is needed")
    same = ("sample_size", "in_channels", "out_channels", "block_out_channels")
    same += ("layers_per_block", "cross_attention_dim", "norm_num_groups", "norm_eps")
    deep = _unet3d()(
        down_block_types=[kind.replace("2D", "3D") for kind in config.down_block_types],
        up_block_types=[kind.replace("2D", "3D") for kind in config.up_block_types],
        attention_head_dim=head_size or config.block_out_channels[-1] // heads,
        **{name: config[name] for name in same},
    )
    copy_into(deep, unet)
    for layer in new_ends(deep):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    for name, layer in deep.named_modules():
        if is_spatial_attention(name, layer):
            cut_heads(layer, heads)
    return deep.to(unet.device)


def _unet3d():
    from diffusers import UNet3DConditionModel

    return UNet3DConditionModel


def copy_into(deep: nn.Module, unet: nn.Module) -> None:
    """Give a 3-D UNet all weights of a 2-D one; ValueError if one has no home there.

    The projections of attention are 1x1 convolutions here and linear layers there.
    """
    theirs, ours = unet.state_dict(), deep.state_dict()
    lost = [name for name in theirs if name not in ours]
    if lost:
        raise ValueError(
            f"the 3-D UNet has no {lost[0]}: its config is not the 2-D one's"
        )
    for name, x in theirs.items():
        ours[name].copy_(x.reshape(ours[name].shape))


def is_temporal(name: str) -> bool:
    """Whether a parameter or module of a 3-D UNet looks along time."""
    check_kind(name, "name", str, "'transformer_in.norm.weight'")
    return "temp_" in name or name.startswith("transformer_in")


def is_spatial_attention(name: str, layer: nn.Module) -> bool:
    """Whether this is an attention of a 3-D UNet that looks within one frame."""
    return layer.__class__.__name__ == "Attention" and not is_temporal(name)


def new_ends(deep: nn.Module) -> list[nn.Module]:
    """The last layers of all that is new: while they are zero, nothing new is added."""
    return [
        layer
        for name, layer in deep.named_modules()
        if is_temporal(name) and name.endswith((".proj_out", ".conv4.3"))
    ]


def cut_heads(attention: nn.Module, heads: int) -> None:
    """Let an attention of diffusers split its channels into so many heads."""
    size = attention.to_q.weight.shape[0] // heads
    attention.heads, attention.scale = heads, size**-0.5


def as_saved(deep: nn.Module) -> nn.Module:
    """The same 3-D UNet, its heads cut as from_pretrained would: all of one size."""
    size = deep.config.attention_head_dim
    for name, layer in deep.named_modules():
        if is_spatial_attention(name, layer):
            cut_heads(layer, layer.to_q.weight.shape[0] // size)
    return deep


class FlatConv(nn.Conv3d):
    """A convolution along time alone, as one over (time, places): the same numbers.

    On a CPU three to four times faster than torch's own, which expects depth.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, h, w) -> the same with the layer's channels."""
        places, ahead = x.shape[3:], self.padding[0]
        flat = self.weight.squeeze(-1)  # (out, in, 3, 1)
        y = F.conv2d(x.flatten(3), flat, self.bias, padding=(ahead, 0))
        return y.unflatten(3, places)


def quicker(deep: nn.Module) -> nn.Module:
    """The same 3-D UNet, its temporal convolutions computed as FlatConv."""
    for layer in deep.modules():
        if type(layer) is nn.Conv3d and layer.kernel_size[1:] == (1, 1):
            layer.__class__ = FlatConv
    return deep


def draw_clips(
    pipe,
    prompts: Sequence[str],
    *,
    frames: int = 8,
    steps: int = 10,
    guidance: float = 3.0,
    seed: int = 0,
    parts: int = 8,
) -> Tensor:
    """Clips of the prompts, (B, frames, 3, H, W) in [-1, 1], by a text-to-video pipe.

    The noise of clip k depends on seed and k alone; `parts` clips are drawn at once.
    """
    check_pipe(pipe)
    check_whole(frames, "frames", 1)
    check_asked(prompts, "prompts", steps, guidance, seed)
    check_whole(parts, "parts")
    config, found = pipe.unet.config, []
    side = config.sample_size
    height, width = (side, side) if isinstance(side, int) else side
    shape = (pipe.vae.config.latent_channels, frames, height, width)
    rows = [torch.Generator().manual_seed(seed + k) for k in range(len(prompts))]
    noise = torch.stack([torch.randn(shape, generator=row) for row in rows])
    factor = pipe.vae_scale_factor
    for k in range(0, len(prompts), parts):
        some = list(prompts[k : k + parts])
        video = pipe(
            some,
            num_frames=frames,
            height=height * factor,
            width=width * factor,
            num_inference_steps=steps,
            guidance_scale=guidance,
            latents=noise[k : k + parts].to(session.device, pipe.unet.dtype),
            output_type="pt",
        ).frames
        found.append(video.float().cpu())
    return torch.cat(found).clamp(0, 1) * 2 - 1
