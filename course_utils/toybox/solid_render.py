"""What toys in the round look like: pictures, masks, depth and normals of any view.

Rays are cast into the parts of a toy (solid_shapes), all in closed form; what they meet
is shaded as in DreamFusion (Poole et al. 2022, section 3.1): albedo times ambient light
and what falls on the surface.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.images import check_list, check_whole
from course_utils.toybox.palette import COLOURS, INK, TONES
from course_utils.toybox.solid import Camera, Solid
from course_utils.toybox.solid_shapes import FAR, Part
from course_utils.toybox.solid_toys import SOLIDS

FIELD = 40.0  # degrees of the camera's view, from bottom to top
AMBIENT = 0.5
SCALE = {"train": 0.86}  # of the others: 0.95; all fit into a ball of radius 1.05
GROUND = TONES["cream"][0]


def camera_rays(
    views: Sequence[Camera], size: int, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Where rays start (B, 3), and unit ways through each pixel (B, size, size, 3).

    The toy's coordinates: x to its front, y to its left, z up.
    """
    check_list(views, "views", Camera, "Camera(30)")
    check_whole(size, "size")
    axes = camera_axes(views, device)
    far = torch.tensor([[float(v.distance)] for v in views], device=device)
    edge = math.tan(math.radians(FIELD / 2))
    x = ((torch.arange(size, device=device) + 0.5) / size * 2 - 1) * edge
    right, down = x.expand(size, size), x[:, None].expand(size, size)
    grid = torch.stack([right, -down, -torch.ones_like(right)], dim=-1)
    ways = torch.einsum("hwk,bkc->bhwc", F.normalize(grid, dim=-1), axes)
    return axes[:, 2] * far, ways


def camera_axes(views: Sequence[Camera], device: str = "cpu") -> Tensor:
    """Each camera's right, up and back as unit vectors: (B, 3, 3), one a row."""
    angles = [(math.radians(v.azimuth), math.radians(v.elevation)) for v in views]
    return torch.tensor([_axes(a, e) for a, e in angles], device=device)


def _axes(azimuth: float, elevation: float) -> list[list[float]]:
    """The camera's right, up and back."""
    ca, sa = math.cos(azimuth), math.sin(azimuth)
    ce, se = math.cos(elevation), math.sin(elevation)
    return [[-sa, ca, 0.0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]]


class Seen(NamedTuple):
    """What each pixel's ray meets, (B, H, W, ...) in the toy's coordinates."""

    mask: Tensor  # bool (B, H, W): the toy
    depth: Tensor  # (B, H, W) way to it in radii; inf beside it
    normal: Tensor  # (B, H, W, 3) unit length, outwards; 0 beside it
    albedo: Tensor  # (B, H, W, 3) its colour in 0..1; the ground's beside it


@cache
def _parts(toy: str) -> list[Part]:
    return [part.scaled(SCALE.get(toy, 0.95)) for part in SOLIDS[toy]()]


def see_solids(
    solids: Sequence[Solid],
    views: Sequence[Camera],
    size: int = 64,
    device: str = "cpu",
) -> Seen:
    """Mask, depth, normals and albedo of each toy from each view, pixel by pixel."""
    _check(solids, views, size)
    start, ways = camera_rays(views, size, device)
    depth = torch.full_like(ways[..., 0], FAR)
    normal, albedo = torch.zeros_like(ways), torch.zeros_like(ways)
    albedo += ways.new_tensor(GROUND)
    bodies = ways.new_tensor([COLOURS[s.colour] for s in solids])
    for toy in dict.fromkeys(s.toy for s in solids):
        rows = [k for k, s in enumerate(solids) if s.toy == toy]
        seen = [x[rows] for x in (depth, normal, albedo)]
        for part in _parts(toy):
            _meet(part, start[rows], ways[rows], bodies[rows], seen)
        for whole, of_toy in zip((depth, normal, albedo), seen, strict=True):
            whole[rows] = of_toy
    mask = depth < FAR
    return Seen(mask, depth.masked_fill(~mask, math.inf), normal, albedo)


