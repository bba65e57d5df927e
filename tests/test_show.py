"""Pictures, tables and widgets: what reaches the page, and what is refused."""

import base64
import inspect
import io
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from course_utils import show
from course_utils.show import grids, output, style, tables, widgets

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def page(monkeypatch):
    """What was displayed: a list of (data, metadata)."""
    seen = []

    def display(data, metadata=None, raw=False):
        assert raw
        seen.append((data, metadata))

    for room in (output, tables):
        monkeypatch.setattr(room, "display", display)
    return seen


def digits(n=4, size=8, channels=1):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, channels, size, size, generator=generator) * 2 - 1


def opened(data: dict) -> Image.Image:
    kind = next(mime for mime in data if mime.startswith("image/"))
    return Image.open(io.BytesIO(base64.b64decode(data[kind])))


LINE = [0.0, 1.0, 4.0]
PHOTO = Image.new("RGB", (8, 8))
CLOUD = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
PICTURES = {
    "grid": lambda **words: show.grid(digits(), **words),
    "strip": lambda **words: show.strip(digits(), labels="abcd", **words),
    "curve": lambda **words: show.curve([1, 2, 3], LINE, floor=0, **words),
    "points": lambda **words: show.points({"a": CLOUD, "b": CLOUD}, **words),
    "bars": lambda **words: show.bars({"a": 1, "b": [2, 3]}, ceiling=4, **words),
    "heat": lambda **words: show.heat(np.eye(3), **words),
    "gif": lambda **words: show.gif(digits(), **words),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_one_output_with_its_words(page, name):
    assert PICTURES[name](title="It works", alt="Said aloud") is None
    [(data, metadata)] = page
    kind, plain = data
    assert (plain, data[plain]) == ("text/plain", "Said aloud")
    assert metadata == {kind: {"alt": "Said aloud"}}
    assert opened(data).width <= style.WIDTH


@pytest.mark.parametrize("name", PICTURES)
def test_the_title_is_the_alt_and_one_of_them_must_be_given(page, name):
    PICTURES[name](title="It works")
    assert page[0][0]["text/plain"] == "It works"
    with pytest.raises(ValueError, match="title or alt is missing"):
        PICTURES[name]()
    assert len(page) == 1


@pytest.mark.parametrize("name", ["grid", "strip", "curve", "points", "bars", "heat",
                                  "diagram", "gan", "unet", "chain",
                                  "latent_diffusion"])  # fmt: skip
def test_every_maker_has_a_twin_that_returns_the_figure(name):
    shown, drawn = getattr(show, name), getattr(show, f"draw_{name}")
    names = list(inspect.signature(drawn).parameters)
    assert list(inspect.signature(shown).parameters) == [*names, "alt"]
    assert shown.__name__ == name and shown.__doc__ == drawn.__doc__


def test_everything_promised_is_offered():
    assert sorted(show.__all__) == show.__all__
    assert all(callable(getattr(show, name)) for name in show.__all__)


def test_tiny_pictures_are_enlarged_by_whole_pixels(page):
    show.grid(digits(1), alt="one digit")
    picture = np.asarray(opened(page[0][0]).convert("L"))
    inside = picture[9 : 9 + 232, 9 : 9 + 232]  # 8 pixels of margin, 1 of frame
    blocks = inside.reshape(8, 29, 8, 29)
    truth = np.rint((digits(1)[0, 0].numpy() + 1) * 127.5)
    assert (blocks == truth[:, None, :, None]).all()


def test_big_pictures_are_shrunk_to_the_page(page):
    show.grid(digits(4, size=512, channels=3), alt="noise")
    assert opened(page[0][0]).width <= style.WIDTH


def test_a_plot_is_a_png_and_heavy_photographs_are_a_jpeg(page):
    show.curve([0, 1, 2], LINE, title="A curve")
    show.grid(digits(64, size=64, channels=3), title="Coloured noise")
    kinds = [next(iter(data)) for data, _ in page]
    assert kinds == ["image/png", "image/jpeg"]
    for data, _ in page:
        assert len(base64.b64decode(next(iter(data.values())))) < 125_000


def test_a_logarithmic_axis_names_its_points_and_no_others():
    fig = show.draw_curve([2, 4, 8], LINE, log="x")
    fig.canvas.draw()
    ticks = fig.axes[0].xaxis
    assert [t.get_text() for t in ticks.get_ticklabels()] == ["2", "4", "8"]
    assert not any(t.get_text() for t in ticks.get_ticklabels(minor=True))


def test_samples_that_overshoot_are_clipped():
    loud = torch.tensor([-4.0, -1.0, 1.0, 4.0]).view(1, 1, 2, 2)
    assert grids.pixels(loud)[0, :, :, 0].tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize(
    "images, cure",
    [
        (torch.zeros(8, 8), r"write images\[None, None\]"),
        (torch.zeros(5, 8, 8), r"images\[:, None\] if many"),
        (torch.zeros(5, 8, 8, 3), r"permute\(0, 3, 1, 2\)"),
        (torch.zeros(5, 4, 8, 8), r"1 or 3 channels"),
        (torch.zeros(0, 1, 8, 8), "at least one image"),
        (torch.full((1, 1, 8, 8), 255.0), "reach 255: divide by 127.5 and subtract 1"),
        (torch.full((1, 1, 8, 8), 200, dtype=torch.uint8), "divide by 127.5"),
        (torch.ones(1, 1, 8, 8).bool(), r"write images.float\(\) \* 2 - 1"),
        (torch.full((1, 1, 8, 8), 1e9), "blew up"),
        (torch.full((1, 1, 8, 8), torch.nan), "nan or inf"),
    ],
)
def test_what_is_no_image_is_refused_with_the_cure(images, cure):
    with pytest.raises(ValueError, match=cure):
        show.draw_grid(images)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: show.draw_grid(digits(), labels=["one"]), "4 images, 1 labels"),
        (lambda: show.draw_strip(digits(), labels=["one"]), "4 frames, 1 labels"),
        (lambda: show.draw_strip([digits(1, 8), digits(1, 4)]), "one shape"),
        (
            lambda: show.draw_grid(digits(8), 6, rows=["a", "b", "c", "d"]),
            "8 images in 6",
        ),
        (lambda: show.draw_grid(digits(4), rows=["a", "b", "c"]), "make 3 rows"),
        (lambda: show.draw_grid(digits(4), columns=["a", "b"], rows=["a"]), "1 rows"),
        (lambda: show.draw_grid(digits(4), columns=0), "at least 1"),
        (lambda: show.draw_grid(None), "images must be .* not NoneType: does a func"),
        (lambda: show.draw_grid([None]), "each of images must be"),
        (lambda: show.draw_grid([PHOTO]), "not a PIL Image: write"),
        (lambda: show.draw_grid(PHOTO), "not a PIL Image: write"),
        (lambda: show.draw_grid("a.png"), "not str"),
        (lambda: show.draw_strip(None), "frames must be"),
        (lambda: show.draw_strip([PHOTO, PHOTO]), "not a PIL Image"),
        (lambda: show.gif([PHOTO], alt="a"), "not a PIL Image"),
        (lambda: show.draw_chain([PHOTO, PHOTO]), "not a PIL Image"),
        (lambda: show.draw_curve(None, LINE), "x must be numbers"),
        (lambda: show.draw_curve([1, 2, 3], {"a": [1, None, 2]}), "each of a must be"),
        (lambda: show.draw_bars({"a": "high"}), "values of 'a'"),
        (lambda: show.draw_points({"a": None}), "cloud 'a'"),
        (lambda: show.draw_curve([1, 2], LINE), "x has 2 values"),
        (lambda: show.draw_curve([1, 2, 3], LINE, log="z"), "log must be"),
        (lambda: show.draw_points({"a": torch.zeros(3)}), r"\(N, 2\)"),
        (lambda: show.draw_heat([1, 2]), "rows, columns"),
        (lambda: show.table([[1, 2], [3]]), "2 entries"),
    ],
)
def test_wrong_arguments_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_strips_take_a_tensor_or_a_list_of_batches():
    frames = digits(6)
    one = output.drawn(show.draw_strip(frames, title="t"))
    assert one == output.drawn(show.draw_strip([f for f in frames], title="t"))
    assert one == output.drawn(show.draw_strip([f[None] for f in frames], title="t"))
    rows = output.drawn(show.draw_strip([digits(3)] * 6, title="t"))
    assert rows.height > 2 * one.height


