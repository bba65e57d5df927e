import math

import pytest
import torch

from course_utils import data, measure
from course_utils.measure import distances


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def whitened(n: int, d: int) -> torch.Tensor:
    """Samples whose own mean is 0 and whose own covariance is the identity."""
    x = normal(n, d).double()
    x = x - x.mean(0)
    return torch.linalg.solve(torch.linalg.cholesky(x.T.cov()), x.T).T


@pytest.fixture(scope="module")
def judge():
    return measure.judge("digits")


@pytest.fixture(scope="module")
def held_out():
    return data.load("digits", "test")


# --- FID -------------------------------------------------------------------------


def test_fid_of_a_set_with_itself_is_zero():
    x = normal(300, 16)
    assert measure.fid(x, x) == pytest.approx(0, abs=1e-9)


def test_fid_of_a_shift_is_the_squared_length_of_the_shift():
    x, shift = normal(200, 5), torch.tensor([3.0, 0, 4, 0, 0])
    assert measure.fid(x, x + shift) == pytest.approx(25, rel=1e-5)


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_fid_of_a_scaled_unit_gaussian_is_d_times_the_squared_difference(scale):
    x = whitened(500, 8)
    assert measure.fid(x, scale * x) == pytest.approx(8 * (scale - 1) ** 2, rel=1e-9)


def test_fid_equals_the_general_formula_with_a_matrix_square_root():
    from scipy.linalg import sqrtm

    a, b = normal(400, 6) @ normal(6, 6, 1), normal(300, 6, 2) @ normal(6, 6, 3) + 1
    s, r = a.double().T.cov(), b.double().T.cov()
    root = torch.from_numpy(sqrtm((s @ r).numpy()).real)
    mean = (a.double().mean(0) - b.double().mean(0)).square().sum()
    assert measure.fid(a, b) == pytest.approx(
        (mean + (s + r - 2 * root).trace()).item()
    )


def test_fid_is_symmetric_and_does_not_change_when_both_sets_are_rotated():
    a, b = normal(100, 4), 2 * normal(80, 4, 1) + 1
    turn = torch.linalg.qr(normal(4, 4, 2)).Q
    assert measure.fid(a, b) == pytest.approx(measure.fid(b, a))
    assert measure.fid(a @ turn, b @ turn) == pytest.approx(measure.fid(a, b), rel=1e-4)


def test_fid_survives_a_feature_that_never_varies():
    x = normal(50, 4)
    x[:, 2] = 1.0
    assert measure.fid(x, x) == pytest.approx(0, abs=1e-6)


def test_fid_is_biased_upwards_when_samples_are_few():
    real = normal(2000, 16)
    few, many = normal(40, 16, 1), normal(2000, 16, 2)
    assert measure.fid(real, few) > 5 * measure.fid(real, many) > 0


def test_fid_says_how_many_samples_it_needs():
    with pytest.raises(ValueError, match="has 16 samples.*at least 17"):
        measure.fid(normal(16, 16), normal(100, 16))


# --- KID -------------------------------------------------------------------------


def test_kid_is_zero_in_expectation_at_any_number_of_samples():
    for n in (10, 100):
        values = [measure.kid(normal(n, 8, i), normal(n, 8, 99 + i)) for i in range(60)]
        kids = torch.tensor(values)
        assert abs(kids.mean()) < 3 * kids.std() / math.sqrt(60)


def test_kid_equals_the_double_sum_over_different_pairs():
    x, y = normal(7, 3).double(), normal(5, 3, 1).double()

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    xx = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 42
    yy = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 20
    xy = sum(k(a, b) for a in x for b in y) / 35
    assert measure.kid(x, y) == pytest.approx((xx + yy - 2 * xy).item())


def test_kid_sees_a_shift():
    assert measure.kid(normal(100, 8), normal(100, 8, 1) + 1) > 0.5


# --- precision, recall, density, coverage ------------------------------------------


def test_identical_sets_have_all_of_prdc_equal_to_one():
    x = normal(200, 4)
    scores = measure.prdc(x, x, k=5)
    assert (scores["precision"], scores["recall"], scores["coverage"]) == (1, 1, 1)
    assert scores["density"] == pytest.approx(1)  # each fake is in k balls on average


def test_disjoint_sets_have_all_of_prdc_equal_to_zero():
    assert set(measure.prdc(normal(50, 3), normal(60, 3, 1) + 100).values()) == {0}


def test_prdc_of_a_line_counted_by_hand():
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])  # k=1: radii 1, 1, 1, 8
    fake = torch.tensor([[0.5], [7.0], [-5.0]])  # radii 5.5, 6.5, 5.5
    scores = measure.prdc(real, fake, k=1)
    assert scores["precision"] == pytest.approx(2 / 3)  # 0.5 and 7, not -5
    assert scores["recall"] == 1.0
    assert scores["density"] == pytest.approx((2 + 1 + 0) / 3)
    assert scores["coverage"] == pytest.approx(3 / 4)  # 0 and 1 by 0.5, 10 by 7


