"""Pairs of pictures, masks, attribute tuples, reports on scenes, network calls."""

import math

import numpy as np
import pytest
import torch
from test_oracle import Knower, pictures, scenes
from torch import nn

from course_utils import measure, oracle, toybox

# --- pairs -------------------------------------------------------------------------


def test_psnr_of_a_constant_error_is_its_size_against_a_peak_of_2():
    a = torch.full((2, 3, 8, 8), -0.5)
    b = a + torch.tensor([0.2, 0.02]).view(2, 1, 1, 1)
    torch.testing.assert_close(measure.psnr(a, b), torch.tensor([20.0, 40.0]))


def test_psnr_of_black_and_white_is_zero_and_of_equal_pictures_infinite():
    black = torch.full((1, 3, 4, 4), -1.0)
    with pytest.warns(UserWarning, match="b has nothing below 0"):
        assert measure.psnr(black, -black).item() == 0
    assert measure.psnr(black, black).item() == math.inf


def test_psnr_is_scikit_images():
    from skimage.metrics import peak_signal_noise_ratio

    a, b = torch.rand(2, 3, 1, 16, 16) * 2 - 1
    theirs = [
        peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=2)
        for x, y in zip(a, b, strict=True)
    ]
    torch.testing.assert_close(measure.psnr(a, b), torch.tensor(theirs).float())