def test_a_strip_picks_frames_and_labels_them():
    fig = show.draw_strip(digits(6), at=[0, 2, 5], title="Three of six")
    assert [text.get_text() for text in fig.texts][:3] == ["t=0", "t=2", "t=5"]


@pytest.mark.parametrize(
    "count, size, columns",
    [(1, 8, 1), (10, 8, 10), (20, 8, 10), (64, 8, 16), (64, 64, 8), (100, 8, 10)],
)
def test_grids_have_rows_of_equal_length(count, size, columns):
    assert grids._columns(count, size) == columns


def test_a_grid_may_mix_sizes_and_grey_with_colour():
    small, big = digits(1), digits(1, size=64, channels=3)
    mixed = output.drawn(show.draw_grid([small, big], title="t"))
    same = small.repeat_interleave(8, 2).repeat_interleave(8, 3).expand(-1, 3, -1, -1)
    assert mixed == output.drawn(show.draw_grid(torch.cat([same, big]), title="t"))


def test_a_label_of_several_lines_stays_below_its_picture():
    fig = show.draw_grid(digits(2), labels=["one", "a caption of several words " * 3])
    output.drawn(fig)
    tops = [text.get_window_extent().y1 for text in fig.texts]
    assert abs(tops[0] - tops[1]) < 6