def test_a_collapsed_generator_is_precise_but_covers_little():
    real = normal(300, 4)
    scores = measure.prdc(real, real[:1] + 1e-3 * normal(300, 4, 1))
    assert scores["precision"] == 1
    assert scores["recall"] < 0.05 and scores["coverage"] < 0.1


def test_copies_of_one_point_have_a_ball_of_radius_zero():
    same = torch.ones(20, 3)
    scores = measure.prdc(normal(50, 3), same)
    assert scores["recall"] == 0
    assert not (distances._radii(same, 5) > 0).any()


def test_two_outliers_raise_recall_but_not_coverage():
    real, fake = normal(200, 2), 0.01 * normal(200, 2, 1)
    outliers = torch.tensor([[100.0, 0], [-100, 0]])  # their balls reach to the middle
    before = measure.prdc(real, fake, k=2)
    after = measure.prdc(real, torch.cat([fake, outliers]), k=2)
    assert after["recall"] > 0.9 > 0.1 > before["recall"]
    assert after["coverage"] == before["coverage"]


def test_k_must_be_smaller_than_either_set():
    with pytest.raises(ValueError, match="k=5.*samples in fake"):
        measure.prdc(normal(20, 2), normal(5, 2))


# --- modes and classes -------------------------------------------------------------


def test_the_ring_itself_covers_all_modes_with_99_percent_of_good_points():
    # In 2-D a share 1 - exp(-9/2) = 0.989 lies within 3 std.
    points = data.ring(2500, torch.Generator().manual_seed(0), modes=8, std=0.02)
    scores = measure.modes_covered(points, data.ring_centres(8), std=0.02)
    assert scores["modes"] == 8
    assert scores["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)


def test_points_between_modes_count_for_nothing():
    centres = torch.tensor([[0.0, 0], [1, 0]])
    points = torch.tensor([[0.0, 0.05], [0.5, 0], [0.5, 0], [0, 0.07]])
    scores = measure.modes_covered(points, centres, std=0.02)
    assert scores == {"modes": 1, "high_quality": 0.25}


def test_modes_covered_refuses_what_it_cannot_mean():
    centres = data.ring_centres(8)
    with pytest.raises(ValueError, match="std=0 must be"):
        measure.modes_covered(centres, centres, std=0)
    with pytest.raises(ValueError, match="points has 3 numbers.*centres 2"):
        measure.modes_covered(torch.zeros(4, 3), centres, std=0.1)


def test_classes_covered_counts_classes_that_appear_often_enough():
    labels = torch.tensor([0, 0, 0, 3, 3, 9])
    assert measure.classes_covered(labels) == 3
    assert measure.classes_covered(labels, at_least=2) == 2
    assert measure.classes_covered(labels[:0]) == 0
    with pytest.raises(ValueError, match="0..4: is classes right"):
        measure.classes_covered(labels, classes=5)
    with pytest.raises(ValueError, match="whole numbers"):
        measure.classes_covered(torch.rand(5))


# --- the judge ---------------------------------------------------------------------


def test_the_judge_reads_at_least_97_percent_of_the_held_out_digits(judge, held_out):
    assert judge.accuracy(*held_out) >= 0.97


def test_the_accuracy_that_the_judge_states_is_the_one_it_has(judge, held_out):
    assert judge.held_out_n == 540
    assert judge.held_out_accuracy == pytest.approx(judge.accuracy(*held_out), abs=1e-4)
    assert repr(judge).startswith("judge('digits'): reads 9")


def test_the_fashion_judge_reads_at_least_90_percent():
    judge = measure.judge("fashion")
    assert judge.held_out_accuracy >= 0.9
    stated = pytest.approx(judge.held_out_accuracy, abs=0.015)  # of all 10000
    assert judge.accuracy(*data.load("fashion", "test")) == stated


def test_features_are_near_mean_0_and_variance_1(judge):
    features = judge.features(data.load("digits").images)
    assert features.shape == (1257, 32) and features.dtype == torch.float32
    assert features.mean(0).abs().mean() < 0.5
    assert features.var(0).mean() == pytest.approx(1, abs=0.5)


def test_confidence_is_the_probability_of_the_label(judge, held_out):
    images = held_out.images[:50]
    p = judge.probabilities(images)
    torch.testing.assert_close(p.sum(1), torch.ones(50))
    rows = torch.arange(50)
    torch.testing.assert_close(p[rows, judge.labels(images)], judge.confidence(images))


def test_a_batch_of_any_size_reads_the_same(judge, held_out):
    many = judge.features(held_out.images)
    torch.testing.assert_close(many[:1], judge.features(held_out.images[:1]))
    assert judge.features(held_out.images[:0]).shape == (0, 32)


def test_the_judge_is_frozen_and_keeps_no_graph(judge, held_out):
    images = held_out.images[:3].clone().requires_grad_()
    assert not judge.features(images).requires_grad
    assert not any(p.requires_grad for p in judge.net.parameters())
    assert not judge.net.training


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(4, 8, 8), r"shape \(4, 8, 8\); this judge reads \(N, 1, 8, 8\)"),
        (torch.zeros(4, 3, 8, 8), r"reads \(N, 1, 8, 8\)"),
        (torch.full((4, 1, 8, 8), 16.0), r"\[16, 16\], not in \[-1, 1\].*clamp"),
        (torch.full((4, 1, 8, 8), math.nan), "not finite"),
    ],
)
def test_wrong_pictures_are_refused_with_the_cure(judge, images, message):
    with pytest.raises(ValueError, match=message):
        judge.labels(images)