def test_ssim_is_one_for_itself_and_falls_with_blur_and_noise():
    a = toybox.render(scenes(3))
    blurred = nn.functional.avg_pool2d(a, 3, 1, 1, count_include_pad=False)
    noise = torch.rand(a.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(measure.ssim(a, a), torch.ones(3))
    assert (measure.ssim(a, blurred) < 0.99).all()
    assert (measure.ssim(a, noise).abs() < 0.1).all()


def test_ssim_of_two_flat_pictures_is_its_term_of_the_means():
    a, b = torch.full((1, 1, 8, 8), -0.5), torch.full((1, 1, 8, 8), -0.1)
    c = (0.01 * 2) ** 2  # (K1 L)^2, L the range of values
    expected = (2 * 0.5 * 0.1 + c) / (0.5**2 + 0.1**2 + c)
    assert measure.ssim(a, b).item() == pytest.approx(expected, rel=1e-4)


def test_iou_counted_by_hand():
    a, b = torch.zeros(4, 4, 4, dtype=torch.bool), torch.zeros(4, 4, 4).bool()
    a[0, :2], b[0, 1:3] = True, True  # rows 0, 1 and rows 1, 2: one of three
    a[1], b[1] = True, True
    a[2] = True  # against nothing; the fourth pair: nothing against nothing
    expected = torch.tensor([1 / 3, 1.0, 0.0, 1.0])
    torch.testing.assert_close(measure.iou(a, b), expected)


@pytest.mark.parametrize("name", ["psnr", "ssim", "iou"])
def test_pairs_must_have_one_shape(name):
    with pytest.raises(ValueError, match=r"not \(2, 3, 8, 8\) and \(1, 3, 8, 8\)"):
        getattr(measure, name)(torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def test_soft_masks_are_refused_with_the_cure():
    with pytest.raises(ValueError, match="pass mask > 0.5"):
        measure.iou(torch.rand(1, 4, 4), torch.rand(1, 4, 4))


# --- what was asked ----------------------------------------------------------------


def pair(first, second):
    left = toybox.Thing(first, "red", place="left")
    return toybox.Scene((left, toybox.Thing(second, "red", place="right")))


def test_exchanged_toys_have_the_wrong_relation():
    asked, drawn = toybox.parse("a cat left of a car"), pair("car", "cat")
    scores = measure.attribute_accuracy(pictures(1), [asked], Knower([drawn]))
    assert scores["toy"] == 1 and scores["relation"] == scores["all"] == 0


@pytest.mark.parametrize("said", ["a cat left of a car", "a car to the right of a cat"])
def test_toys_in_their_order_have_the_right_relation(said):
    some = Knower([pair("cat", "car")])
    scores = measure.attribute_accuracy(pictures(1), [toybox.parse(said)], some)
    assert set(scores.values()) == {1}


# --- tuples ------------------------------------------------------------------------


def toys(*names):
    return [toybox.Scene([toybox.Thing(name, "red")]) for name in names]


def test_identical_sets_cover_all_tuples_and_have_no_divergence():
    some = scenes(300)
    assert measure.tuples(some, real=some) == {
        "modes": len({(t.toy, t.colour) for s in some for t in s.things}),
        "possible": len({(t.toy, t.colour) for s in some for t in s.things}),
        "outside": 0,
        "kl": 0,
    }


def test_one_tuple_of_k_equal_ones_diverges_by_log_k():
    found = measure.tuples(toys(*["cat"] * 9), real=toys("cat", "car", "star", "fish"))
    assert found == {
        "modes": 1,
        "possible": 4,
        "outside": 0,
        "kl": pytest.approx(math.log(4)),
    }


def test_the_divergence_is_of_the_pictures_from_the_real_not_the_reverse():
    shown, real = toys("cat", "cat", "cat", "car"), toys("cat", "car")
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert measure.tuples(shown, real=real)["kl"] == pytest.approx(expected)


def test_tuples_that_the_real_set_lacks_are_outside():
    found = measure.tuples(toys("cat", "car", "fish", "fish"), real=toys("cat", "car"))
    assert found["outside"] == 0.5 and found["kl"] == 0 and found["modes"] == 2
    nothing = measure.tuples(toys("fish"), real=toys("cat"))
    assert nothing["kl"] == math.inf and nothing["modes"] == 0


def test_true_samples_diverge_by_about_their_number_of_tuples_over_2n():
    names = ["cat", "car", "star", "fish", "duck"]
    rng = np.random.default_rng(0)
    kls = [
        measure.tuples(toys(*rng.choice(names, 50)), real=toys(*names))["kl"]
        for _ in range(100)
    ]
    assert np.mean(kls) == pytest.approx(4 / 100, rel=0.2)


def test_pictures_are_read_by_the_oracle():
    some = scenes(40)
    asked = ("toy", "colour", "ground")
    read = measure.tuples(pictures(40), asked, real=some, net=Knower(some))
    assert read == measure.tuples(some, asked, real=some) and read["kl"] == 0


def test_the_toybox_never_shows_its_held_out_colours_in_training():
    found = measure.tuples(scenes(500))
    assert found["possible"] == 17 * 7 and found["outside"] == 0
    unseen = [toybox.Scene([toybox.Thing(*pair)]) for pair in toybox.HELD_OUT.items()]
    assert measure.tuples(unseen)["outside"] == 1


def test_an_unknown_attribute_of_a_tuple_is_refused():
    with pytest.raises(ValueError, match="attributes: no 'shape'; there are toy"):
        measure.tuples(toys("cat"), ("shape",))


# --- reports on scenes -------------------------------------------------------------


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    config = {"net": {"width": 4}, "held_out_accuracy": {"all": 0.25}}
    return oracle.make_reader(oracle.Reader(width=4).state_dict(), config)


def test_true_renders_score_exactly_their_own_ceiling(reader):
    some, real = scenes(40, seed=1, split="test"), scenes(60)
    row = measure.scene_report(toybox.render(some), some, real, reader)
    assert row["n"] == 40 and row["judge_accuracy"] == 0.25
    for key in ("tiny_fid", "kid", "precision", "recall", "density", "coverage"):
        assert row[key] == row[f"{key}_real"]
    assert row["tiny_fid_noise"] > 3 * row["tiny_fid_real"]


def test_a_report_on_scenes_has_the_keys_of_any_report(reader):
    images = torch.zeros(40, 3, 64, 64)
    row = measure.scene_report(images, real=scenes(60), net=reader)
    digits = measure.judge("digits").report(torch.zeros(40, 1, 8, 8))
    assert list(row) == list(digits)
    assert row["recall"] == 0 and row["coverage"] < 0.2


def test_a_scene_for_each_picture_is_wanted(reader):
    with pytest.raises(ValueError, match="2 images need as many scenes, not 1"):
        measure.scene_report(pictures(2), scenes(1), net=reader)


def test_the_onlooker_counts_toys_that_one_picture_in_a_hundred_shows():
    from course_utils.measure.reports import OracleFeatures

    some = toys("cat", *["car"] * 99)
    opinion = OracleFeatures(Knower(some)).opinion(pictures(100))
    assert opinion["classes"] == 1 and opinion["confidence"] > 0.99


# --- network calls -----------------------------------------------------------------


def test_calls_and_rows_are_counted_and_then_no_more():
    net = nn.Linear(3, 2)
    with measure.calls(net) as count:
        net(torch.zeros(5, 3))
        net(input=torch.zeros(2, 3))
    net(torch.zeros(1, 3))
    assert (count.calls, count.rows) == (2, 7)


def test_counting_ends_even_where_the_work_fails():
    net = nn.Linear(3, 2)
    with pytest.raises(RuntimeError), measure.calls(net):
        net(torch.zeros(5, 4))
    assert not net._forward_pre_hooks


def test_only_modules_can_be_counted():
    with pytest.raises(ValueError, match="a torch module, not function"):
        with measure.calls(lambda x: x):
            pass


def test_kept_bytes_are_the_activations_and_not_the_weights():
    net = nn.Sequential(nn.Linear(8, 16), nn.Sigmoid(), nn.Linear(16, 4))
    x = torch.randn(5, 8)
    assert measure.kept_bytes(net, x) == 4 * (x.numel() + 5 * 16)  # not the last 5 * 4
    assert measure.kept_bytes(net, torch.cat([x, x])) == 8 * (x.numel() + 5 * 16)
    with torch.no_grad():  # whoever asks: it is about learning
        assert measure.kept_bytes(net, x) == 4 * (x.numel() + 5 * 16)