def test_labels_may_be_a_tensor():
    fig = show.draw_grid(digits(3), labels=torch.tensor([7, 0, 4]))
    assert [text.get_text() for text in fig.texts] == ["7", "0", "4"]


def test_names_stand_above_columns_and_before_rows():
    fig = show.draw_grid(digits(6), columns=["in", "out", "true"], rows=["a", "b"])
    words = [text.get_text() for text in fig.texts]
    assert sorted(words) == ["a", "b", "in", "out", "true"]


def test_curves_are_named_where_they_end_and_no_name_covers_another():
    lines = {"one": LINE, "two": [0.0, 1.0, 4.01], "three": [0.0, 2.0, 3.99]}
    fig = show.draw_curve([1, 2, 3], lines, floor=0.1, ceiling=4.02, title="t")
    words = {text.get_text(): text for text in fig.axes[0].texts}
    assert set(words) == {"one", "two", "three", "floor 0.1", "ceiling 4.02"}
    output.drawn(fig)
    boxes = [text.get_window_extent().extents.tolist() for text in words.values()]
    boxes.sort(key=lambda box: box[1])
    for low, high in zip(boxes, boxes[1:], strict=False):
        assert low[3] <= high[1] + 2
    assert all(box[2] <= style.WIDTH for box in boxes)


def test_lines_that_end_together_are_named_where_they_are_apart():
    x = np.linspace(0, 1, 50)
    ax = show.draw_curve(x, {"up": x * (1 - x), "down": x * (x - 1)}).axes[0]
    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert places["up"][1] > 0.6 > 0.4 > places["down"][1]


def test_no_name_of_a_curve_covers_a_line_or_another_name():
    x = np.array([5.0, 8, 15, 30, 60])
    slow = np.array([14.0, 19, 24, 29, 33])
    lines = {f"{name}, {kind}": slow * factor + more
             for name, factor in (("DDIM", 0.9), ("DPM++", 1.1), ("DDPM", 0.55))
             for kind, more in (("says little", 0.0), ("says all", 2.0))}  # fmt: skip
    fig = show.draw_curve(x, lines, floor=11, ceiling=34, log="x", title="t")
    output.drawn(fig)
    ax = fig.axes[0]
    boxes = [text.get_window_extent().padded(-1) for text in ax.texts]
    fine = np.geomspace(5, 60, 500)
    paths = [np.interp(np.log(fine), np.log(x), line) for line in lines.values()]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        for path in [*paths, np.full(500, 11.0), np.full(500, 34.0)]:
            points = ax.transData.transform(np.stack([fine, path], 1))
            assert not box.count_contains(points)