def test_accuracy_wants_one_label_a_picture(judge, held_out):
    with pytest.raises(ValueError, match=r"pass one label per image, shape \(540,\)"):
        judge.accuracy(held_out.images, held_out.labels[:10])


def test_an_unknown_judge_is_refused():
    with pytest.raises(ValueError, match="digits, fashion, not 'mnist'"):
        measure.judge("mnist")


# --- the report --------------------------------------------------------------------


def test_held_out_digits_score_exactly_their_own_reference(judge, held_out):
    row = judge.report(held_out.images)
    assert row["n"] == 540 and row["classes"] == 10
    for key in ("tiny_fid", "kid", "precision", "recall", "density", "coverage"):
        assert row[key] == row[f"{key}_real"]


def test_static_scores_the_worst_reference_and_real_pictures_the_best(judge, held_out):
    static = (
        torch.rand(540, 1, 8, 8, generator=torch.Generator().manual_seed(7)) * 2 - 1
    )
    row = judge.report(static)
    assert row["tiny_fid"] == pytest.approx(row["tiny_fid_noise"], rel=0.1)
    assert row["tiny_fid"] > 50 * row["tiny_fid_real"]
    assert row["coverage"] < 0.05 < 0.7 < row["coverage_real"]
    assert row["confidence"] < row["confidence_real"]


def test_a_single_digit_repeated_is_seen_as_collapse(judge, held_out):
    row = judge.report(held_out.images[:1].repeat(540, 1, 1, 1))
    assert row["classes"] == 1
    assert row["coverage"] < 0.05 and row["recall"] == 0
    assert row["tiny_fid"] > 20 * row["tiny_fid_real"]


def test_blurring_or_shifting_real_digits_makes_tiny_fid_worse(judge, held_out):
    x = held_out.images
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    shifted = x.roll(2, dims=3)
    for worse in (blurred, shifted):
        row = judge.report(worse)
        assert row["tiny_fid"] > 5 * row["tiny_fid_real"]


def test_the_reference_is_taken_at_the_same_n(judge, held_out):
    few, all_ = judge.report(held_out.images[:100]), judge.report(held_out.images)
    assert few["n"] == 100
    assert few["tiny_fid_real"] > all_["tiny_fid_real"]
    assert few["coverage_real"] < all_["coverage_real"]


def test_more_pictures_than_held_out_ones_are_refused(judge, held_out):
    images = torch.cat([held_out.images, held_out.images])
    with pytest.raises(ValueError, match=r"1080 pictures.*pass images\[:540\]"):
        judge.report(images)


def test_too_few_pictures_are_refused(judge, held_out):
    with pytest.raises(ValueError, match="has 32 samples.*at least 33"):
        judge.report(held_out.images[:32])


# --- time --------------------------------------------------------------------------


def test_relative_seconds_are_those_of_pairs_whatever_slows_the_machine(monkeypatch):
    now, slower = [0.0], iter([1, 1, 1, 1, 50, 50, 1, 1])  # a warm-up each, three pairs

    def taking(seconds):
        def sample(n):
            now[0] += seconds * n * next(slower)
            return torch.zeros(n)

        return sample

    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    assert measure.relative_seconds(taking(3), taking(2), n=4, repeats=3) == 1.5


def test_seconds_per_image_counts_calls_and_divides_by_n():
    calls = []

    def sample(n):
        calls.append(n)
        return torch.zeros(n, 1, 8, 8)

    assert 0 < measure.seconds_per_image(sample, n=10, repeats=3) < 1
    assert calls == [10] * 4  # one to warm up
