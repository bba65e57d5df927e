"""A field's surface as triangles: where it lies, which way it looks, what is kept."""

import math

import numpy as np
import pytest
import torch
import trimesh
from lab import BROWSER

from course_utils.methods import meshes
from course_utils.methods.nerf import REACH, VoxelField, look_at
from course_utils.toybox import Camera, Solid
from course_utils.toybox.solid_render import see_solids, solid_holds

VIEWS = [Camera(0.0, 0.0), Camera(65.0, 20.0), Camera(200.0, 70.0)]


def points(n):
    axis = torch.linspace(-REACH, REACH, n)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([x, y, z], -1)


def as_field(raw, colour=None):
    field = VoxelField(len(raw))
    field.start.copy_(raw)
    with torch.no_grad():
        field.colour.copy_(torch.zeros_like(field.colour) if colour is None else colour)
    return field


def ball(n=32, radius=0.6, centre=(0.0, 0.0, 0.0)):
    """Each octant has a colour of its own: red in front, green left, blue above."""
    where = points(n)
    far = (where - torch.tensor(centre)).norm(dim=-1)
    return as_field((radius - far) * 20, where.movedim(-1, 0).sign() * 8)


# where 8 softplus(raw) is the level, raw is this far from 0
DEEP = math.log(math.expm1(1.5 / 8)) / 20


def iou(a, b):
    return ((a & b).sum() / (a | b).sum()).item()


def test_a_ball_has_the_volume_and_area_of_a_ball():
    mesh, radius = meshes.extract_mesh(ball()), 0.6 - DEEP
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.02)
    assert mesh.area == pytest.approx(4 * math.pi * radius**2, rel=0.02)
    far = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(far - radius).max() < 0.01


def test_faces_look_outwards():
    mesh = meshes.extract_mesh(ball())
    assert mesh.volume > 0
    assert ((mesh.face_normals * mesh.triangles_center).sum(1) > 0).all()


def test_axes_are_the_worlds():
    centre = (0.3, -0.2, 0.1)
    mesh = meshes.extract_mesh(ball(radius=0.4, centre=centre))
    np.testing.assert_allclose(mesh.center_mass, centre, atol=0.005)


def test_corners_have_the_colour_of_their_octant():
    mesh = meshes.extract_mesh(ball())
    inner = np.abs(mesh.vertices).min(1) > 0.1
    wanted = (mesh.vertices[inner] > 0) * 255
    assert np.abs(mesh.visual.vertex_colors[inner, :3] - wanted).max() < 12


def test_what_touches_the_border_is_closed():
    mesh = meshes.extract_mesh(as_field(torch.full((8, 8, 8), 2.0)))
    assert mesh.is_watertight and mesh.volume > (2 * REACH) ** 3


def test_of_two_balls_the_larger_is_kept():
    where = points(24)
    two = [(0.4, (0.4, 0.0, 0.0)), (0.2, (-0.6, 0.0, 0.0))]
    raw = [(r - (where - torch.tensor(c)).norm(dim=-1)) * 20 for r, c in two]
    field = as_field(torch.maximum(*raw))
    assert meshes.extract_mesh(field).body_count == 2
    one = meshes.extract_mesh(field, largest=True)
    assert one.body_count == 1 and one.center_mass[0] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("toy", ["robot", "duck"])
def test_a_toys_own_density_gives_back_the_toy(toy):
    solid, fine = Solid(toy, "red"), points(96)
    held = solid_holds(solid, fine).float()
    share = torch.nn.functional.avg_pool3d(held[None, None], 3, 2, 1)[0, 0]
    field = as_field((share - 0.5) * 12)
    mesh = meshes.extract_mesh(field, 8 * math.log(2))  # where raw is 0
    volume = held.mean().item() * (2 * REACH) ** 3
    assert mesh.is_watertight and mesh.volume == pytest.approx(volume, rel=0.1)
    truth, seen = see_solids([solid] * 3, VIEWS), meshes.see_mesh(mesh, VIEWS)
    both = truth.mask & seen.mask
    assert iou(truth.mask, seen.mask) > 0.9
    assert (truth.depth - seen.depth)[both].abs().mean() < 0.03
    assert (truth.normal * seen.normal).sum(-1)[both].mean() > 0.75


@pytest.mark.parametrize("level", [60.0, math.inf])
def test_an_empty_field_says_how_dense_it_is(level):
    with pytest.raises(ValueError, match="empty there, its density is .* take a lower"):
        meshes.extract_mesh(VoxelField(8), level)


@pytest.mark.parametrize("level", [0, -1.0, math.nan])
def test_a_level_is_above_0(level):
    with pytest.raises(ValueError, match="level=.* must be above 0"):
        meshes.extract_mesh(VoxelField(8), level)