def test_one_method_has_one_colour_in_every_picture():
    names = ["plain", "DDIM", "DPM-Solver++(2M)", "real pictures"]
    own = [style.PALETTE[0], *(style.METHODS[n] for n in ("DDIM", "DPM++", "real"))]
    curves = show.draw_curve([1, 2, 3], dict.fromkeys(names, LINE)).axes[0]
    assert [line.get_color() for line in curves.lines[:4]] == own
    bars = show.draw_bars(dict.fromkeys(names, 1.0)).axes[0]
    shades = [style.to_rgb(colour) for colour in own]
    assert [patch.get_facecolor()[:3] for patch in bars.patches] == shades
    clouds = show.draw_points(dict.fromkeys(names, CLOUD)).axes
    found = [tuple(ax.collections[0].get_facecolor()[0, :3]) for ax in clouds]
    assert found == shades


def test_two_curves_of_one_method_differ_in_their_dashes():
    names = ["DDIM, 10 steps", "DDIM, 50 steps", "other"]
    first, second, other = (
        show.draw_curve([1, 2, 3], dict.fromkeys(names, LINE)).axes[0].lines[:3]
    )
    assert first.get_color() == second.get_color() != other.get_color()
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")


@pytest.mark.parametrize("name", ["DDIMs", "GANs and more", "reality", "database", "G"])
def test_only_whole_words_name_a_method(name):
    assert style.of_method(name) is None


def contrast(a, b):
    """The ratio of WCAG 2: 4.5 for words, 3 for lines."""

    def light(colour):
        c = np.array(style.to_rgb(colour))
        c = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return 0.05 + c @ [0.2126, 0.7152, 0.0722]

    dark, bright = sorted([light(a), light(b)])
    return bright / dark


def test_words_and_lines_can_be_read_on_the_paper():
    assert min(contrast(c, style.PAPER) for c in (style.INK, style.SOFT)) >= 4.5
    for colour in [*style.PALETTE, *style.METHODS.values()]:
        assert contrast(colour, style.PAPER) >= 3
        assert contrast(style.shade(colour), style.PAPER) >= 4.5


def test_a_picture_is_a_light_card_with_round_corners_on_any_page(page):
    show.curve([1, 2, 3], LINE, title="A curve")
    show.grid(digits(64, size=64, channels=3), title="Coloured noise")
    card, photograph = (opened(data) for data, _ in page)
    assert card.getpixel((0, 0))[3] == 0 and card.getpixel((20, 2))[3] == 255
    paper = np.array(style.to_rgb(style.PAPER)) * 255
    for picture in (card, photograph):
        np.testing.assert_allclose(picture.getpixel((20, 2))[:3], paper, atol=3)


def test_drawing_is_silent(caplog, capsys):
    output.drawn(show.draw_curve([1, 2, 3], {"a": LINE, "b": LINE}, title="t"))
    output.drawn(show.draw_bars({"a": [1, 2]}, title="t", floor=0, ceiling=0.1))
    assert not caplog.records and capsys.readouterr() == ("", "")


def test_several_runs_are_a_mean_with_their_spread():
    runs = np.array([[0.0, 1, 2], [2.0, 3, 4]])
    ax = show.draw_curve([1, 2, 3], {"loss": runs}).axes[0]
    assert ax.lines[0].get_ydata().tolist() == [1, 2, 3]
    [spread] = ax.collections
    assert spread.get_paths()[0].get_extents().extents.tolist() == [1, 0, 3, 4]


def test_smoothing_keeps_a_constant_and_the_raw_line():
    ax = show.draw_curve(range(30), torch.ones(30), smooth=9).axes[0]
    raw, smooth = ax.lines
    np.testing.assert_allclose(smooth.get_ydata(), 1)
    assert raw.get_alpha() < 1


