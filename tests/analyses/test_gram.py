import math

import numpy as np
import pytest

from analyses.gram import (
    consistency,
    consistency_error,
    gram,
    gram_at,
    noise_variance,
    normalization_sensitivity,
    pairs_needed,
    reliability,
    shared_energy,
    signal_test,
    snr,
    snr_writeup,
    weighted_consistency,
    weighted_consistency_error,
)
from analyses.spectrum import mean_share
from interp_steer.errors import AnalysisError

EVERY = [
    consistency,
    consistency_error,
    shared_energy,
    weighted_consistency,
    weighted_consistency_error,
    reliability,
    noise_variance,
    signal_test,
    snr,
    snr_writeup,
    normalization_sensitivity,
]


@pytest.fixture
def differences():
    return np.random.default_rng(0).standard_normal((12, 64)) + 0.3


def of(differences, scale=None):
    return gram(np.asarray(differences, dtype=np.float64), scale or float(np.abs(differences).max() or 1.0))


def test_consistency_is_the_mean_cosine_of_two_different_pairs(differences):
    units = differences / np.linalg.norm(differences, axis=1, keepdims=True)
    cosines = [units[i] @ units[j] for i in range(12) for j in range(12) if i != j]
    assert consistency(of(differences)).value == pytest.approx(np.mean(cosines), abs=1e-14)


def test_jackknife_error_agrees_with_recomputing_without_each_pair(differences):
    without = np.array([consistency(of(np.delete(differences, i, axis=0))).value for i in range(12)])
    expected = np.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
    assert consistency_error(of(differences)).value == pytest.approx(expected, rel=1e-10)


def test_error_of_the_weighted_consistency_agrees_with_recomputing_without_each_pair(differences):
    differences[3] = 0  # a degenerate pair has no energy but counts
    without = np.array([weighted_consistency(of(np.delete(differences, i, axis=0))).value for i in range(12)])
    expected = np.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
    assert weighted_consistency_error(of(differences)).value == pytest.approx(expected, rel=1e-10)
    assert weighted_consistency_error(of(differences[:2])).value is None
    assert weighted_consistency_error(of(np.array([[1.0, 0], [0, 0], [0, 0]]))).value is None


def test_shared_energy_is_the_mean_product_of_two_different_pairs(differences):
    products = [differences[i] @ differences[j] for i in range(12) for j in range(12) if i != j]
    assert shared_energy(of(differences)).value == pytest.approx(np.mean(products), rel=1e-12)


def test_shared_energy_is_unbiased():
    rng = np.random.default_rng(1)
    mean = np.full(8, 0.5)
    estimates = [shared_energy(of(mean + rng.standard_normal((5, 8)))).value for _ in range(2000)]
    error = np.std(estimates) / math.sqrt(2000)
    assert abs(np.mean(estimates) - mean @ mean) < 4 * error


def test_snr_mean_share_and_weighted_consistency_are_one_heuristic(differences):
    found = of(differences)
    shared = weighted_consistency(found).value
    assert snr(found).value ** 2 == pytest.approx(shared / (1 - shared), rel=1e-10)
    assert mean_share(found).value == pytest.approx((1 + 11 * shared) / 12, rel=1e-10)


def test_the_signal_test_is_hotelling_without_the_covariance(differences):
    mean = differences.mean(axis=0)
    expected = 12 * mean @ mean / np.trace(np.cov(differences, rowvar=False))
    assert signal_test(of(differences)).value == pytest.approx(expected, rel=1e-10)


def test_noise_variance_is_the_trace_of_the_sample_covariance(differences):
    expected = np.trace(np.cov(differences, rowvar=False))
    assert noise_variance(of(differences)).value == pytest.approx(expected, rel=1e-12)


def test_normalization_sensitivity_is_a_cosine_of_means(differences):
    scaled = differences * np.arange(1, 13)[:, None]
    unit = (scaled / np.linalg.norm(scaled, axis=1, keepdims=True)).mean(axis=0)
    mean = scaled.mean(axis=0)
    expected = mean @ unit / np.linalg.norm(mean) / np.linalg.norm(unit)
    assert normalization_sensitivity(of(scaled)).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("statistic", EVERY)
