"""What learns in the miniature Stable Diffusion, and from which loss.

Latent diffusion (Rombach et al. 2022) that predicts v. Its text encoder already
understands the captions (recipes/text_encoder.py): without that, colours come far
later. Three more things help: features aligned with those of an encoder that reads
pictures (REPA, Yu et al. 2024), steps drawn as often as they count, and Muon
(training/muon.py). What each of them buys: docs/speedrun.md.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import diffusion, schedules
from course_utils.schedules import check_schedule
from course_utils.training.speed import half_is_faster

SCHEDULE = schedules.linear()
SIDE = 32  # of the pictures that the pixel model draws
CHANNELS = (64, 96, 128)  # of the UNet's three floors
LISTENS = (False, True, True)  # which of them look at the caption


def build_unet(
    channels: tuple[int, int, int] = CHANNELS,
    listens: tuple[bool, bool, bool] = LISTENS,
) -> nn.Module:
    """A diffusers UNet2DConditionModel with fresh weights: 5.6 M.

    channels  of its three floors, multiples of 32
    listens   which floors look at the caption; the middle always does
    As it is, it looks where latents are 8x8 and 4x4, not at 16x16: half the time.
    """
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    kinds = [("CrossAttn" if x else "") for x in listens]
    down = [f"{kind}DownBlock2D" for kind in kinds]
    up = [f"{kind}UpBlock2D" for kind in reversed(kinds)]
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=down,
        up_block_types=up,
        cross_attention_dim=128,
        attention_head_dim=4,  # diffusers' name for the number of heads
    )
    unet.set_attn_processor(AttnProcessor())  # on a CPU faster than the default
    return unet


def build_pixel_unet(side: int = SIDE) -> nn.Module:
    """A UNet2DConditionModel for (3, side, side), with fresh weights.

    It listens to words where a side is a quarter and an eighth as long.
    """
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    plain, listens = ["DownBlock2D"] * 2, ["CrossAttnDownBlock2D"] * 2
    up = [name.replace("Down", "Up") for name in (*listens, *plain)]
    unet = UNet2DConditionModel(
        sample_size=side,
        in_channels=3,
        out_channels=6,
        block_out_channels=(32, 64, 96, 128),
        layers_per_block=1,
        down_block_types=(*plain, *listens),
        up_block_types=up,
        cross_attention_dim=128,
        attention_head_dim=4,  # diffusers' name for the number of heads
    )
    unet.set_attn_processor(AttnProcessor())  # on a CPU faster than the default
    return unet


class Tap:
    """What a layer inside diffusers' UNet gave, which returns its last layer only."""

    def __init__(self, layer: nn.Module):
        """Listen to `layer`, which returns a tuple."""
        self.given: Tensor | None = None
        layer.register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, inputs: tuple, output: tuple) -> None:
        self.given = output[0]

    def take(self) -> Tensor:
        """Return it once: what an earlier call gave is never read for this one's."""
        given, self.given = self.given, None
        return given


class Trunk(nn.Module):
    """What is trained: the UNet, the text encoder, and a head that is thrown away."""

    def __init__(
        self, unet: nn.Module, encoder: nn.Module | None, channels: int, floor: int = 1
    ):
        """Align the UNet's `floor`, where it is 8x8, with maps of so many `channels`.

        Without a text encoder the model is told vectors of words, not tokens.
        """
        super().__init__()
        self.unet, self.text = unet, encoder
        block = unet.down_blocks[floor].attentions[0]
        layers = nn.Conv2d(block.in_channels, 256, 1), nn.Conv2d(256, channels, 1)
        self.head = nn.Sequential(layers[0], nn.SiLU(), layers[1])
        self.inside = Tap(block)  # (B, 96, 8, 8), on the way down

    def forward(self, x_t: Tensor, t: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Predict v, of the shape of x_t, and the encoder's maps (B, channels, 8, 8).

        words: tokens (B, length), or with no encoder of its own (B, length, 128).
        """
        if self.text is not None:
            words = self.text(words).last_hidden_state
        v = self.unet(x_t, t, words).sample[:, : x_t.shape[1]]
        return v, self.head(self.inside.take())


def step_weights(schedule: schedules.Schedule) -> Tensor:
    """How much each step t counts, (T,): min(SNR, 5) / (SNR + 1) + 0.5.

    Hang et al. 2023 (min-SNR), for the squared error of v. The floor of 0.5 counts most
    where there is almost nothing but noise: there the words alone say what to draw, and
    with a floor of 0.1 a short training hardly learns to listen.
    """
    check_schedule(schedule)
    return schedule.snr.clamp(max=5) / (schedule.snr + 1) + 0.5


MEAN_WEIGHT = step_weights(SCHEDULE).mean().item()


def draw_steps(n: int, weights: Tensor, generator: torch.Generator) -> Tensor:
    """Steps t (n,), each drawn as often as it counts; weights (T,).

    The loss's mean is what uniform steps with weights would give, and it varies less:
    half of the uniform ones see almost nothing but noise and hardly count.
    """
    return torch.multinomial(weights, n, replacement=True, generator=generator)


def trunk_loss(
    model: nn.Module,
    x0: Tensor,
    noise: Tensor,
    t: Tensor,
    words: Tensor,
    maps: Tensor,
    align: float = 0.5,
) -> Tensor:
    """The error of v, and `align` times 1 - cosine between our features and `maps`.

    x0, noise (B, C, H, W); t (B,), from draw_steps, so that the weight is in it;
    words as the model wants them; maps (B, channels, 8, 8), of the alignment encoder.
    """
    x_t = diffusion.add_noise(x0, noise, t, SCHEDULE)
    v = diffusion.velocity(x0, noise, t, SCHEDULE)
    return trunk_error(model, x_t, v, t, words, maps, align)


def trunk_error(
    model: nn.Module,
    x_t: Tensor,
    v: Tensor,
    t: Tensor,
    words: Tensor,
    maps: Tensor,
    align: float = 0.5,
) -> Tensor:
    """`trunk_loss` once x_t and the true v are known: what a CUDA graph captures."""
    with torch.autocast(x_t.device.type, torch.bfloat16, half_is_faster(x_t.device)):
        predicted, features = model(x_t, t, words)
    denoising = F.mse_loss(predicted.float(), v)
    alignment = F.cosine_similarity(features.float(), maps.float(), dim=1).mean()
    return MEAN_WEIGHT * denoising + align * (1 - alignment)