def test_clouds_share_their_limits():
    fig = show.draw_points({"near": CLOUD, "far": 3 * CLOUD}, centres=CLOUD[:2])
    limits = {(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes}
    assert len(limits) == 1


def test_bars_show_the_mean_and_whiskers_from_least_to_greatest():
    ax = show.draw_bars({"10 steps": {"DDPM": [1.0, 3.0]}}).axes[0]
    assert ax.patches[0].get_width() == 2
    assert [1, 3] in [list(line.get_xdata()) for line in ax.lines]


@pytest.mark.parametrize("title", ["Short", "A conclusion of many words " * 8])
def test_titles_stay_inside_the_picture(title):
    for fig in (show.draw_curve([1, 2], [1, 2], title=title),
                show.draw_grid(digits(1), title=title)):  # fmt: skip
        picture = np.asarray(output.drawn(fig))
        paper = grids.PAPER_RGB
        assert (picture[:, -3:] == paper).all() and (picture[:3] == paper).all()


def test_the_palette_can_be_told_apart_with_any_colour_vision():
    """Vienot, Brettel & Mollon 1999: how protanopes and deuteranopes see it."""
    names = {
        "protan": [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.004, -0.004, 1]],
        "deutan": [[0.2928, 0.7072, 0], [0.2928, 0.7072, 0], [-0.0223, 0.0223, 1]],
    }
    from skimage.color import rgb2lab

    hexes = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in style.PALETTE]
    linear = np.array(hexes) ** 2.2
    for matrix in [np.eye(3), *map(np.array, names.values())]:
        lab = rgb2lab((linear @ matrix.T).clip(0, 1) ** (1 / 2.2))
        apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1e3 * np.eye(6)
        assert apart.min() > 18


@pytest.mark.parametrize(
    "value, text",
    [(0.8218, "0.822"), (12.34, "12.3"), (1234.5, "1,234"), (3.14159, "3.14"),
     (0, "0"), (1.2e-5, "1.2e-05"), (float("nan"), "nan"), (-0.5, "-0.500"),
     (torch.tensor(0.25), "0.250")],
)  # fmt: skip
def test_numbers_keep_about_three_digits(value, text):
    assert tables.number(value) == text


def test_a_table_reads_well_as_plain_text(page):
    show.compare({"mean": (torch.tensor(0.1234), 1), "spread": (0.5, 12)},
                 columns=("long way", "shortcut"), title="Both agree")  # fmt: skip
    assert page[0][0]["text/plain"].splitlines() == [
        "Both agree",
        "",
        "        long way  shortcut",
        "------  --------  --------",
        "mean       0.123         1",
        "spread     0.500        12",
    ]
    head, _, _ = re.findall("<tr>.*?</tr>", page[0][0]["text/html"])
    assert re.findall("<(t[hd]) [^>]*>([^<]*)<", head) == [
        ("td", ""), ("th", "long way"), ("th", "shortcut")]  # fmt: skip


def test_a_table_takes_dicts_and_escapes_what_they_hold(page):
    show.table([{"name": "<b>", "right": True, "n": 1500}])
    html = page[0][0]["text/html"]
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert page[0][0]["text/plain"].splitlines()[-1].split() == ["<b>", "yes", "1,500"]


def test_a_gif_stays_small_and_says_which_frames(page):
    show.gif([digits(2, size=32)] * 40, labels=range(40), title="Still")
    picture = opened(page[0][0])
    assert picture.format == "GIF" and picture.info["loop"] == 0
    edge = {picture.convert("RGB").getpixel((5, y)) for y in range(3)}
    assert len(edge) == 1, "a white line above"
    show.gif(torch.randn(30, 3, 64, 64).clamp(-1, 1), alt="Coloured noise")
    for data, _ in page:
        assert len(base64.b64decode(data["image/gif"])) <= 200_000
    assert 4 <= opened(page[1][0]).n_frames <= 16


def test_any_figure_can_be_shown(page):
    fig, ax = show.axes(columns=2, height=2.5)
    assert len(ax) == 2
    show.figure(fig, alt="Two empty plots")
    assert opened(page[0][0]).size == (style.WIDTH, 275)
    with pytest.raises(ValueError, match="title or alt"):
        show.figure(Figure())


