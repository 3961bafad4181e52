import numpy as np
import pytest

from analyses.truth import ground_truth
from interp_steer.outcomes import read_outcomes
from interp_steer.records import Cell
from interp_steer.report.intervals import alike, cell_interval, share_that_could_differ
from interp_steer.report.phrases import interval
from interp_steer.stats import Interval, paired_bootstrap, score_interval


def test_equal_scores_are_not_certain():
    """Wilson's interval for 24 of 24, by hand: 24 / (24 + 1.96²) = 0.862."""
    found = score_interval(np.ones(24))
    assert (found.mean, found.n) == (1.0, 24)
    assert (found.low, found.high) == pytest.approx((0.862, 1.0), abs=1e-3)
    none = score_interval(np.zeros(24))
    assert (none.low, none.high) == pytest.approx((0.0, 0.138), abs=1e-3)
    assert share_that_could_differ(24) == pytest.approx(0.138, abs=1e-3)


def test_scores_that_differ_have_the_interval_that_differences_have():
    scores = np.array([0.0, 1.0, 0.5] * 8)
    assert score_interval(scores) == paired_bootstrap(scores)


def test_one_quantity_has_one_interval_everywhere(finished_run, report):
    """The maps, the curve by layer and the layer analysis say the same of the same cell."""
    outcomes = read_outcomes(finished_run)
    truth = ground_truth(outcomes)
    depth = next(series for series in report.sweep.depth.series if series.name == "combined")
    found = list(zip(depth.y, depth.low, depth.high, strict=True))
    assert found == [(one.score.mean, one.score.low, one.score.high) for one in truth.by_layer.values()]
    grid = next(grid for grid in report.sweep.grids if grid.score == "behavior")
    cell = Cell(control="steered", layer=14, alpha=0.3)
    dev = cell_interval(outcomes, "dev", cell, "behavior")
    curve = report.sweep.strength.series[0]
    at = report.sweep.strength.x.index(0.3)
    assert (grid.low[1][14], grid.high[1][14]) == (dev.low, dev.high) == (curve.low[at], curve.high[at])
    scores = [score for score in outcomes.scores("dev", cell, "behavior").values() if score is not None]
    assert dev == paired_bootstrap(np.array(scores))


def test_a_change_without_a_spread_says_so():
    same = Interval(mean=0.0, low=0.0, high=0.0, n=24)
    assert alike(same)
    assert interval(same) == "0.00 [all alike]"
    assert interval(Interval(mean=0.5, low=0.5, high=0.5, n=1)) == "0.50 [one prompt]"
    assert not alike(Interval(mean=0.0, low=-0.1, high=0.1, n=24))