def test_pair_order_and_rotation_change_nothing(statistic, differences):
    rotation, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((64, 64)))
    before = statistic(of(differences)).value
    assert statistic(of(differences[::-1])).value == pytest.approx(before, rel=1e-9)
    assert statistic(of(differences @ rotation)).value == pytest.approx(before, rel=1e-9)
    assert statistic(of(-differences)).value == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("statistic", [one for one in EVERY if one not in (shared_energy, noise_variance)])
def test_scale_changes_nothing_that_is_relative(statistic, differences):
    assert statistic(of(7 * differences)).value == pytest.approx(statistic(of(differences)).value, rel=1e-9)


def test_one_pair():
    single = of([[3.0, 4.0]])
    assert normalization_sensitivity(single).value == pytest.approx(1.0)
    for statistic in set(EVERY) - {normalization_sensitivity}:
        measure = statistic(single)
        assert measure.value is None
        assert measure.reason


def test_identical_pairs_agree_perfectly_and_have_no_noise():
    same = of(np.tile([3.0, 4.0], (5, 1)))
    assert consistency(same).value == pytest.approx(1.0)
    assert weighted_consistency(same).value == pytest.approx(1.0)
    assert consistency_error(same).value == pytest.approx(0.0, abs=1e-12)
    assert snr(same).value is None
    assert "zero_norm_variance" in snr_writeup(same).reason


def test_antiparallel_pairs_have_no_mean():
    opposed = of([[1.0, 0.0], [-1.0, 0.0]])
    assert consistency(opposed).value == pytest.approx(-1.0)
    assert reliability(opposed).value is None
    assert normalization_sensitivity(opposed).reason == "the mean difference is zero"


def test_a_zero_pair_has_no_direction_but_counts_in_means():
    with_zero = of([[2.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    assert (with_zero.n, with_zero.n_kept) == (3, 2)
    assert consistency(with_zero).value == pytest.approx(1.0)
    assert shared_energy(with_zero).value == pytest.approx(2 * 4 / 6)  # 2 of 6 ordered pairs have product 4
    assert normalization_sensitivity(with_zero).value == pytest.approx(1.0)


def test_rounding_error_is_not_a_direction():
    differences = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1e-4]])
    assert gram(differences, scale=10.0).n_kept == 3
    rounded = gram(differences, scale=1000.0)  # 1e-4 is below a float32 rounding of 1000
    assert rounded.n_kept == 2
    assert (rounded.matrix[2] == 0).all()


def test_all_zero_is_undefined_with_a_reason():
    for statistic in set(EVERY) - {shared_energy, noise_variance}:
        measure = statistic(of(np.zeros((4, 3))))
        assert measure.value is None
        assert measure.reason


def test_the_writeup_ratio_rises_in_noise_as_pairs_get_fewer_and_ours_stays_low():
    rng = np.random.default_rng(3)
    theirs = {n: np.median([snr_writeup(of(rng.standard_normal((n, 500)))).value for _ in range(50)]) for n in (5, 80)}
    ours = {n: np.median([snr(of(rng.standard_normal((n, 500)))).value for _ in range(50)]) for n in (5, 80)}
    assert theirs[5] > 2.5 * theirs[80]
    assert max(ours.values()) < 0.1


def test_the_writeup_ratio_by_hand():
    # Norms 3 and 5 have standard deviation sqrt(2) with n - 1; the mean difference is (4, 0).
    assert snr_writeup(of([[3.0, 0.0], [5.0, 0.0]])).value == pytest.approx(4 / math.sqrt(2))


def test_snr_recovers_a_planted_ratio():
    noise = np.random.default_rng(4).standard_normal((400, 100))
    assert snr(of(noise + 0.5)).value == pytest.approx(0.5, abs=0.02)  # ||mean|| = 5, sqrt(trace) = 10


@pytest.mark.parametrize(("target", "pairs"), [(0.8, 72), (0.9, 162), (0.95, 342)])
def test_pair_planner_inverts_spearman_brown(target, pairs):
    assert pairs_needed(0.1, target) == pairs
    half = pairs // 2
    assert half * 0.1 / (1 + (half - 1) * 0.1) == pytest.approx(target)


def test_no_number_of_pairs_helps_when_nothing_is_shared():
    assert pairs_needed(-0.01, 0.9) is None


def test_nan_is_refused_naming_layer_and_pair(make_activations):
    activations = make_activations([1.0, 1.0])
    activations.positive[1, 3, 0] = np.nan
    with pytest.raises(AnalysisError, match="layer 1, pair 3"):
        gram_at(activations, 1)
