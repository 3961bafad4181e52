"""Intervals as the page shows them, and what it says where a bootstrap has nothing to resample."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from interp_steer.findings import Number
from interp_steer.outcomes import Outcomes, Score
from interp_steer.records import Cell
from interp_steer.stats import Interval, wilson_interval

_RESAMPLES = 2000


def score_interval(values: Sequence[Number]) -> Interval | None:
    """Return the mean of scores in [0, 1] with a 95 % percentile bootstrap over prompts; None where nothing is defined.

    Where every prompt has the same score a bootstrap has no width, which would read as certainty: Wilson's
    interval stands there. It is that of the widest scores with this mean, all 0 or 1, hence no narrower than the truth.
    """
    defined = np.array([value for value in values if value is not None], dtype=np.float64)
    if defined.size == 0:
        return None
    if np.ptp(defined) < 1e-12:
        return wilson_interval(float(np.clip(defined.sum(), 0, defined.size)), int(defined.size))
    low, high = np.percentile(_shares(int(defined.size)) @ defined, [2.5, 97.5])
    return Interval(mean=float(defined.mean()), low=float(low), high=float(high), n=int(defined.size))


@lru_cache(maxsize=8)
def _shares(n: int) -> Float[np.ndarray, "resample prompt"]:
    """Return how much of each resample is each prompt: drawn once, for a map asks for hundreds of intervals."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n


def cell_interval(outcomes: Outcomes, split: str, cell: Cell, score: Score) -> Interval | None:
    """Return the mean score of a cell with its interval over prompts; None where no prompt was scored."""
    return score_interval(list(outcomes.scores(split, cell, score).values()))


def alike(interval: Interval) -> bool:
    """Whether every prompt gave the same difference, so that the interval has no width and says nothing."""
    return interval.low == interval.high


def share_that_could_differ(n: int) -> float:
    """Return the share of prompts that may differ although ``n`` of ``n`` are alike: Wilson's upper end, 95 %."""
    return wilson_interval(0, n).high
