"""Small-sample statistics: intervals, nulls and rank agreement. numpy and scipy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats as scipy_stats

from interp_steer.errors import AnalysisError

BCA_FROM = 20


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
    """Bootstrap the mean of paired differences; the prompt is the resampled unit.

    Bias-corrected and accelerated (BCa) with 20 prompts or more, percentile below, where BCa is unstable.

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
    mean = float(differences.mean())
    if np.ptp(differences) < 1e-12:  # equal but for rounding, where BCa divides by zero
        return Interval(mean=mean, low=mean, high=mean, n=int(differences.size))
    found = scipy_stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=resamples,
        confidence_level=level,
        method="BCa" if differences.size >= BCA_FROM else "percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean=mean, low=float(found.low), high=float(found.high), n=int(differences.size))


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
