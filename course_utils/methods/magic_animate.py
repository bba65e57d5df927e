"""MagicAnimate: one picture dances to given poses (Xu et al. 2023, arXiv:2311.16498).

Four parts draw together. The picture model, frozen. A ControlNet that is shown each
frame's skeleton. An appearance encoder that is shown the picture, and that the picture
model looks at (reference_attention). Motion modules, so that frames agree.

Long clips are drawn in windows that overlap; where they do, what they predict is
averaged at every step (section 3.3).
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import diffusion
from course_utils.diffusion import Model
from course_utils.diffusion.solvers import dpm_sample
from course_utils.images import check_tensor, check_whole
from course_utils.methods.animatediff import moving
from course_utils.methods.reference_attention import reading, written
from course_utils.models.pipelines import decode, encode, plan_of

WINDOW = 8  # frames that are drawn together


class Animator(nn.Module):
    """The four networks.

    unet     a UNetMotionModel, or a UNet2DConditionModel that draws each frame alone
    control  a ControlNetModel; look  a UNet2DConditionModel: both are copies
    """

    def __init__(
        self,
        unet: nn.Module,
        adapter: nn.Module | None,
        control: nn.Module,
        look: nn.Module,
    ):
        """Take a UNet2DConditionModel, and a MotionAdapter for it or None."""
        super().__init__()
        self.moves = adapter is not None
        self.unet = moving(unet, adapter) if self.moves else unet
        self.control, self.look = control, look

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        words: Tensor,
        picture: Tensor | None,
        poses: Tensor,
    ) -> Tensor:
        """Predict (B, 4, F, h, w) as x_t.

        t (B,); words (B, tokens, D); picture, its latents (B, 4, h, w), None for no
        look; poses (B, F, 3, H, W) in 0..1.
        """
        frames = x_t.shape[2]
        said, when = (x.repeat_interleave(frames, 0) for x in (words, t))
        flat = x_t.transpose(1, 2).flatten(0, 1)
        down, middle = self.control(
            flat, when, said, poses.flatten(0, 1), return_dict=False
        )
        residuals = dict(
            down_block_additional_residuals=down, mid_block_additional_residual=middle
        )
        seen = nullcontext()
        if picture is not None:
            seen = reading(self.unet, written(self.look, picture, words))
        with seen:
            if self.moves:
                return self.unet(x_t, t, said, **residuals).sample
            drawn = self.unet(flat, when, said, **residuals).sample
            return drawn.unflatten(0, (-1, frames)).transpose(1, 2)


@dataclass
class Dancer:
    """What draws a dance: an Animator, and the pipeline of the picture model."""

    pipe: object
    parts: Animator
    words: str = "a doll"


def load_dancer(pipe, pose: Path, look: Path, motion: Path | None) -> Dancer:
    """The parts of three folders, and the text-to-image pipeline that they fit.

    Without motion each frame is drawn alone.
    """
    from diffusers import ControlNetModel, MotionAdapter, UNet2DConditionModel

    adapter = None if motion is None else _part(MotionAdapter, motion)
    copies = _part(ControlNetModel, pose), _part(UNet2DConditionModel, look)
    parts = Animator(pipe.unet, adapter, *copies).to(pipe.device)
    return Dancer(pipe, parts.eval().requires_grad_(False))


def _part(kind: type, place: Path) -> nn.Module:
    if not (Path(place) / "config.json").is_file():
        raise FileNotFoundError(f"{place} holds no {kind.__name__} of diffusers")
    options = dict(use_safetensors=True, local_files_only=True)
    return kind.from_pretrained(place, **options).float()


def windows_of(frames: int, length: int = WINDOW, overlap: int = 4) -> list[list[int]]:
    """Which frames each window draws: every frame in one, neighbours share `overlap`.

    The last window is moved back so that it ends with the last frame.
    """
    check_whole(frames, "frames", 1)
    check_whole(length, "length", 1)
    check_whole(overlap, "overlap", 0)
    if overlap >= length:
        raise ValueError(f"overlap={overlap} must be from 0 to below length={length}")
    starts = list(range(0, max(frames - length, 0) + 1, length - overlap))
    if starts[-1] + length < frames:
        starts.append(frames - length)
    return [list(range(a, min(a + length, frames))) for a in starts]


def averaged(model, x_t: Tensor, windows: Sequence[Sequence[int]]) -> Tensor:
    """model(x_t[:, :, window], window) of each window; their mean where they overlap.

    x_t (B, C, F, h, w), of which each frame must be in a window.
    """
    total, times = torch.zeros_like(x_t), x_t.new_zeros(x_t.shape[2])
    for window in map(list, windows):
        total[:, :, window] += model(x_t[:, :, window], window)
        times[window] += 1
    if not times.all():
        raise ValueError("windows leave out frames: each must be in one at least")
    return total / times.view(-1, 1, 1)


def animation_model(
    dancer: Dancer,
    pictures: Tensor | None,
    poses: Tensor,
    *,
    guidance: float,
    windows: Sequence[Sequence[int]],
) -> Model:
    """The dancer as a model(x_t, t), guided by the look, window by window.

    pictures  latents (B, 4, h, w); poses (B, F, 3, H, W) in 0..1
    The half without guidance is told nothing and sees no picture, but the poses.
    """
    pipe, n = dancer.pipe, len(poses)
    words, empty = (
        pipe.encode_prompt([text] * n, pipe.device, 1, False)[0]
        for text in (dancer.words, "")
    )

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        def part(x: Tensor, window: list[int]) -> Tensor:
            some = poses[:, window].to(x)
            told = dancer.parts(x, t, words, pictures, some)
            if guidance == 1:
                return told
            untold = dancer.parts(x, t, empty, None, some)
            return diffusion.guidance(told, untold, guidance)

        return averaged(part, x_t, windows)

    return model


@torch.no_grad()
def animate(
    dancer: Dancer,
    pictures: Tensor | None,
    poses: Tensor,
    *,
    steps: int = 10,
    guidance: float = 2.0,
    overlap: int = 4,
    window: int = WINDOW,
    seed: int = 0,
) -> Tensor:
    """Let the doll in each picture dance: clips (B, F, 3, H, W) in [-1, 1].

    pictures  (B, 3, H, W) in [-1, 1], one for each clip; None does without a look
    poses     (B, F, 3, H, W) in 0..1, the skeleton of each frame, as toybox.poses
    overlap   frames that neighbouring windows of `window` frames share
    The noise of clip k depends on seed and k alone.
    """
    check_poses(poses, None if pictures is None else len(pictures))
    pipe = dancer.pipe
    latents = None if pictures is None else encode(pipe.vae, pictures)
    side = pipe.unet.config.sample_size
    shape = pipe.unet.config.in_channels, poses.shape[1], side, side
    rows = [torch.Generator().manual_seed(seed + k) for k in range(len(poses))]
    noise = torch.stack([torch.randn(shape, generator=row) for row in rows])
    plan, predicts = plan_of(pipe)
    places = windows_of(poses.shape[1], window, overlap)
    options = dict(guidance=guidance, windows=places)
    model = animation_model(dancer, latents, poses, **options)
    found = dpm_sample(
        model, noise.to(pipe.device), plan, num_steps=steps, predicts=predicts
    )
    images = decode(pipe.vae, found.transpose(1, 2).flatten(0, 1)).cpu()
    return images.unflatten(0, poses.shape[:2])


def check_poses(poses: object, n: int | None) -> None:
    """Refuse what are not skeletons (n, F, 3, H, W) in 0..1, n if it is known."""
    check_tensor(poses, "poses")
    if poses.ndim != 5 or poses.shape[2] != 3 or n not in (None, len(poses)):
        raise ValueError(
            f"poses has shape {tuple(poses.shape)}: pass ({n or 'B'}, F, 3, H, W), a "
            "skeleton for each frame of each clip"
        )
    low, high = poses.amin().item(), poses.amax().item()
    if low < 0 or high > 1:
        raise ValueError(
            f"poses lies in [{low:.3g}, {high:.3g}]: skeletons are in 0..1, as "
            "toybox.poses draws them"
        )
