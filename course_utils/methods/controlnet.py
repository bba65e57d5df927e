"""ControlNet: a picture says where, words say what (Zhang et al. 2023).

A copy of the network's encoder sees the condition and adds to what the frozen network
remembers, through convolutions that are zero at first: so nothing changes until
something is learnt. The paper's eq. 2 and 4:

    paper            code         what it is
    z_t, t, c_t      x_t, t, words
    c_f              condition    the picture to follow, (B, 3, H, W) in 0..1
    F(x; Theta)      unet         the network, frozen
    F(.; Theta_c)    control      the copy that learns, with the zero convolutions Z
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils import diffusion
from course_utils.images import check_tensor, check_whole
from course_utils.models.pipelines import check_asked, check_unet
from course_utils.schedules import Schedule
from course_utils.training import muon


def attach(unet: nn.Module, factor: int = 4) -> nn.Module:
    """A ControlNetModel with the encoder of `unet`, and zero convolutions.

    factor  pixels of a condition to one of a latent: 4 for tiny, 8 for Stable Diffusion
    """
    from diffusers import ControlNetModel

    check_unet(unet)
    check_whole(factor, "factor", 2)
    halvings = factor.bit_length() - 1
    if factor != 2**halvings or not 1 <= halvings <= 5:
        raise ValueError(f"factor={factor} must be 2, 4, 8, 16 or 32")
    channels = tuple(16 * 2**k for k in range(halvings + 1))
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=channels)


def controlled(
    unet: nn.Module,
    control: nn.Module,
    x_t: Tensor,
    t: Tensor,
    words: Tensor,
    condition: Tensor,
    scale: float = 1.0,
) -> Tensor:
    """What the network predicts when it is told words and shown a condition.

    x_t (B, C, h, w); t (B,); words (B, tokens, D); condition (B, 3, H, W) in 0..1.
    """
    down, middle = control(x_t, t, words, condition, scale, return_dict=False)
    return unet(
        x_t,
        t,
        words,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    ).sample


def control_loss(
    control: nn.Module,
    unet: nn.Module,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    words: Tensor,
    condition: Tensor,
    schedule: Schedule,
    predicts: str = "v",
) -> Tensor:
    """The mean square error of what is predicted, the paper's eq. 5."""
    x_t = diffusion.add_noise(x0, noise, t, schedule)
    found = controlled(unet, control, x_t, t, words, condition).float()
    wanted = diffusion.target(x0, noise, t, schedule, predicts)
    return (found - wanted).square().mean()


def optimizer_of(control: nn.Module, rate: float = 1e-3) -> muon.Muon:
    """Muon at `rate` for what was copied; AdamW at twice that for what is new.

    A zero convolution has to leave zero before anything else can learn, and Muon's
    steps, equal in all directions, take it away too slowly.
    """
    new, copied = [], []
    for name, p in control.named_parameters():
        (new if name.startswith("controlnet_") else copied).append(p)
    matrices = [p for p in copied if p.ndim > 1]
    rest = [p for p in copied if p.ndim < 2]
    return muon.Muon(
        [
            {"params": matrices, "lr": rate, "muon": True},
            {"params": rest, "lr": rate, "muon": False},
            {"params": new, "lr": 2 * rate, "muon": False},
        ]
    )


def _check_conditions(pipe, conditions: Sequence[Tensor], n: int) -> None:
    """Refuse what are not n pictures in 0..1 for each of the pipeline's ControlNets."""
    nets = getattr(pipe.controlnet, "nets", [pipe.controlnet])
    if len(conditions) != len(nets):
        raise ValueError(
            f"{len(conditions)} conditions for {len(nets)} ControlNet(s): pass one "
            "batch of pictures for each, in their order"
        )
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    for condition in conditions:
        check_tensor(condition, "condition")
        if condition.ndim != 4 or condition.shape[:2] != (n, 3):
            raise ValueError(
                f"condition has shape {tuple(condition.shape)}: pass ({n}, 3, H, W), "
                "one picture for each caption"
            )
        height, width = condition.shape[2:]
        if (height, width) != (side, side):
            raise ValueError(
                f"condition must be {side}x{side}, not {height}x{width}: this "
                "pipeline draws such pictures; resize it"
            )
        low, high = condition.amin().item(), condition.amax().item()
        if low < 0 or high > 1:
            raise ValueError(
                f"condition lies in [{low:.3g}, {high:.3g}]: a condition is in 0..1, "
                "not in -1..1 as pictures are; pass (x + 1) / 2, or x.clamp(0, 1)"
            )


def draw_controlled(
    pipe,
    captions: Sequence[str],
    condition: Tensor | Sequence[Tensor],
    steps: int = 20,
    guidance: float = 3.0,
    seed: int = 0,
    scale: float | Sequence[float] = 1.0,
    window: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] for captions and conditions, 16 at a time.

    pipe       a StableDiffusionControlNetPipeline
    condition  (B, 3, H, W) in 0..1; where the pipeline has several ControlNets a list
               of such, and so is `scale`
    scale      how much of what the ControlNet says is added
    window     the share of the steps in which it speaks: (0, 0.5) is the first half
    Picture k starts from the noise of seed + k, as pipelines.draw has it.
    """
    check_asked(captions, "captions", steps, guidance, seed)
    several = isinstance(condition, list | tuple)
    _check_conditions(pipe, condition if several else [condition], len(captions))
    if not 0 <= window[0] < window[1] <= 1:
        raise ValueError(
            f"window={window} must be a part of the steps, such as (0, 0.5)"
        )
    options = dict(num_inference_steps=steps, guidance_scale=guidance)
    options |= dict(controlnet_conditioning_scale=scale, output_type="pt")
    options |= dict(control_guidance_start=window[0], control_guidance_end=window[1])
    found = []
    for i in range(0, len(captions), 16):
        some = list(captions[i : i + 16])
        seeds = range(seed + i, seed + i + len(some))
        options["generator"] = [torch.Generator().manual_seed(k) for k in seeds]
        part = slice(i, i + 16)
        shown = [c[part] for c in condition] if several else condition[part]
        found.append(pipe(some, image=shown, **options).images.float().cpu())
    return (torch.cat(found) * 2 - 1).clamp(-1, 1)