def test_showing_does_not_touch_the_learners_own_style():
    import matplotlib

    before = matplotlib.rcParams["backend"], matplotlib.rcParams.copy()
    output.drawn(show.draw_curve([1, 2, 3], LINE, title="t"))
    assert before == (matplotlib.rcParams["backend"], matplotlib.rcParams)


# widgets


@pytest.fixture
def box(page):
    """A widget of every control, and its children by name."""
    pytest.importorskip("ipywidgets")
    from ipywidgets import Widget

    calls = []

    def draw(shift, gain, kind, flip):
        calls.append((shift, gain, kind, flip))
        if shift == 5:
            raise ValueError("<five> is too far")
        return show.draw_grid(digits(1) * gain, labels=[f"{shift} {kind} {flip}"],
                              title="A ramp")  # fmt: skip

    show.widget(draw, shift=(0, 5, 1, 2), gain=(0.0, 1.0, 0.25, 0.5),
                kind=["plain", "negative"], flip=False)  # fmt: skip
    [(data, metadata)] = page
    model = _models(Widget)[data[VIEW]["model_id"]]
    return model.children, calls, data, metadata


def _models(Widget):
    import ipywidgets.widgets.widget as room

    return getattr(room, "_instances", None) or Widget.widgets


def test_a_widget_also_stores_its_first_picture(box):
    children, calls, data, metadata = box
    assert set(data) == {"image/png", "text/plain", VIEW}
    assert metadata == {"image/png": {"alt": "A ramp"}}
    assert children[-1].value == base64.b64decode(data["image/png"])
    assert calls == [(2, 0.5, "plain", False)]


@pytest.mark.parametrize(
    "place, value", [(0, 3), (1, 0.75), (2, "negative"), (3, True)]
)
def test_every_control_redraws(box, place, value):
    children, calls, data, _ = box
    children[place].value = value
    assert calls[-1][place] == value and len(calls) == 2
    assert children[-1].value != base64.b64decode(data["image/png"])


def test_an_error_in_draw_is_shown_and_goes_away(box):
    children = box[0]
    children[0].value = 5
    assert "ValueError: &lt;five&gt; is too far" in children[-2].value
    children[0].value = 4
    assert children[-2].value == ""


def test_a_widget_that_fails_at_once_fails_in_the_cell(page):
    with pytest.raises(ZeroDivisionError):
        show.widget(lambda t: 1 / t, t=(0, 3, 1, 0))
    assert page == []


@pytest.mark.parametrize("what", [(0, 1), [], "red", (0, 5, 1, 9), (0, 5, 0, 1)])
def test_a_control_of_no_known_kind_is_named(what):
    pytest.importorskip("ipywidgets")
    with pytest.raises(ValueError, match="knob"):
        show.widget(lambda knob: None, knob=what)


# progress


def test_progress_yields_everything_and_leaves_one_line(capsys):
    bar = show.progress(range(1500))
    for i in bar:
        bar.say(f"loss {i}")
    out, err = capsys.readouterr()
    assert i == 1499 and err == ""
    assert out.startswith("1,500 steps, ") and out.endswith(", loss 1499\n")


def test_progress_works_for_generators_and_says_when_it_was_stopped(capsys):
    for i in show.progress((i for i in range(100)), total=100):
        if i == 30:
            break
    assert capsys.readouterr().out.startswith("stopped after 30 of 100 steps, ")


def test_the_bar_shows_count_seconds_and_message():
    bar = show.progress(range(10))
    bar.start, bar.done = widgets.time.monotonic(), 5
    bar.say("loss < 1")
    data = bar._bar()
    assert "width:50.0%" in data["text/html"] and "loss &lt; 1" in data["text/html"]
    assert data["text/plain"].startswith("5 of 10 · ")


@pytest.mark.parametrize(
    "seconds, text", [(0.04, "0.0 s"), (41.4, "41 s"), (125, "2 min 05 s")]
)
def test_durations_are_said_as_a_person_would(seconds, text):
    assert widgets.duration(seconds) == text


# drawings of machines

ROWS = [["words", "tokenizer", None], [None, "U-Net", "picture"]]


