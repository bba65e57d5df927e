import itertools

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import measure, oracle, toybox


class Knower(oracle.Reader):
    """Reads scenes, not pictures: the logits that a perfect reader would have."""

    def __init__(self, scenes):
        super().__init__(width=2)
        self.answers = oracle.targets(scenes)

    def forward(self, images):
        logits = {}
        for name, values in oracle.QUESTIONS.items():
            answer = self.answers[name].clamp(min=0)
            logits[name] = 20 * nn.functional.one_hot(answer, len(values)).float()
            if answer.ndim == 2:  # (B, 9, answers) to (B, answers, 9)
                logits[name] = logits[name].mT
        return logits


def pictures(n):
    return torch.zeros(n, 3, 64, 64)


def scenes(n, seed=0, **options):
    rng = np.random.default_rng(seed)
    return [toybox.sample(rng, **options) for _ in range(n)]


def test_reading_is_the_inverse_of_targets():
    some = scenes(100)
    for reading, scene in zip(
        oracle.read(pictures(100), Knower(some)), some, strict=True
    ):
        confidence = reading.pop("confidence")
        assert reading == scene.attributes
        assert set(confidence) <= set(reading) and min(confidence.values()) > 0.99


def test_targets_ask_nothing_where_there_is_nothing():
    [scene] = scenes(1, things=1, toy="car", place="bottom")
    answers = oracle.targets([scene])
    assert answers["toy"][0].count_nonzero() == 1
    assert (answers["colour"][0] != oracle.UNASKED).nonzero().tolist() == [[7]]
    assert (answers["mood"] == oracle.UNASKED).all()


def test_an_empty_picture_has_no_toys():
    net = Knower(scenes(1))
    net.answers["toy"].zero_()
    [reading] = oracle.read(pictures(1), net)
    assert reading["count"] == 0 and reading["toy"] == [] and "mood" not in reading


def test_each_place_is_seen_where_it_is():
    net = oracle.Reader(width=2).eval()
    with torch.no_grad():
        for weights in net.parameters():
            weights.fill_(1.0)  # then each window feels most what is in its centre
        for row, column in itertools.product(range(3), range(3)):
            spot, y, x = pictures(1), 16 * (row + 1), 16 * (column + 1)
            spot[:, :, y - 6 : y + 6, x - 6 : x + 6] = 1
            change = net.places(net.maps(spot)) - net.places(net.maps(pictures(1)))
            assert change[0, 0].argmax() == 3 * row + column


def test_shapes_of_maps_and_features():
    net = oracle.Reader(width=4).eval()
    assert net.maps(pictures(2)).shape == (2, 12, 8, 8)
    assert oracle.features(pictures(2), net).shape == (2, 16)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 1, 64, 64), r"\(2, 1, 64, 64\); this judge reads"),
        (torch.full((1, 3, 64, 64), 2.0), r"not in \[-1, 1\]"),
        (torch.full((1, 3, 64, 64), torch.nan), "not finite"),
    ],
)
def test_what_cannot_be_read_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        oracle.read(images, oracle.Reader(width=2))


def test_everything_right_scores_one():
    some = scenes(60)
    scores = measure.attribute_accuracy(pictures(60), some, Knower(some))
    assert set(scores) == {*toybox.ATTRIBUTES, "all"} and set(scores.values()) == {1.0}


def test_a_wrong_colour_costs_colour_and_all():
    asked = toybox.Scene((toybox.Thing("cat", "red"),), "snow")
    drawn = toybox.Scene((toybox.Thing("cat", "blue"),), "snow")
    scores = measure.attribute_accuracy(pictures(1), [asked], Knower([drawn]))
    assert {name for name, score in scores.items() if score == 0} == {"colour", "all"}


def test_colours_on_the_wrong_toys_are_wrong():
    def pair(first, second):
        left = toybox.Thing("cat", first, place="left")
        return toybox.Scene((left, toybox.Thing("car", second, place="right")))

    asked, drawn = pair("red", "blue"), pair("blue", "red")
    scores = measure.attribute_accuracy(pictures(1), [asked], Knower([drawn]))
    assert scores["colour"] == 0 and scores["toy"] == 1


def test_a_missing_toy_has_everything_wrong():
    left, right = toybox.Thing("cat", "red"), toybox.Thing("car", "blue", place="right")
    asked, drawn = toybox.Scene((left, right)), toybox.Scene((left,))
    scores = measure.attribute_accuracy(pictures(1), [asked], Knower([drawn]))
    assert scores["toy"] == scores["colour"] == 0.5 and scores["count"] == 0


def test_what_a_caption_leaves_out_is_not_asked_for():
    drawn = toybox.Scene((toybox.Thing("cat", "red", mood="sad"),), "snow")
    said = toybox.parse("a red cat")
    scores = measure.attribute_accuracy(pictures(1), [said], Knower([drawn]))
    assert scores == {"all": 1, "toy": 1, "colour": 1, "count": 1}


def test_images_and_scenes_must_be_as_many():
    with pytest.raises(ValueError, match="as many scenes, not 1"):
        measure.attribute_accuracy(pictures(2), scenes(1), oracle.Reader(width=2))
