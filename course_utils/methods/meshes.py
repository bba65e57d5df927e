"""A field's surface as triangles, for files that every 3-D program opens.

Marching cubes (Lorensen & Cline 1987; the tables without holes of Lewiner et al. 2003,
as scikit-image has them) where the density passes a level; the field's own albedo
paints the corners. Inside, a mesh has the toys' axes: x to the front, y to the left,
z up. Files are y up, as glTF says, and look along z.
"""

from collections.abc import Sequence
from numbers import Real
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import trimesh
from skimage.measure import label, marching_cubes
from torch import Tensor
from trimesh.exchange.gltf import export_glb
from trimesh.viewer.notebook import scene_to_html

from course_utils.images import check_kind, check_list, check_number, check_whole
from course_utils.methods.nerf import REACH, VoxelField, ray_weights
from course_utils.toybox.solid import Camera
from course_utils.toybox.solid_render import (
    AMBIENT,
    FIELD,
    GROUND,
    Seen,
    camera_axes,
    default_lights,
    lambertian,
)
from course_utils.training import write_whole

FILES = (".glb", ".obj", ".html")
LEAST = 1e-6  # density below which all is the same air


def extract_mesh(
    field: VoxelField, level: float = 1.5, largest: bool = False
) -> trimesh.Trimesh:
    """The surface where the density is `level`, in radii and the toys' axes.

    level    of density, above 0; where it is 1.5, half a radius of it hides a half of
             what is behind. A higher one lies further inside
    largest  keep the largest piece only: fields may have crumbs floating about
    It is closed, faces look outwards, and corners have colours: area, volume and
    is_watertight are the mesh's own. ValueError where nowhere is that dense.
    """
    check_kind(field, "field", VoxelField, "VoxelField()")
    if not isinstance(level, Real) or not level > 0:
        raise ValueError(f"level={level!r} must be above 0: it is a density")
    with torch.no_grad():
        grids = field.grids().float().cpu()
    density = grids[0]
    most = density.max().item()
    if not most > level:
        raise ValueError(
            f"level={level}: the field is empty there, its density is {most:.3g} at "
            "most; take a lower level, or look at the field: it may have vanished"
        )
    if largest:
        pieces = label((density > level).numpy(), connectivity=1)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        others = torch.from_numpy((pieces > 0) & (pieces != sizes.argmax()))
        density = density.masked_fill(others, LEAST)
    # air all around closes what touches the border; the logarithm of a softplus is
    # straight where it is thin, so that the surface lies between two points, not on one
    volume = F.pad(density.clamp(min=LEAST).log(), (1,) * 6, value=np.log(LEAST))
    corners, faces, *_ = marching_cubes(
        volume.numpy(), float(np.log(level)), allow_degenerate=False
    )
    step = 2 * REACH / (len(density) - 1)
    corners = (corners[:, ::-1] - 1) * step - REACH  # z, y, x -> x, y, z
    mesh = trimesh.Trimesh(corners, faces, process=False)
    mesh.visual.vertex_colors = _bytes(_gathered(mesh, grids[:4], step))
    return mesh


def _gathered(mesh: trimesh.Trimesh, grids: Tensor, step: float) -> Tensor:
    """What a ray straight into each corner gathers: (V, 3) in 0..1.

    From half a voxel before it to four behind; what is before all others counts most,
    as in the pictures that the field was made from.
    """
    corners, normals = (
        torch.from_numpy(np.array(x, np.float32))[:, None]
        for x in (mesh.vertices, mesh.vertex_normals)
    )
    points = corners - normals * torch.arange(-0.5, 4.1, 0.5)[:, None] * step
    found = F.grid_sample(
        grids[None], points[None, :, :, None] / REACH, align_corners=True
    )[0, ..., 0]  # (4, V, S)
    weights = ray_weights(found[0], step / 2)
    mixed = (found[1:] * weights).sum(-1) / weights.sum(-1).clamp(min=1e-9)
    return mixed.mT


