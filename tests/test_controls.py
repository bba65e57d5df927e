"""Is a condition followed? Closed forms, true renders, planted wrong pictures."""

import pytest
import torch

from course_utils import toybox
from course_utils.measure import controls
from course_utils.oracle.points import peaks


def square(at, side=10):
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, at : at + side, at : at + side] = True
    return mask


def test_an_outline_is_two_pixels_wide_and_goes_around():
    line = controls.outlines(square(20))
    assert line[0, 25].nonzero().flatten().tolist() == [19, 20, 29, 30]
    assert not line[0, 21:29, 21:29].any()


def test_lines_a_pixel_apart_are_equal_and_others_are_not():
    line = controls.outlines(square(20))
    near, far = line.roll(1, 2), line.roll(5, 2)
    assert controls.line_f1(line, line) == 1
    assert controls.line_f1(near, line) == 1
    assert controls.line_f1(near, line, within=0) < 0.8
    assert controls.line_f1(far, line) < 0.7


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    truth = torch.zeros(1, 9, 9, dtype=torch.bool)
    truth[0, 0] = True  # nine pixels
    found = torch.zeros_like(truth)
    found[0, 0, :3] = True  # all right within 0, a third found
    assert controls.line_f1(found, truth, within=0).item() == pytest.approx(0.5)
    found[0, 8, :3] = True  # and as many wrong
    assert controls.line_f1(found, truth, within=0).item() == pytest.approx(0.4)


def test_nothing_found_is_0_and_nothing_to_find_is_1():
    line, none = controls.outlines(square(20)), torch.zeros(1, 64, 64) > 0
    assert controls.line_f1(none, line) == 0 and controls.line_f1(none, none) == 1
    empty = torch.zeros(1, 64, 64, dtype=torch.long)
    assert controls.segment_iou(empty, empty) == 1


def test_segments_of_the_wrong_kind_do_not_count():
    truth = square(20).long() * 3
    assert controls.segment_iou(truth, truth) == 1
    assert controls.segment_iou(square(20).long() * 4, truth) == 0
    half = truth.clone()
    half[:, :25] = 0
    assert controls.segment_iou(half, truth).item() == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["edges", "scribble", "segmentation", "pose"])
def test_true_renders_follow_and_those_of_other_scenes_do_not(kind):
    some = controls.control_scenes(kind, 8)
    images = toybox.render(some)
    right = controls.followed(kind, images, some)
    wrong = controls.followed(kind, images.roll(1, 0), some)
    if kind == "pose":  # a distance
        assert right.max() < 1.5 < 5 < wrong.mean()
    else:
        assert right.min() > 0.9 and wrong.mean() < 0.4


def test_a_doll_that_is_not_there_is_half_a_picture_away():
    [scene] = controls.control_scenes("pose", 1)
    cat = toybox.render([toybox.Scene([toybox.Thing("cat", "red")])])
    assert controls.followed("pose", cat, [scene]) == controls.MISSED


def test_captions_say_what_but_not_where():
    for scene in controls.control_scenes("edges", 6):
        said = toybox.parse(controls.caption_of(scene))
        assert "place" not in said and "size" not in said
        assert said["colour"] == scene.attributes["colour"]
    assert all(s.things[0].toy == "doll" for s in controls.control_scenes("pose", 3))


def test_a_peak_is_found_between_pixels():
    at = torch.arange(64) + 0.5
    hill = torch.exp(-((at[:, None] - 20.3) ** 2 + (at - 41.7) ** 2) / 4.5)
    torch.testing.assert_close(
        peaks(hill[None])[0], torch.tensor([41.7, 20.3]), atol=0.05, rtol=0
    )


def test_what_cannot_be_measured_is_refused():
    some, line = controls.control_scenes("edges", 1), controls.outlines(square(3))
    with pytest.raises(ValueError, match="kind='depth' is not edges"):
        controls.followed("depth", toybox.render(some), some)
    with pytest.raises(ValueError, match="truth is torch.float32"):
        controls.line_f1(line, line.float())
    with pytest.raises(ValueError, match="found is torch.bool"):
        controls.segment_iou(line, line)
