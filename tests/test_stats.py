import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from interp_steer.errors import AnalysisError
from interp_steer.stats import BCA_FROM, detectable, paired_bootstrap, rank_correlation, wilson_interval

scores = st.floats(-1, 1) | st.sampled_from([-1.0, 0.0, 1.0])  # scores of 0 and 1 have many ties
some_numbers = st.lists(scores, min_size=1, max_size=30).map(np.array)


def test_the_bootstrap_covers_the_true_mean():
    rng = np.random.default_rng(0)
    found = [paired_bootstrap(rng.normal(0.3, 1.0, size=24), seed=draw, resamples=1000) for draw in range(2000)]
    covered = np.mean([one.low <= 0.3 <= one.high for one in found])
    # Truly 93 %: a bootstrap of 24 is a little short. Of 500 draws, one set in three would fall below 92 %.
    assert 0.92 <= covered <= 0.98


@pytest.mark.parametrize("n", [6, 24])
def test_the_interval_leans_with_skewed_differences(n):
    """With few prompts by percentiles, resampled here by hand; with 20 or more, further to the side of the tail."""
    rng = np.random.default_rng(1)
    differences = rng.exponential(size=n)
    ours = paired_bootstrap(differences, resamples=20_000)
    means = differences[rng.integers(0, n, size=(20_000, n))].mean(axis=1)
    tail = 100 * scipy_stats.norm.cdf(-scipy_stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1)))
    low, high = np.percentile(means, [tail, 100 - tail])
    assert (ours.mean, ours.n) == (pytest.approx(differences.mean()), n)
    if n < BCA_FROM:
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.02)
    else:
        assert low + 0.02 < ours.low < ours.mean < high + 0.02 < ours.high


@settings(deadline=None)
@given(some_numbers)
def test_the_bootstrap_stays_within_the_differences_and_around_their_mean(differences):
    found = paired_bootstrap(differences, resamples=200)
    tolerance = 1e-12
    assert differences.min() - tolerance <= found.low <= found.high <= differences.max() + tolerance
    flipped = paired_bootstrap(-differences, resamples=200)
    assert (flipped.mean, flipped.low, flipped.high) == pytest.approx((-found.mean, -found.high, -found.low), abs=1e-9)


def test_equal_differences_have_an_interval_without_width():
    for differences in (np.full(24, 0.25), np.array([0.25])):
        found = paired_bootstrap(differences)
        assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize("n", [8, 24])
def test_differences_that_are_equal_but_for_rounding_have_one_too(n):
    differences = np.where(np.arange(n) < 5, 0.3 - 0.1, 0.4 - 0.2)
    assert np.ptp(differences) > 0
    found = paired_bootstrap(differences)
    assert found.low == found.high == found.mean == pytest.approx(0.2)


def test_a_seed_gives_one_interval_and_a_level_its_width():
    differences = np.random.default_rng(0).normal(size=24)
    assert paired_bootstrap(differences) == paired_bootstrap(differences)
    assert paired_bootstrap(differences) != paired_bootstrap(differences, seed=1)
    narrow, wide = paired_bootstrap(differences, level=0.5), paired_bootstrap(differences, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("differences", [[], [0.1, np.nan], [np.inf], [-np.inf, 0.0]])
def test_what_has_no_mean_cannot_be_bootstrapped(differences):
    with pytest.raises(AnalysisError, match="cannot bootstrap"):
        paired_bootstrap(np.array(differences, dtype=float))


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 24), (24, 24), (1, 24), (12, 24), (7, 9), (500, 1000)])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_wilson_is_that_of_scipy(successes, n, level):
    found = wilson_interval(float(successes), n, level=level)
    expected = scipy_stats.binomtest(successes, n).proportion_ci(confidence_level=level, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.mean, found.n) == (successes / n, n)


@pytest.mark.parametrize("n", [0, -1])
def test_a_proportion_of_nothing_is_refused(n):
    with pytest.raises(AnalysisError, match="proportion of nothing"):
        wilson_interval(0.0, n)


def test_rank_correlation_by_hand():
    assert rank_correlation([1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 40.0, 30.0]) == pytest.approx(
        0.8
    )  # 1 - 6 * 2 / (4 * 15)
    expected = np.corrcoef([1, 2.5, 2.5, 4], [1, 2, 3, 4])[0, 1]
    assert rank_correlation([0.0, 5.0, 5.0, 9.0], [1.0, 2.0, 3.0, 4.0]) == pytest.approx(expected)


def test_only_positions_with_both_values_count():
    first, second = [1.0, None, 2.0, 3.0, 9.0], [3.0, 7.0, 2.0, 1.0, None]
    assert rank_correlation(first, second) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], []),
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0, None, 4.0], [1.0, 2.0, 3.0, None]),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, None]),
    ],
)
def test_too_few_positions_or_a_constant_have_no_correlation(first, second):
    assert rank_correlation(first, second) is None
    assert rank_correlation(second, first) is None


def test_a_monotone_change_of_either_side_changes_nothing():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=30), rng.normal(size=30)
    found = rank_correlation(list(first), list(second))
    assert rank_correlation(list(np.exp(first)), list(second**3)) == pytest.approx(found)
    assert rank_correlation(list(-first), list(second)) == pytest.approx(-found)


def test_sides_of_unequal_length_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="shorter"):
        rank_correlation([1.0, 2.0, 3.0], [1.0, 2.0])


@pytest.mark.parametrize("n", [6, 24])
def test_an_effect_of_the_detectable_size_is_found_four_times_in_five(n):
    """By Student's test, with as few prompts as count as evidence too."""
    rng = np.random.default_rng(6)
    unit = rng.standard_normal(n)
    size = detectable((unit - unit.mean()) / unit.std(ddof=1))
    draws = rng.standard_normal((4000, n)) + size
    found = scipy_stats.ttest_1samp(draws, 0, axis=1)
    assert np.mean((found.pvalue < 0.05) & (found.statistic > 0)) == pytest.approx(0.8, abs=0.03)


def test_equal_differences_detect_nothing_that_could_be_named():
    assert detectable(np.ones(1)) is None
    assert detectable(np.full(8, 0.3)) is None