def _bytes(colours: Tensor) -> np.ndarray:
    return (colours.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def to_linear(colours: Tensor) -> Tensor:
    """sRGB in 0..1, as pictures have it, to linear light (IEC 61966-2-1)."""
    bright = ((colours + 0.055) / 1.055) ** 2.4
    return torch.where(colours <= 0.04045, colours / 12.92, bright)


def save_mesh(mesh: trimesh.Trimesh, path: str | Path) -> Path:
    """Write a mesh with its colours, y up: .glb, .obj, or .html with a viewer inside.

    ValueError for another ending.
    """
    path = Path(path)
    if path.suffix not in FILES:
        raise ValueError(f"path={str(path)!r} must end in one of: {', '.join(FILES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".obj":
        y_up(mesh).export(path)
    elif path.suffix == ".glb":
        write_whole(path, _glb(mesh))
    else:
        write_whole(path, mesh_page(mesh))
    return path


def y_up(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A copy in glTF's axes: (left, up, front) of ours are its x, y, z."""
    turned = trimesh.Trimesh(mesh.vertices[:, [1, 2, 0]], mesh.faces, process=False)
    turned.visual.vertex_colors = mesh.visual.vertex_colors
    return turned


def _glb(mesh: trimesh.Trimesh) -> bytes:
    """The bytes of a .glb, with a camera."""
    turned = y_up(mesh)
    colours = torch.from_numpy(turned.visual.vertex_colors[:, :3] / 255)
    turned.visual.vertex_colors = _bytes(to_linear(colours))  # glTF counts light
    scene = turned.scene()
    scene.set_camera(angles=(-0.25, 0.5, 0.0))  # a little from above and its left
    return export_glb(scene, include_normals=True, tree_postprocessor=_matt)


def _matt(tree: dict) -> None:
    """Give a glTF a dull surface: if none is said, all is of metal, and dark."""
    dull = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    tree["materials"] = [{"pbrMetallicRoughness": dull}]
    for shape in tree["meshes"]:
        for part in shape["primitives"]:
            part["material"] = 0


# What the viewer of trimesh leaves out: its page shows linear light as if it were sRGB.
# It also stays blank after a browser took its graphics away for a while.
LAMPS = """renderer.outputEncoding = THREE.sRGBEncoding; tracklight.intensity = 0.6;
scene.add(new THREE.AmbientLight(0xffffff, 0.35));
renderer.domElement.addEventListener("webglcontextrestored", () => camera && render());
renderer.setPixelRatio("""


def mesh_page(mesh: trimesh.Trimesh) -> str:
    """A web page that turns the mesh by the mouse: trimesh's viewer, with three.js.

    All is in it, it asks no network: about 0.8 MB. Drag turns, the wheel zooms.
    """
    check_kind(mesh, "mesh", trimesh.Trimesh, "extract_mesh(field)")
    page = scene_to_html(_Ready(_glb(mesh)))
    return page.replace("renderer.setPixelRatio(", LAMPS, 1)


class _Ready:
    """As much of a scene as trimesh's page asks for: a .glb that is made already."""

    camera = None

    def __init__(self, data: bytes):
        self.data = data

    def export(self, file_type: str) -> bytes:
        return self.data


def see_mesh(mesh: trimesh.Trimesh, views: Sequence[Camera], size: int = 64) -> Seen:
    """Mask, depth, normals and albedo of a mesh from each view, as see_solids has them.

    A z-buffer: each triangle writes the pixels in it, the nearest stays.
    """
    check_whole(size, "size", 8)
    corners = torch.from_numpy(np.array(mesh.vertices, np.float32))
    paint = torch.from_numpy(np.array(mesh.visual.vertex_colors[:, :3])) / 255
    normals = torch.from_numpy(np.array(mesh.vertex_normals, np.float32))
    told = torch.cat([corners, normals, paint], 1)  # (V, 9)
    faces = torch.from_numpy(np.array(mesh.faces))
    rows = [_drawn(told, faces, view, size) for view in views]
    whole, hit = (torch.stack(x) for x in zip(*rows, strict=True))
    point, normal, albedo = whole.split(3, -1)
    eyes = torch.stack(
        [a[2] * v.distance for a, v in zip(camera_axes(views), views, strict=True)]
    )
    depth = (point - eyes[:, None, None]).norm(dim=-1).masked_fill(~hit, torch.inf)
    normal = F.normalize(normal, dim=-1) * hit[..., None]
    ground = albedo.new_tensor(GROUND)
    return Seen(hit, depth, normal, torch.where(hit[..., None], albedo, ground))


def _drawn(told: Tensor, faces: Tensor, view: Camera, size: int) -> tuple:
    """What corners were told (V, 9), mixed in each pixel (H, W, 9); which were hit."""
    axes = camera_axes([view])[0]
    q = (told[:, :3] - axes[2] * view.distance) @ axes.T  # right, up, back
    scale = size / 2 / np.tan(np.radians(FIELD / 2))
    x, y = q[:, 0] / -q[:, 2] * scale, q[:, 1] / q[:, 2] * scale  # y down
    flat = torch.stack([x, y], 1) + (size - 1) / 2  # in pixels; their middles are whole
    a, b, c = flat[faces].unbind(1)  # (F, 2)
    low = torch.minimum(torch.minimum(a, b), c).ceil()
    reach = (torch.maximum(torch.maximum(a, b), c) - low).max().floor().int() + 1
    offsets = torch.cartesian_prod(*[torch.arange(max(1, reach))] * 2)
    pixel = low[:, None] + offsets  # (F, K, 2)

    def cross(u: Tensor, v: Tensor) -> Tensor:
        return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

    whole = cross(b - a, c - a)[:, None]
    whole = torch.where(whole.abs() < 1e-9, torch.inf, whole)  # seen from the edge
    parts = [cross((v - u)[:, None], pixel - u[:, None]) for u, v in ((b, c), (c, a))]
    share = torch.stack(parts, -1) / whole[..., None]
    share = torch.cat([share, 1 - share.sum(-1, keepdim=True)], -1)  # (F, K, 3)
    inside = (share >= -1e-6).all(-1) & ((pixel >= 0) & (pixel < size)).all(-1)
    face, k = inside.nonzero(as_tuple=True)
    share = share[face, k] / -q[faces[face], 2]  # what is far counts less
    near = share.sum(-1, keepdim=True)  # 1 / depth
    place = (pixel[face, k, 1] * size + pixel[face, k, 0]).long()
    best = torch.zeros(size * size).scatter_reduce(0, place, near[:, 0], "amax")
    first = near[:, 0] >= best[place]
    mixed = torch.einsum("nk,nkc->nc", share / near, told[faces[face]])
    page = torch.zeros(size * size, 9)
    page[place[first]] = mixed[first]
    return page.view(size, size, 9), (best > 0).view(size, size)


def render_mesh(
    mesh: trimesh.Trimesh,
    views: Sequence[Camera],
    size: int = 64,
    ambient: float = AMBIENT,
) -> Tensor:
    """Pictures (B, 3, size, size) in [-1, 1] of a mesh, lit as render_solids does."""
    check_kind(mesh, "mesh", trimesh.Trimesh, "extract_mesh(field)")
    check_list(views, "views", Camera, "toybox.Camera(30, 15)")
    check_whole(size, "size")
    check_number(ambient, "ambient", 0, 1)
    seen = see_mesh(mesh, views, 2 * size)
    light = default_lights(views)[:, None, None]
    lit = lambertian(seen.albedo, seen.normal, light, ambient)
    picture = torch.where(seen.mask[..., None], lit, seen.albedo)
    return F.avg_pool2d(picture.permute(0, 3, 1, 2), 2) * 2 - 1
