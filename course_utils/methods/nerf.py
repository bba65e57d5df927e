"""A field of density and colour on a grid, and what a camera sees of it.

Volume rendering as NeRF has it (Mildenhall et al. 2020, eq. 3), on a voxel grid instead
of a network, which is faster where there is no GPU (DVGO, Sun et al. 2022). Shading as
in DreamFusion (Poole et al. 2022, section 3.1): normals are where density falls.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.images import check_floats, check_kind, check_whole
from course_utils.toybox.solid import Camera
from course_utils.toybox.solid_render import (
    AMBIENT,
    GROUND,
    camera_rays,
    default_lights,
    lambertian,
)

REACH = 1.05  # half side of the cube that the grid fills, in radii


class Pictured(NamedTuple):
    """What cameras see of a field."""

    images: Tensor  # (B, 3, H, W) in [-1, 1]
    opacity: Tensor  # (B, H, W) in 0..1
    depth: Tensor  # (B, H, W) mean way in radii, where it is opaque
    normal: Tensor  # (B, H, W, 3) mean normal, times opacity


def ray_weights(density: Tensor, step: Tensor | float) -> Tensor:
    """How much each sample of a ray counts, (..., S): Mildenhall et al. 2020, eq. 3.

    density (..., S) >= 0 along the ray, samples `step` apart:
    w_i = T_i (1 - exp(-density step)), where T_i is what all before it let through.
    """
    check_floats(density, "density")
    absorbed = density * step
    through = torch.exp(-(absorbed.cumsum(-1) - absorbed))
    return through * -torch.expm1(-absorbed)


class VoxelField(nn.Module):
    """Density and albedo at n^3 points of the cube [-REACH, REACH]^3."""

    def __init__(self, n: int = 32, blob: float = 4.0, width: float = 0.5):
        """Begin as a grey blob: density before softplus blob (1 - r / width)."""
        super().__init__()
        check_whole(n, "n", 4)
        axis = torch.linspace(-REACH, REACH, n)
        z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
        radius = (x * x + y * y + z * z).sqrt()
        self.register_buffer("start", (blob * (1 - radius / width)).clamp(min=-6))
        self.thickness = nn.Parameter(torch.zeros(n, n, n))
        self.colour = nn.Parameter(0.02 * torch.randn(3, n, n, n))

    def grids(self, sharpness: float = 8.0) -> Tensor:
        """(7, n, n, n), z first: density, albedo in 0..1, normals."""
        raw = self.start + self.thickness
        density = sharpness * F.softplus(raw)
        soft = F.avg_pool3d(F.pad(raw[None], (1,) * 6, mode="replicate"), 3, 1)[0]
        slopes = torch.gradient(soft)  # along z, y, x
        normal = -torch.stack(slopes[::-1])
        normal = F.normalize(normal, dim=0, eps=1e-4)
        return torch.cat([density[None], self.colour.sigmoid(), normal])


def look_at(
    field: VoxelField,
    views: Sequence[Camera],
    size: int = 64,
    samples: int = 40,
    light: Tensor | None = None,
    ambient: float | Tensor = AMBIENT,
    ground: Tensor | None = None,
    jitter: bool = False,
) -> Pictured:
    """Pictures of a field from some views, with gradients.

    samples are taken along each ray, at random within equal parts if jitter; light,
    ambient as in toybox.render_solids; ground (B, 3) in 0..1 is cream if not given.
    """
    check_kind(field, "field", VoxelField, "VoxelField()")
    check_whole(samples, "samples", 2)
    start, ways = camera_rays(views, size, field.start.device)
    far = torch.tensor([[float(v.distance)] for v in views], device=start.device)
    grids = field.grids()
    reach = REACH * math.sqrt(1.2)  # the corners of the cube are left out
    step = 2 * reach / samples
    offsets = (torch.arange(samples, device=start.device) + 0.5) * step
    if jitter:
        offsets = offsets + (torch.rand(samples, device=start.device) - 0.5) * step
    ts = far - reach + offsets  # (B, S)
    points = (
        start[:, None, None, None] + ways[..., None, :] * ts[:, None, None, :, None]
    )
    found = F.grid_sample(
        grids[None].expand(len(views), -1, -1, -1, -1),
        points.flatten(1, 2)[:, :, :, None] / REACH,  # (B, H W, S, 1, 3)
        align_corners=True,
    )[..., 0]  # (B, 7, H W, S); 0 outside of the cube
    weights = ray_weights(found[:, 0], step)  # (B, H W, S)
    opacity = weights.sum(-1)
    mixed = (found[:, 1:] * weights[:, None]).sum(-1).mT  # (B, H W, 6)
    light = default_lights(views, start.device) if light is None else light
    normal = F.normalize(mixed[..., 3:], dim=-1, eps=1e-4)
    ambient = torch.as_tensor(ambient, device=start.device).view(-1, 1, 1)
    lit = lambertian(mixed[..., :3], normal, light[:, None], ambient)
    if ground is None:
        ground = start.new_tensor([GROUND])
    picture = lit + (1 - opacity)[..., None] * ground[:, None]
    depth = (weights * ts[:, None]).sum(-1) / opacity.clamp(min=1e-4)
    shape = len(views), size, size
    return Pictured(
        picture.mT.unflatten(2, shape[1:]) * 2 - 1,
        opacity.view(shape),
        depth.view(shape),
        mixed[..., 3:].view(*shape, 3),
    )
