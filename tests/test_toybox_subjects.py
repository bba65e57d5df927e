"""Subjects: marks are seen, they stand where a scene says, what is refused."""

import pytest
import torch

from course_utils import toybox
from course_utils.toybox import Scene, Subject, Thing

MINE = Subject("star", "yellow", marks={"hat": "purple", "wings": "blue"})


def test_every_mark_is_seen_on_every_toy():
    for toy in toybox.ATTRIBUTES["toy"]:
        found = Subject(
            toy, "purple", marks=dict.fromkeys(toybox.MARKS, "yellow")
        ).layers
        assert found.shape == (8 + len(toybox.MARKS), 256, 256)
        for mark in toybox.MARKS:
            alone = Subject(toy, "purple", marks={mark: "yellow"}).layers[8]
            assert alone.mean() > 0.02, (toy, mark)


def test_a_mark_has_its_colour_and_hides_the_toy():
    _, bare, masks = toybox.portray_layers(
        MINE, [toybox.setting(MINE, "middle", "sky")]
    )
    whole = toybox.portray(MINE, [toybox.setting(MINE, "middle", "sky")])
    hat = masks[0, 1] > 0.99
    purple = torch.tensor(toybox.COLOURS["purple"]) * 2 - 1
    torch.testing.assert_close(
        whole[0][:, hat], purple[:, None].expand(3, hat.sum()), atol=0.02, rtol=0
    )
    assert not torch.equal(whole, bare)
    outside = masks[0].amax(0) == 0
    assert torch.equal(whole[..., outside], bare[..., outside])


def test_a_subject_stands_where_the_thing_would():
    places = [toybox.setting(MINE, place, "snow") for place in toybox.PLACES]
    masks = toybox.portray_layers(MINE, places)[2][:, 0]
    rows = torch.arange(64) + 0.5
    weight = masks.sum((1, 2))
    x = (masks.sum(1) * rows).sum(1) / weight / 64
    y = (masks.sum(2) * rows).sum(1) / weight / 64
    wanted = torch.tensor([scene.things[0].centre for scene in places])
    assert (torch.stack([x, y], 1) - wanted).abs().max() < 0.06


def test_a_quarter_turn_turns_the_picture():
    things = [Thing("star", "yellow", turn=angle) for angle in (0.0, 90.0)]
    upright, turned = (toybox.portray(MINE, [Scene([thing])]) for thing in things)
    torch.testing.assert_close(turned, upright.rot90(-1, (2, 3)), atol=1e-4, rtol=0)


def test_twice_the_size_is_the_same_picture_sampled_finer():
    scene = [toybox.setting(MINE, "left", "plain mint")]
    small, large = toybox.portray(MINE, scene), toybox.portray(MINE, scene, size=128)
    halved = torch.nn.functional.avg_pool2d(large, 2)
    assert (halved - small).abs().mean() < 0.01


def test_two_things_are_two_subjects():
    scene = Scene([Thing("cat", "red", place=place) for place in ("left", "right")])
    _, _, masks = toybox.portray_layers(MINE, [scene])
    left, right = masks[0, 0].chunk(2, dim=1)
    assert left.sum() > 300 and right.sum() > 300


def test_an_album_shares_neither_ground_nor_place_with_the_others():
    for n in (1, 4, 5):
        first, others = toybox.photo_scenes(MINE, n, seed=3)
        assert len(first) == n and len(others) == min(n, 9 - n)
        every = first + others
        assert len({scene.ground for scene in every}) == len(every)
        assert len({scene.things[0].place for scene in every}) == len(every)
        assert {scene.ground for scene in every} <= set(MINE.contrasts)
    assert toybox.photo_scenes(MINE, 4, seed=1) != toybox.photo_scenes(MINE, 4, seed=2)


def test_a_drawing_is_a_subject_too():
    drawing = torch.zeros(4, 16, 16)
    drawing[:, 4:12, 6:10] = torch.tensor([0.14, 0.41, 0.88, 1.0])[:, None, None]
    mine = Subject("doll", drawing=drawing)
    assert mine.layers.shape == (8, 256, 256)
    assert "sea" not in mine.contrasts and "sand" in mine.contrasts  # it is blue
    picture = toybox.portray(mine, [toybox.setting(mine, "middle", "sand")])
    assert picture[0, 2, 32, 32] > picture[0, 0, 32, 32]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Subject("toy"), "toy='toy' is not one of"),
        (lambda: Subject("star", marks={"nose": "red"}), "marks: no 'nose'; there are"),
        (lambda: Subject("star", marks={"hat": "teal"}), "colour='teal' is not one of"),
        (lambda: Subject("star", marks=["hat"]), "marks must be a dict"),
        (lambda: Subject("star", drawing=torch.ones(3, 8, 8)), "pass (4, H, W)"),
        (lambda: Subject("star", drawing=torch.zeros(4, 8, 8)), "drawing is empty"),
        (lambda: Subject("star", drawing=255 * torch.ones(4, 8, 8)), "divide bytes"),
        (lambda: Subject("star", drawing=[[1]]), "drawing must be a torch.Tensor"),
        (lambda: toybox.photo_scenes("star"), "subject must be a Subject"),
        (lambda: toybox.photo_scenes(MINE, 6), "n=6 must be at most 5"),
        (lambda: toybox.portray(MINE, []), "scenes is empty"),
    ],
)
def test_what_cannot_be_is_refused_with_a_cure(make, words):
    with pytest.raises(ValueError, match=".*") as error:
        make()
    assert words in str(error.value)
