"""AnimateDiff: a motion module for any picture model (Guo et al. 2023).

The picture model stays as it is, all of it. Between its layers stand motion modules,
attention along time with sinusoidal positions, and only they learn. They add zero at
first; so one that was never trained changes nothing, and one that was can be plugged
into every model that was tuned from the same one, a DreamBooth-ed one, say.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from course_utils.images import check_whole
from course_utils.models.quiet import no_loading_bars, quiet

HEADS = 4


def new_adapter(unet: nn.Module, longest: int = 32, seed: int = 0) -> nn.Module:
    """A MotionAdapter for a UNet2DConditionModel that adds nothing yet.

    longest  the most frames that it will ever see
    diffusers leaves `proj_out` of new modules random, which spoils every picture; here
    it is zero, as in the paper.
    """
    from diffusers import MotionAdapter

    check_whole(longest, "longest", 2)
    config = unet.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapter = MotionAdapter(
            block_out_channels=config.block_out_channels,
            motion_layers_per_block=config.layers_per_block,
            motion_num_attention_heads=HEADS,
            motion_norm_num_groups=config.norm_num_groups,
            motion_max_seq_length=longest,
        )
    for layer in adapter_ends(adapter):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return adapter.to(unet.device)


def adapter_ends(adapter: nn.Module) -> list[nn.Module]:
    """The last layer of each motion module."""
    parts = adapter.named_modules()
    return [
        layer
        for name, layer in parts
        if name.endswith("proj_out") and "motion_modules" in name
    ]


def moving(unet: nn.Module, adapter: nn.Module) -> nn.Module:
    """A UNetMotionModel: the picture model with the adapter's modules in between.

    It has copies of both. The picture model's weights are frozen; motion learns.
    """
    from diffusers import UNetMotionModel

    with quiet():
        whole = UNetMotionModel.from_unet2d(unet, adapter)
    whole.freeze_unet2d_params()
    return whole.to(unet.device)


class Mover(nn.Module):
    """What is trained: the motion modules, with the text encoder to hear captions."""

    def __init__(self, unet: nn.Module, encoder: nn.Module, adapter: nn.Module):
        super().__init__()
        self.unet = moving(unet, adapter)
        self.text = encoder.requires_grad_(False)

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """Predict (B, 4, F, h, w) as x_t; t (B,), tokens (B, length)."""
        words = self.text(tokens).last_hidden_state
        words = words.repeat_interleave(x_t.shape[2], 0)  # this class wants one a frame
        return self.unet(x_t, t, words).sample


def groups_of_motion(unet: nn.Module, rate: float) -> list[dict]:
    """Parameter groups for Muon: of a UNetMotionModel what learns, and only that.

    AdamW, at twice the rate, for the layers that start at zero: see optimizer_of of
    methods.controlnet.
    """
    ends = {id(p) for layer in adapter_ends(unet) for p in layer.parameters()}
    free = [p for p in unet.parameters() if p.requires_grad]
    first = [p for p in free if id(p) in ends]
    rest = [p for p in free if id(p) not in ends]
    return [
        {"params": [p for p in rest if p.ndim > 1], "lr": rate, "muon": True},
        {"params": [p for p in rest if p.ndim < 2], "lr": rate, "muon": False},
        {"params": first, "lr": 2 * rate, "muon": False},
    ]


def save_adapter(unet: nn.Module, folder: str | Path) -> None:
    """Write a UNetMotionModel's motion modules as the folder of a MotionAdapter.

    diffusers' save_motion_modules writes single precision whatever the network is in;
    so the file is written once more.
    """
    with no_loading_bars():
        unet.save_motion_modules(str(folder))
    file = Path(folder) / "diffusion_pytorch_model.safetensors"
    weights = {name: x.to(unet.dtype) for name, x in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})


def animated(pipe, adapter: nn.Module):
    """An AnimateDiffPipeline of a text-to-image pipeline's parts and an adapter."""
    from diffusers import AnimateDiffPipeline

    names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    parts = {name: getattr(pipe, name) for name in names}
    with quiet():
        made = AnimateDiffPipeline(**parts, motion_adapter=adapter)
    made.set_progress_bar_config(disable=True)
    return made.to(pipe.device)