def test_a_mesh_looks_as_its_field():
    mesh = meshes.extract_mesh(ball())
    with torch.no_grad():
        cloud = look_at(ball(), VIEWS, 64, ambient=1.0)
    seen = meshes.see_mesh(mesh, VIEWS)
    assert iou(seen.mask, cloud.opacity > 0.5) > 0.93
    middle = seen.depth[:, 32, 32]
    torch.testing.assert_close(middle, torch.full((3,), 2.6 + DEEP), rtol=0, atol=0.02)
    flat = meshes.render_mesh(mesh, VIEWS, ambient=1.0)
    assert (flat - cloud.images).abs().mean() < 0.07


def test_a_ball_covers_as_many_pixels_as_perspective_says():
    round_ = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    round_.visual.vertex_colors = [255, 0, 0, 255]
    seen = meshes.see_mesh(round_, VIEWS, 48)
    hidden = 0.5 / 3.2
    area = (math.tan(math.asin(hidden)) / math.tan(math.radians(20))) ** 2 * math.pi / 4
    torch.testing.assert_close(
        seen.mask.float().mean((1, 2)), torch.full((3,), area), rtol=0.03, atol=0
    )
    paint = seen.albedo[seen.mask]
    torch.testing.assert_close(paint, torch.tensor([1.0, 0, 0]).expand_as(paint))
    assert torch.isinf(seen.depth[~seen.mask]).all()


def test_glb_keeps_shape_and_colours_and_stands_upright(tmp_path):
    mesh = meshes.extract_mesh(ball(centre=(0.3, 0.0, 0.2)))
    path = meshes.save_mesh(mesh, tmp_path / "new" / "ball.glb")
    again = trimesh.load(path, force="mesh", skip_materials=True)
    assert again.is_watertight and again.volume == pytest.approx(mesh.volume, rel=1e-4)
    # glTF: y up, and the front looks along z; x is the left
    np.testing.assert_allclose(again.center_mass, (0.0, 0.2, 0.3), atol=0.01)
    ours = torch.tensor(mesh.visual.vertex_colors[:, :3] / 255)
    kept = again.visual.vertex_colors[:, :3] / 255
    np.testing.assert_allclose(kept, meshes.to_linear(ours), atol=0.003)


def test_glb_says_that_it_is_not_of_metal(tmp_path):
    path = meshes.save_mesh(meshes.extract_mesh(ball()), tmp_path / "ball.glb")
    whole = trimesh.load(path)
    [shape] = whole.geometry.values()
    assert shape.visual.material.metallicFactor == 0


def test_obj_keeps_shape_and_colours(tmp_path):
    mesh = meshes.extract_mesh(ball(centre=(0.3, 0.0, 0.2)))
    path = meshes.save_mesh(mesh, tmp_path / "ball.obj")
    again = trimesh.load(path, force="mesh", process=False)
    assert again.volume == pytest.approx(mesh.volume, rel=1e-4)
    np.testing.assert_allclose(again.center_mass, (0.0, 0.2, 0.3), atol=0.01)
    kept, ours = (np.array(m.visual.vertex_colors, int) for m in (again, mesh))
    assert np.abs(kept - ours).max() <= 1


def test_linear_light_is_the_standards():
    grey = torch.tensor([0.0, 0.02, 0.5, 1.0])
    found = meshes.to_linear(grey)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.001548, 0.214041, 1.0]))


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"path=.*\.stl.* must end in one of: \.glb"):
        meshes.save_mesh(meshes.extract_mesh(ball(8)), tmp_path / "ball.stl")


# How much of the canvas is not white, and the mean colour there.
LOOK = """() => { const from = document.querySelector('canvas'); render();
    const flat = document.createElement('canvas');
    flat.width = flat.height = 100;
    const to = flat.getContext('2d'); to.drawImage(from, 0, 0, 100, 100);
    const all = to.getImageData(0, 0, 100, 100).data;
    let n = 0, sum = [0, 0, 0];
    for (let i = 0; i < all.length; i += 4)
        if (Math.min(all[i], all[i + 1], all[i + 2]) < 250) {
            n++; for (let k = 0; k < 3; k++) sum[k] += all[i + k] }
    return [n / 10000, ...sum.map(x => x / Math.max(n, 1))] }"""


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
def test_the_page_draws_without_a_network_and_a_drag_turns_it(tmp_path):
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    field = ball()
    with torch.no_grad():
        field.colour.copy_(torch.tensor([3.0, 0.0, -3.0])[:, None, None, None])
    path = meshes.save_mesh(meshes.extract_mesh(field), tmp_path / "ball.html")
    assert path.stat().st_size < 1_000_000 and "sRGBEncoding" in path.read_text("utf-8")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND"],
        )
        page, asked, said = browser.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda x: said.append(x.text) if x.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function(f"() => camera && ({LOOK})()[0] > 0.03", polling=200)
        share, red, green, blue = page.evaluate(LOOK)
        assert red > green > blue + 30 and red > 150
        before = page.evaluate("camera.position.toArray()")
        page.mouse.move(300, 200)
        page.mouse.down()
        page.mouse.move(420, 240, steps=6)
        page.mouse.up()
        page.wait_for_timeout(300)
        assert page.evaluate("camera.position.toArray()") != before
        assert page.evaluate(LOOK)[0] == pytest.approx(share, rel=0.2)
        browser.close()
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    assert not said