def _meet(part: Part, start: Tensor, ways: Tensor, bodies: Tensor, seen: list) -> None:
    """Write what a part shows of itself into depth, normal and albedo (b, H, W, ...).

    Most rays pass far from it: only those that come within its reach are cast.
    """
    gap = part.centre.to(start) - start  # (b, 3)
    near = ((gap * gap).sum(1) - part.reach**2).clamp(min=0).sqrt()
    along = (ways.flatten(1, 2) @ gap[..., None])[..., 0]  # (b, H W)
    which, pixel = (along > near[:, None]).nonzero(as_tuple=True)
    if not len(which):
        return
    depth, normal, albedo = (x.flatten(1, 2) for x in seen)
    t, n = part.enter(start[which], ways.flatten(1, 2)[which, pixel])
    nearer = t < depth[which, pixel]
    which, pixel, paint = which[nearer], pixel[nearer], part.paint
    depth[which, pixel], normal[which, pixel] = t[nearer], n[nearer]
    body = bodies[which]
    if paint == "shade":
        body = torch.lerp(body, body.new_tensor(INK), 0.3)
    albedo[which, pixel] = body if isinstance(paint, str) else body.new_tensor(paint)


def lambertian(
    albedo: Tensor, normal: Tensor, light: Tensor, ambient: float | Tensor = AMBIENT
) -> Tensor:
    """Diffuse shading: albedo (ambient + (1 - ambient) max(n l, 0)).

    albedo, normal (..., 3) and light, unit vectors towards it that broadcast to them.
    """
    falls = (normal * light).sum(-1, keepdim=True).clamp(min=0)
    return albedo * (ambient + (1 - ambient) * falls)


def default_lights(views: Sequence[Camera], device: str = "cpu") -> Tensor:
    """A light over the camera's left shoulder: unit vectors (B, 3)."""
    check_list(views, "views", Camera, "toybox.Camera(30, 15)")
    pairs = [(math.radians(v.azimuth - 35), math.radians(55)) for v in views]
    return torch.tensor([_axes(a, e)[2] for a, e in pairs], device=device)


def render_solids(
    solids: Sequence[Solid],
    views: Sequence[Camera],
    size: int = 64,
    light: Tensor | None = None,
    ambient: float | Tensor = AMBIENT,
    device: str = "cpu",
) -> Tensor:
    """Pictures of the toys: (B, 3, size, size) in [-1, 1], on a plain cream ground.

    light, unit vectors (B, 3), is over the camera's left shoulder if not given. ambient
    is the share (one, or (B,)) of light without a direction: with 1, colours are as
    they are. Four rays a pixel, averaged.
    """
    check_whole(size, "size", 8)
    seen = see_solids(solids, views, 2 * size, device)
    ambient = torch.as_tensor(ambient, device=device).view(-1, 1, 1, 1)
    if not ((ambient >= 0) & (ambient <= 1)).all():
        raise ValueError("ambient must be a share of the light, 0..1")
    light = default_lights(views, device) if light is None else light.to(device)
    if light.shape != (len(views), 3):
        raise ValueError(f"light has shape {tuple(light.shape)}: pass (B, 3)")
    lit = lambertian(seen.albedo, seen.normal, light[:, None, None], ambient)
    picture = torch.where(seen.mask[..., None], lit, seen.albedo)
    return F.avg_pool2d(picture.permute(0, 3, 1, 2), 2) * 2 - 1


def solid_holds(solid: Solid, points: Tensor) -> Tensor:
    """Which points (..., 3), in radii, are inside the toy: bool (...)."""
    inside = torch.zeros(points.shape[:-1], dtype=torch.bool, device=points.device)
    for part in _parts(solid.toy):
        inside |= part.holds(points)
    return inside


def _check(solids: object, views: object, size: int) -> None:
    for name, values, kind in (("solids", solids, Solid), ("views", views, Camera)):
        if not isinstance(values, list | tuple) or not values:
            raise ValueError(
                f"{name} must be a list of {kind.__name__}, not {values!r}"
            )
        for value in values:
            if not isinstance(value, kind):
                raise ValueError(
                    f"{name} must hold {kind.__name__} only, not {value!r}"
                )
    if len(solids) != len(views):
        raise ValueError(
            f"{len(solids)} solids and {len(views)} views: pass one view for each"
        )
    check_whole(size, "size", 8)