def painted(fig):
    """Return the rectangles of all words of a drawing, in pixels."""
    output.drawn(fig)
    words = [text for text in fig.axes[0].texts if text.get_text().strip()]
    return [text.get_window_extent().padded(-1.5) for text in words]


def drawings():
    from types import SimpleNamespace as Part

    part = torch.nn.Linear(10, 10)
    pipe = Part(vae_scale_factor=8, vae=Part(decoder=part))
    pipe.tokenizer = Part(model_max_length=77)
    pipe.scheduler = Part(config=Part(prediction_type="epsilon"))
    for name, words in (
        ("text_encoder", {"hidden_size": 768}),
        ("unet", {"in_channels": 4, "sample_size": 64}),
    ):
        setattr(pipe, name, Part(config=Part(**words), parameters=part.parameters))
    arrows = [("words", "tokenizer", "a text"), ("tokenizer", "U-Net", "(77, 768)"),
              ("U-Net", "tokenizer", "back again"), ("U-Net", "picture", "(3, 64, 64)"),
              ("U-Net", "U-Net", "20 times", "learn")]  # fmt: skip
    names = ["conv_in", "down_blocks", "mid_block", "up_blocks", "conv_out"]
    control = Part(controlnet_down_blocks=[part], parameters=part.parameters)
    halves = Part(**dict.fromkeys(names, part)), control
    wide = (
        [["A", "B", "C"]],
        [("A", "C", "over B"), ("C", "A", "back"), ("B", "B", "o")],
    )
    return {
        "table": show.draw_diagram(ROWS, arrows, notes={"U-Net": "a note"}, title="t"),
        "brackets": show.draw_diagram(*wide, title="t"),
        "gan": show.draw_gan("(B, 64)", "(B, 1, 28, 28)", digits(1), digits(1), "t"),
        "unet": show.draw_unet((3, [32, 64, 128, 128]), 64, title="t"),
        "chain": show.draw_chain(digits(7), title="t"),
        "controlnet": show.draw_controlnet(*halves, digits(1), title="t"),
        "latent": show.draw_latent_diffusion(pipe, 50, digits(1), digits(1), title="t"),
    }


@pytest.mark.parametrize("name", drawings())
def test_in_a_drawing_no_word_covers_another_or_leaves_the_sheet(name):
    fig = drawings()[name]
    places = painted(fig)
    wide, high = fig.get_size_inches() * style.DPI
    assert len(places) >= 4 and wide <= style.WIDTH
    for i, a in enumerate(places):
        assert a.x0 >= 0 and a.y0 >= 0 and a.x1 <= wide and a.y1 <= high
        assert not any(a.overlaps(b) for b in places[:i])


def test_a_drawing_of_the_unet_reads_the_network():
    from course_utils.networks.unet import UNet

    fig = show.draw_unet(UNet(1, 16, (1, 2, 4)), 28)
    words = {text.get_text() for text in fig.axes[0].texts}
    assert {"(16, 28, 28)", "(32, 14, 14)", "(64, 7, 7)", "attention"} <= words


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: show.draw_diagram([["a", "a"]], []), "'a' twice"),
        (lambda: show.draw_diagram(["ab"], []), "lists of names"),
        (lambda: show.draw_diagram([[None]], []), "at least one name"),
        (lambda: show.draw_diagram(ROWS, [("words", "x")]), "no place in rows"),
        (lambda: show.draw_diagram(ROWS, [("words",)]), "an arrow must be"),
        (lambda: show.draw_diagram(ROWS, [("words", "U-Net", "", "?")]), "flow, learn"),
        (lambda: show.draw_diagram(ROWS, [], kinds={"U-Net": "?"}), "data, network"),
        (lambda: show.draw_diagram([["a", "b"], ["c", "d"], ["e", "f"]], [("a", "f")]),
         "without crossing a box"),
        (lambda: show.draw_diagram([["long name " * 9]], []), "the page has"),
        (lambda: show.draw_chain(digits(1)), "at least two"),
        (lambda: show.draw_chain(digits(3), ["x"]), "3 images, 1 labels"),
    ],
)  # fmt: skip
def test_a_drawing_that_cannot_be_made_says_why(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
