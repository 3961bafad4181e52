"""Intervals as the page shows them, and what it says where a bootstrap has nothing to resample."""

import numpy as np

from interp_steer.outcomes import Outcomes, Score
from interp_steer.records import Cell
from interp_steer.stats import Interval, score_interval, wilson_interval


def cell_interval(outcomes: Outcomes, split: str, cell: Cell, score: Score) -> Interval | None:
    """Return the mean score of a cell with its interval over prompts; None where no prompt was scored."""
    defined = [value for value in outcomes.scores(split, cell, score).values() if value is not None]
    return score_interval(np.array(defined, dtype=np.float64)) if defined else None


def alike(interval: Interval) -> bool:
    """Whether every prompt gave the same difference, so that the interval has no width and says nothing."""
    return interval.low == interval.high


def share_that_could_differ(n: int) -> float:
    """Return the share of prompts that may differ although ``n`` of ``n`` are alike: Wilson's upper end, 95 %."""
    return wilson_interval(0, n).high
