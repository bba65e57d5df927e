"""Score distillation: a picture is optimised, and a diffusion model tells how.

DreamFusion (Poole et al. 2022), eq. 3. The picture may be made by anything that has
gradients: pixels, a small network, an overlay of two sheets, a camera's view of a
scene. Nothing is drawn by the model itself; it only says how the noise it is shown
differs from the noise it would expect.
"""

import torch
from torch import Tensor

from course_utils import diffusion
from course_utils.diffusion import Model
from course_utils.diffusion.forward import check_same
from course_utils.images import check_callable
from course_utils.schedules import Schedule


def sds_gradient(
    model: Model,
    images: Tensor,
    t: Tensor,
    noise: Tensor,
    schedule: Schedule,
    predicts: str = "noise",
) -> Tensor:
    """w(t) (eps_hat(x_t, t) - eps), like images (B, C, H, W): Poole et al. 2022, eq. 3.

    images in [-1, 1], t long (B,), noise like images; w(t) = 1 - alpha_bar, and the
    network's own Jacobian is left out, which is the point of it.
    """
    check_callable(model, "model")
    check_same("images", images, "noise", noise, "use torch.randn_like(images)")
    with torch.no_grad():
        x_t = diffusion.add_noise(images.detach(), noise, t, schedule)
        said = model(x_t, t)
        _, expected = diffusion.x0_and_noise(said, x_t, t, schedule, predicts)
        weight = 1 - schedule.alpha_bar.to(images)[t].view(-1, 1, 1, 1)
        return weight * (expected - noise)


def sds_loss(model: Model, images: Tensor, *rest: object) -> Tensor:
    """A number whose gradient by `images` is sds_gradient(model, images, *rest) / B.

    Its value means nothing.
    """
    return (sds_gradient(model, images, *rest) * images).sum() / len(images)
