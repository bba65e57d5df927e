"""What no judge can read, and no score can mean, is refused with the cure."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from test_oracle import Knower, pictures, scenes

from course_utils import data, images, measure, oracle, toybox
from course_utils.measure import bench
from course_utils.oracle import segmenter

SOME = scenes(8, seed=3)
DRAWN = toybox.render(SOME)
WORDS = [scene.caption for scene in SOME]
DIGITS = data.load("digits", "test")

READERS = {
    "read": oracle.read,
    "features": oracle.features,
    "silhouettes": segmenter.silhouettes,
    "toy_masks": segmenter.toy_masks,
    "attribute_accuracy": lambda x: measure.attribute_accuracy(x, SOME),
    "grades": lambda x: measure.grades(x, SOME),
    "scene_report": measure.scene_report,
    "clip_score": lambda x: measure.clip_score(x, WORDS),
    "clip_retrieval": lambda x: measure.clip_retrieval(x, WORDS),
    "psnr": lambda x: measure.psnr(x, x),
    "ssim": lambda x: measure.ssim(x, x),
}


@pytest.mark.parametrize("reads", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    "wrong, message",
    [
        (None, "must be a torch.Tensor, not None"),
        ([1.0], "must be a torch.Tensor, not a list: use torch.stack"),
        (Image.new("RGB", (64, 64)), "must be a torch.Tensor, not a Image: torch.from"),
        (DRAWN.numpy(), "not a ndarray: use torch.from_numpy"),
        (((DRAWN + 1) * 127.5).to(torch.uint8), r"type torch.uint8.*/ 127.5 - 1"),
        ((DRAWN + 1) * 127.5, r"not in \[-1, 1\]"),
        ((DRAWN + 1) / 2, r"nothing below 0.*0..1, scale it, x \* 2 - 1"),
        (DRAWN * math.nan, "not finite"),
        (DRAWN[0], r"shape|batches|as many"),
    ],
)
def test_no_reader_of_pictures_takes_anything_else(reads, wrong, message):
    with pytest.raises(ValueError, match=message):
        reads(wrong)


def test_the_judge_of_digits_takes_no_picture_in_0_to_1():
    judge = measure.judge("digits")
    with pytest.raises(ValueError, match="nothing below 0"):
        judge.labels((DIGITS.images + 1) / 2)
    with pytest.raises(ValueError, match="must be a torch.Tensor, not None"):
        judge.labels(None)


def test_a_few_pale_pictures_are_read_with_a_warning():
    ground = toybox.grounds.backdrops(64)[:1]  # plain cream, nothing on it
    with pytest.warns(UserWarning, match="nothing below 0"):
        [seen] = oracle.read(ground)
    assert seen["count"] == 0


def test_pictures_in_minus_1_to_1_and_grey_ones_need_no_warning(recwarn):
    images.check_images(DRAWN[:1], 3, 64)
    images.check_images(pictures(20), 3, 64)
    images.check_images(DRAWN[:0], 3, 64)
    assert not recwarn.list


@pytest.mark.parametrize(
    "measured, message",
    [
        (lambda: measure.attribute_accuracy(DRAWN[:0], []), "images is empty"),
        (lambda: measure.clip_score(DRAWN[:0], []), "images is empty"),
        (lambda: measure.clip_retrieval(DRAWN[:0], []), "images is empty"),
        (lambda: measure.psnr(DRAWN[:0], DRAWN[:0]), "a and b are empty"),
        (lambda: measure.iou(DRAWN[:0] > 0, DRAWN[:0] > 0), "a and b are empty"),
        (lambda: measure.tuples([]), "pictures must be .* not empty"),
        (lambda: measure.tuples(SOME, real=[]), "real must be a list of scenes"),
        (lambda: measure.judge().accuracy(*map(torch.clone, NOTHING)), "is empty"),
        (lambda: measure.judge().opinion(NOTHING[0]), "images is empty"),
        (lambda: oracle.targets([]), "scenes is empty"),
    ],
)
def test_nothing_is_not_measured(measured, message):
    with pytest.raises(ValueError, match=message):
        measured()


NOTHING = DIGITS.images[:0], DIGITS.labels[:0]


@pytest.mark.parametrize("score", [measure.psnr, measure.ssim])
def test_pairs_are_batches_of_the_same_kind(score):
    with pytest.raises(ValueError, match=r"of one picture pass a\[None\]"):
        score(DRAWN[0], DRAWN[0])
    with pytest.raises(ValueError, match="b has the type torch.uint8"):
        score(DRAWN, ((DRAWN + 1) * 127.5).to(torch.uint8))
    with pytest.raises(ValueError, match="b has nothing below 0"):
        score(DRAWN, (DRAWN + 1) / 2)


def test_ssim_wants_room_for_its_window_and_iou_a_batch():
    with pytest.raises(ValueError, match="windows of 7x7"):
        measure.ssim(DRAWN[..., :6, :6], DRAWN[..., :6, :6])
    with pytest.raises(ValueError, match="must be batches of one shape"):
        measure.iou(DRAWN[0, 0] > 0, DRAWN[0, 0] > 0)


@pytest.mark.parametrize(
    "asked, message",
    [
        (None, "scenes must be a list, one for each picture, not a NoneType"),
        (["a red cat"], r"what toybox.parse\(caption\) reads.*'a red cat'"),
        ([{"toy": ["cat"]}], "which has a count"),
        ([{"toy": "cat", "count": 1}], "toy must be a list with one value"),
        ([{"toy": ["cat", "car"], "count": 1}], "for each of 1 toys"),
        ([{"toy": ["dragon"], "count": 1}], "toy='dragon' is not one of"),
        ([{"toy": ["cat"], "taste": "sweet", "count": 1}], "no attribute 'taste'"),
    ],
)
def test_what_is_asked_for_must_be_a_scene_or_read_from_a_caption(asked, message):
    with pytest.raises(ValueError, match=message):
        measure.attribute_accuracy(pictures(1), asked, Knower(SOME[:1]))


@pytest.mark.parametrize(
    "captions, message",
    [
        ("a cat", "8 images need as many, not 1"),
        (None, "list of texts"),
        ([3], "texts"),
    ],
)
def test_captions_are_a_list_of_texts(captions, message):
    with pytest.raises(ValueError, match=f"captions.*{message}"):
        measure.clip_score(DRAWN, captions)


@pytest.mark.parametrize(
    "labels, message",
    [
        (DIGITS.labels[:5].float(), "labels must be .* whole numbers"),
        (DIGITS.labels[:5].clone().fill_(10), r"labels must lie in 0\.\.9"),
        ([1, 2, 3, 4, 5], "labels must be a torch.Tensor, not a list"),
    ],
)
def test_labels_are_classes(labels, message):
    with pytest.raises(ValueError, match=message):
        measure.judge("digits").accuracy(DIGITS.images[:5], labels)


POINTS = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: measure.fid(None, POINTS), "first set must be a torch.Tensor"),
        (lambda: measure.kid(POINTS, [1.0]), "second set must be a torch.Tensor"),
        (lambda: measure.kid(POINTS.cfloat(), POINTS), "not finite, or not real"),
        (lambda: measure.prdc(POINTS, POINTS, 1.5), "k=1.5 must be a whole number"),
        (lambda: measure.modes_covered(POINTS, POINTS, math.nan), "std=nan must be"),
        (lambda: measure.modes_covered(POINTS, POINTS, 1, -3), "within=-3 must be"),
        (lambda: measure.classes_covered(DIGITS.labels, 10, 0), "at_least=0 must be"),
        (lambda: measure.seconds_per_image(torch.zeros, 0), "n=0 must be"),
        (lambda: measure.seconds_per_image(torch.zeros, 2, 0), "repeats=0 must be"),
        (lambda: measure.seconds_per_image(None), "sample must be a function"),
        (lambda: measure.relative_seconds(list, None), "other must be a function"),
        (lambda: measure.relative_seconds(list, list, 0), "n=0 must be"),
        (lambda: measure.relative_seconds(list, list, 1, 0), "repeats=0 must be"),
        (lambda: measure.kept_bytes(None), "net must be a torch module"),
        (lambda: measure.tuples(SOME, "toy"), r"pass a tuple, such as \('toy',\)"),
        (lambda: oracle.read(DRAWN, "tiny"), "net must be a Reader, not str"),
        (lambda: segmenter.toy_masks(DRAWN, [{}]), "one dict for each of the 8"),
        (lambda: measure.scene_report(DRAWN, [None] * 8), "scenes must be a list"),
        (lambda: measure.scene_report(DRAWN, real=[]), "real is empty"),
        (lambda: bench.scenes_for("ten_toys", 3), "task='ten_toys' is not one of"),
        (lambda: bench.scenes_for("one_toy", -3), "n=-3 must be a whole number"),
        (lambda: images.to_bytes(DRAWN[0]), r"of one picture pass images\[None\]"),
        (lambda: images.to_bytes(DRAWN * math.nan), "images has values that are nan"),
        (lambda: images.in_parts(len, DRAWN, 0), "most=0 must be"),
        (lambda: images.save_sheet("x.png", DRAWN, 0), "columns=0 must be"),
        (lambda: images.save_sheet("x.png", DRAWN[:0]), "pass at least one"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_sheet_is_read_back_and_no_more_than_it_holds(tmp_path):
    images.save_sheet(str(tmp_path / "sheet.png"), DRAWN, scale=1)
    again = images.read_sheet(str(tmp_path / "sheet.png"), 8)
    assert np.abs((again - DRAWN).numpy()).max() <= 0.51 / 127.5
    with pytest.raises(ValueError, match="n=9: .* holds 8 pictures"):
        images.read_sheet(tmp_path / "sheet.png", 9)
