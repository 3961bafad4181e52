import itertools

import numpy as np
import pytest

from analyses.gram import Gram, consistency, gram
from analyses.resampling import (
    influence,
    leave_one_out,
    leave_one_out_margins,
    sign_flip_p,
    sign_flips,
    stability,
)


def of(differences) -> Gram:
    differences = np.asarray(differences, dtype=np.float64)
    return gram(differences, float(np.abs(differences).max() or 1.0))


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.fixture
def differences():
    return np.random.default_rng(0).standard_normal((12, 64)) + 0.3


@pytest.mark.parametrize(("n", "rows", "complete"), [(1, 1, True), (6, 32, True), (12, 2048, True), (13, 2000, False)])
def test_flips_are_listed_while_that_is_cheap(n, rows, complete):
    flips, listed = sign_flips(n)
    assert (flips.shape, listed) == ((rows, n), complete)
    assert set(np.unique(flips)) <= {-1.0, 1.0}
    if complete:
        assert len({tuple(flip) for flip in flips}) == rows


def test_p_value_agrees_with_flipping_the_vectors_themselves():
    rows = np.random.default_rng(1).standard_normal((7, 5)) + 0.5
    lengths = [
        np.linalg.norm((np.array(signs)[:, None] * rows).sum(axis=0)) for signs in itertools.product((1, -1), repeat=7)
    ]
    expected = np.mean(np.array(lengths) >= np.linalg.norm(rows.sum(axis=0)) - 1e-9)
    assert sign_flip_p(of(rows).matrix).value == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 5, 6])
def test_smallest_p_is_two_to_the_one_minus_n(n):
    assert sign_flip_p(of(np.ones((n, 3))).unit).value == 2.0 ** (1 - n)


def test_drawn_flips_never_give_a_p_of_zero():
    assert sign_flip_p(of(np.ones((20, 3))).unit).value == 1 / 2001


def test_p_is_undefined_for_one_pair():
    assert sign_flip_p(of([[1.0, 2.0]]).unit).value is None


@pytest.mark.parametrize("n", [8, 20])  # listed and drawn flips
def test_p_holds_its_level_in_noise_and_finds_a_signal(n):
    rng = np.random.default_rng(2)
    null = [sign_flip_p(of(rng.standard_normal((n, 10))).unit).value for _ in range(200)]
    assert 0.01 <= np.mean(np.array(null) <= 0.05) <= 0.1
    assert sign_flip_p(of(rng.standard_normal((n, 10)) + 2).unit).value < 0.01


@pytest.mark.parametrize(("n", "splits"), [(2, 1), (3, 3), (4, 3), (5, 15), (6, 10), (7, 20), (40, 20)])
def test_few_pairs_are_split_in_every_way(n, splits):
    assert stability(of(np.random.default_rng(3).standard_normal((n, 30)))).n_splits == splits


def test_stability_of_four_pairs_by_hand(differences):
    four = differences[:4]
    ways = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    cosines = [cosine(four[list(a)].mean(axis=0), four[list(b)].mean(axis=0)) for a, b in ways]
    found = stability(of(four))
    assert found.mean.value == pytest.approx(np.mean(cosines))
    assert found.low.value == pytest.approx(min(cosines))
    assert found.sd.value == pytest.approx(np.std(cosines))


def test_stability_is_what_consistency_predicts():
    rng = np.random.default_rng(4)
    gaps = []
    for _ in range(30):
        found = stability(of(rng.standard_normal((30, 200)) + 0.4))
        gaps.append(found.mean.value - found.expected.value)
    assert abs(np.mean(gaps)) < 0.01


def test_stability_is_reproducible_and_undefined_for_one_pair(differences):
    assert stability(of(differences)) == stability(of(differences))
    assert stability(of(differences[:1])).mean.value is None


def test_a_split_with_a_zero_half_is_left_out():
    # Of the three splits of a, -a, b, b only {a, -a} against {b, b} has a half without direction.
    assert stability(of([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])).n_splits == 2
    assert stability(of(np.zeros((4, 2)))).mean.reason


def test_leave_one_out_agrees_with_fitting_without_each_pair(differences):
    margins = []
    for i, row in enumerate(differences):
        rest = np.delete(differences, i, axis=0).sum(axis=0)
        margins.append(row @ rest / np.linalg.norm(rest))
    accuracy, margin = leave_one_out(of(differences))
    assert accuracy.value == np.mean(np.array(margins) > 0)
    assert margin.value == pytest.approx(np.mean(margins) / np.std(margins, ddof=1), rel=1e-10)


def test_leave_one_out_is_at_chance_in_noise():
    rng = np.random.default_rng(5)
    found = [leave_one_out(of(rng.standard_normal((20, 500))))[0].value for _ in range(100)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_leave_one_out_edge_cases():
    assert leave_one_out(of([[1.0, 0.0]]))[0].value is None
    assert leave_one_out(of([[1.0, 0.0], [-1.0, 0.0]]))[0].value == 0.0
    accuracy, margin = leave_one_out(of(np.tile([3.0, 4.0], (4, 1))))
    assert accuracy.value == 1.0
    assert margin.reason == "every pair has the same margin"
    row = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    alike = np.tile(row, (6, 1)) * (1 + 1e-7 * np.arange(6, dtype=np.float32))[:, None]  # equal, but for rounding
    assert leave_one_out(of(alike.astype(np.float64)))[1].value is None
    assert leave_one_out(of(np.zeros((4, 2))))[0].value == 0.5  # nothing to tell apart: ties


def test_a_zero_pair_is_a_tie():
    accuracy, _ = leave_one_out(of([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1], [0.0, 0.0]]))
    assert accuracy.value == 3.5 / 4


def test_influence_agrees_with_removing_the_pair(differences):
    mean = differences.mean(axis=0)
    expected = [1 - cosine(mean, np.delete(differences, i, axis=0).mean(axis=0)) for i in range(12)]
    assert [measure.value for measure in influence(of(differences))] == pytest.approx(expected, abs=1e-12)


def test_the_outlier_has_the_most_influence():
    rows = np.tile([1.0, 0.0, 0.0], (8, 1)) + 0.01 * np.random.default_rng(6).standard_normal((8, 3))
    rows[5] = [0.0, 20.0, 0.0]
    assert np.argmax([measure.value for measure in influence(of(rows))]) == 5


def test_influence_edge_cases():
    assert influence(of([[1.0, 0.0]]))[0].value is None
    assert {measure.reason for measure in influence(of([[1.0, 0.0], [-1.0, 0.0]]))} == {"the mean difference is zero"}
    assert influence(of([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]))[0].reason == "the other pairs cancel out"


def test_consistency_is_biased_by_bootstrapping_pairs(differences):
    # Why the error of the consistency is a jackknife: duplicated pairs agree perfectly.
    rng = np.random.default_rng(7)
    resampled = [consistency(of(differences[rng.integers(0, 12, 12)])).value for _ in range(300)]
    c = consistency(of(differences)).value
    assert np.mean(resampled) - c == pytest.approx((1 - c) / 12, abs=0.01)


def test_margins_agree_with_projecting_on_the_sum_of_the_others(differences):
    sums = [np.delete(differences, i, axis=0).sum(axis=0) for i in range(12)]
    expected = [row @ rest / np.linalg.norm(rest) for row, rest in zip(differences, sums, strict=True)]
    assert leave_one_out_margins(of(differences)) == pytest.approx(np.array(expected), abs=1e-10)
    cancelled = leave_one_out_margins(of([[1.0, 0], [2.0, 1.0], [-1.0, 0]]))
    assert np.isnan(cancelled).tolist() == [False, True, False]
