"""Small-sample statistics: intervals, nulls and rank agreement. numpy and scipy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats as scipy_stats

from interp_steer.errors import AnalysisError


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with a confidence interval over ``n`` units."""

    mean: float
    low: float
    high: float
    n: int


def paired_bootstrap(
    differences: Float[np.ndarray, " prompt"],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of the mean of paired differences; the prompt is the resampled unit.

    Args:
        differences: One number per prompt: steered minus baseline.
        resamples: Number of bootstrap samples.
        level: Confidence level.
        seed: Seed of the resampling.

    Returns:
        The mean and its interval. With one prompt, or equal differences, the interval has no width.

    Raises:
        AnalysisError: If there are no differences, or one is not finite.

    Source:
        Miller, "Adding Error Bars to Evals", arXiv:2411.00640 (paired differences, clusters).
    """
    if differences.size == 0:
        raise AnalysisError("cannot bootstrap an empty set of differences")
    if not np.isfinite(differences).all():
        raise AnalysisError("cannot bootstrap differences that hold NaN or Inf")
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, differences.size, size=(resamples, differences.size))
    means = differences[samples].mean(axis=1)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(mean=float(differences.mean()), low=float(low), high=float(high), n=int(differences.size))


def wilson_interval(successes: float, n: int, *, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; does not collapse at 0 or 1.

    Raises:
        AnalysisError: If ``n`` is not positive.
    """
    if n <= 0:
        raise AnalysisError("a proportion of nothing has no interval")
    z = float(scipy_stats.norm.ppf(0.5 + level / 2))
    share = successes / n
    center = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Interval(mean=share, low=float(center - half), high=float(center + half), n=n)


def rank_correlation(first: Sequence[float | None], second: Sequence[float | None]) -> float | None:
    """Spearman correlation over the positions where both are defined; ties get average ranks.

    None with fewer than three such positions, or where either side is constant.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if len(pairs) < 3:
        return None
    a, b = np.array(pairs, dtype=float).T
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(scipy_stats.spearmanr(a, b).statistic)
