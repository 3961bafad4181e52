import numpy as np
import pytest

from interp_steer.report.intervals import alike, score_interval, share_that_could_differ
from interp_steer.report.phrases import interval
from interp_steer.stats import Interval, paired_bootstrap


def test_equal_scores_are_not_certain():
    """Wilson's interval for 24 of 24, by hand: 24 / (24 + 1.96²) = 0.862."""
    found = score_interval([1.0] * 24)
    assert (found.mean, found.n) == (1.0, 24)
    assert (found.low, found.high) == pytest.approx((0.862, 1.0), abs=1e-3)
    none = score_interval([0.0] * 24)
    assert (none.low, none.high) == pytest.approx((0.0, 0.138), abs=1e-3)
    assert share_that_could_differ(24) == pytest.approx(0.138, abs=1e-3)


def test_scores_that_differ_are_resampled():
    found = score_interval([0.0, 1.0, None, 0.5] * 8)
    assert (found.mean, found.n) == (0.5, 24)
    assert 0.2 < found.low < 0.5 < found.high < 0.8
    library = paired_bootstrap(np.array([0.0, 1.0, 0.5] * 8))
    assert (found.low, found.high) == pytest.approx((library.low, library.high), abs=0.05)
    assert score_interval([None]) is None


def test_a_change_without_a_spread_says_so():
    same = Interval(mean=0.0, low=0.0, high=0.0, n=24)
    assert alike(same)
    assert interval(same) == "0.00 [all alike]"
    assert interval(Interval(mean=0.5, low=0.5, high=0.5, n=1)) == "0.50 [one prompt]"
    assert not alike(Interval(mean=0.0, low=-0.1, high=0.1, n=24))
