"""What a learner sees and does in JupyterLab, in a real browser: the quick part.

Whole lessons, the keyboard and the themes are in test_room_lab.py.
"""

import re

import lab
import nbformat
import pytest

pytestmark = [pytest.mark.ui, lab.NEEDED]
CELLS = {
    "picture": """
import time, torch
from course_utils import show
ramp = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
show.grid(ramp, title="From black to white")
""",
    "widget": """
def draw(shift, gain, kind, flip):
    if shift == 5:
        raise ValueError("five is too far")
    x = (ramp.roll(shift, -1) * gain).flip(-2 if flip else 0)
    return show.draw_grid(x if kind == "plain" else -x, title="A ramp")

show.widget(draw, shift=(0, 5, 1, 2), gain=(0.0, 1.0, 0.25, 0.5),
            kind=["plain", "negative"], flip=False)
""",
    "canvas": """
canvas = show.canvas(["r.", ".."], {"red": (1.0, 0.0, 0.0)}, alt="Four squares")
""",
    "button": """
def drawn(sign):
    x = torch.from_numpy(canvas.picture()[None, :1])
    return show.draw_grid(x if sign == "plus" else -x, title="What is red")

show.button("draw it", drawn, drawn("plus"), sign=["plus", "minus"])
""",
    "progress": """
def slow():
    for i in range(12):
        time.sleep(0.25)
        yield i

bar = show.progress(slow(), total=12)
for i in bar:
    bar.say(f"loss {1 / (i + 1):.2f}")
""",
    "tables": """
show.compare({"mean": (ramp.mean(), 0.25), "spread": (ramp.std(), 1)},
             columns=("long way", "shortcut"), title="Both ways agree")
show.curve([0, 1, 2], {"one": [0, 1, 4], "two": [0, 2, 3]}, floor=0.5, title="Two")
show.gif([ramp.roll(i, -1) for i in range(8)], title="A ramp that turns")
""",
    "viewer": """
from course_utils.methods import meshes, nerf
mesh = meshes.extract_mesh(nerf.VoxelField(16))
show.viewer(meshes.mesh_page(mesh), show.draw_grid(ramp, title="A mesh that turns"))
""",
    "exercise": "pass",
}
PLACE = {name: place for place, name in enumerate(CELLS)}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A notebook with all of it, opened and run from top to bottom."""
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in CELLS.values()]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nb = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    path = tmp_path_factory.mktemp("lesson") / "05_page.ipynb"
    nbformat.write(nb, path)
    home = tmp_path_factory.mktemp("home")
    with lab.server(home, path) as server, lab.window(server) as page:
        page.open(path.name)
        page.run_all(90)
        yield page


def outputs(page, name: str):
    return page.outputs(PLACE[name])


def moves(page, name: str, move) -> bool:
    return lab.changes(page.cell(PLACE[name]), move)


def nudge(page, slider: int, key: str) -> None:
    outputs(page, "widget").locator(".noUi-handle").nth(slider).press(key)


def test_every_cell_runs_without_errors_and_warnings(page):
    assert page.troubles() == [] == page.said


def test_a_slider_of_whole_numbers_redraws_the_picture(page):
    assert moves(page, "widget", lambda: nudge(page, 0, "ArrowRight"))


def test_a_slider_of_fractions_redraws_the_picture(page):
    assert moves(page, "widget", lambda: nudge(page, 1, "ArrowRight"))


def test_a_menu_redraws_the_picture(page):
    menu = outputs(page, "widget").locator("select")
    assert moves(page, "widget", lambda: menu.select_option("negative"))


def test_a_box_to_tick_redraws_the_picture(page):
    box = outputs(page, "widget").locator("input[type=checkbox]")
    assert moves(page, "widget", lambda: box.click())


def test_an_error_in_draw_is_a_line_in_the_widget_and_goes_away(page):
    nudge(page, 0, "End")
    line = outputs(page, "widget").get_by_text("ValueError: five is too far")
    line.wait_for()
    assert moves(page, "widget", lambda: nudge(page, 0, "Home"))
    line.wait_for(state="detached")


def test_a_button_draws_with_what_its_menu_says(page):
    outputs(page, "button").locator("select").select_option("minus")
    press = outputs(page, "button").locator("button")
    assert moves(page, "button", lambda: press.click())
    outputs(page, "button").get_by_role("button", name="draw it").wait_for()


def test_a_viewer_draws_in_its_frame(page):
    frame = outputs(page, "viewer").locator("iframe").element_handle().content_frame()
    frame.wait_for_function("() => camera && scene.children.length > 2")
    drawn = "() => { render(); return renderer.info.render.triangles }"
    assert frame.evaluate(drawn) > 100
    assert not page.strangers()


def test_a_square_of_the_canvas_takes_the_colour_of_the_brush(page):
    area = outputs(page, "canvas")
    squares = area.locator("button").all()
    before = [lab.paint(square) for square in squares]
    last = area.get_by_title("row 2, column 2")
    assert lab.changes(last, last.click, look=lab.paint)
    assert [lab.paint(square) for square in squares] == [*before[:3], before[0]]
    area.locator("select").select_option("empty")
    assert lab.changes(last, last.click, look=lab.paint)
    assert [lab.paint(square) for square in squares] == before
    area.locator("select").select_option("red")
    assert lab.changes(last, last.click, look=lab.paint)
    press = outputs(page, "button").locator("button")
    assert moves(page, "button", lambda: press.click())


def test_every_kind_of_control_that_the_course_has_is_moved_here():
    """Whoever adds one to show, or puts one straight into a lesson, adds its test."""
    show = (lab.ROOT / "course_utils" / "show").glob("*.py")
    text = "".join(path.read_text("utf-8") for path in show)
    still = {"HBox", "HTML", "Image", "Layout", "VBox"}
    moved = {"Button", "Checkbox", "Dropdown", "FloatSlider", "IntSlider"}
    assert set(re.findall(r"\bipywidgets\.(\w+)", text)) == still | moved
    for path in (lab.ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, 4).cells
        assert not [c for c in cells if re.search("import.*ipywidgets", c.source)]


def test_the_progress_bar_ends_as_one_line(page):
    assert outputs(page, "progress").count() == 1
    text = outputs(page, "progress").inner_text().strip()
    assert text.startswith("12 steps, ") and text.endswith(", loss 0.08")


def test_the_progress_bar_moves_while_the_cell_runs(page):
    page.cell(PLACE["progress"]).locator(".cm-content").click()
    page.page.keyboard.press("Control+Enter")
    outputs(page, "progress").get_by_text("of 12").wait_for()
    outputs(page, "progress").get_by_text("12 steps,").wait_for()


def test_pictures_fit_beside_the_prompt(page):
    images = page.page.locator(".jp-OutputArea-output img")
    assert images.count() == 5
    for i in range(5):
        shown, real = images.nth(i).evaluate("i => [i.clientWidth, i.naturalWidth]")
        assert shown == real > 0


def test_the_table_is_a_table(page):
    table = outputs(page, "tables").locator("table")
    head = table.locator("thead tr > *")
    assert head.all_inner_texts() == ["", "long way", "shortcut"]
    assert table.locator("th").count() == 2
    assert table.locator("tbody tr").count() == 2


@pytest.mark.parametrize(
    "answer, mark",
    [("task.reference", "✓"), ("list(task.mistakes.values())[0]", "✗")],
    ids=["right", "wrong"],
)
def test_an_answer_hears_its_verdict(page, answer, mark):
    page.write(PLACE["exercise"], (
        "from course_utils.check import check, find\n"
        f'task = find("05.1")\ncheck("05.1", {answer})'
    ))  # fmt: skip
    page.page.keyboard.press("Control+Enter")
    outputs(page, "exercise").get_by_text(mark).wait_for()


def test_no_request_leaves_this_machine(page):
    assert page.requested and not page.strangers()
