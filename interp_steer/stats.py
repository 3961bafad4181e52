"""Small-sample statistics: intervals, nulls and rank agreement. numpy and scipy only."""

from collections.abc import Callable, Hashable, Sequence
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

    Bias-corrected and accelerated (BCa) with 20 prompts or more, percentile below, where BCa is unstable. Either is
    expanded for small samples: resamples vary by ``(n - 1) / n`` too little, and normal quantiles ignore that the
    spread itself is estimated, so the level asked for is that of ``sqrt(n / (n - 1))`` times Student's quantile.

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
        Miller, "Adding Error Bars to Evals", arXiv:2411.00640 (paired differences, clusters); Hesterberg, "What
        Teachers Should Know About the Bootstrap", arXiv:1411.5279 (expanded intervals).
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
        confidence_level=_expanded(level, differences.size),
        method="BCa" if differences.size >= BCA_FROM else "percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean=mean, low=float(found.low), high=float(found.high), n=int(differences.size))


def _expanded(level: float, n: int) -> float:
    """Return the level at which a bootstrap interval of a mean of ``n`` numbers covers with ``level``."""
    quantile = scipy_stats.t.ppf(0.5 + level / 2, n - 1) * np.sqrt(n / (n - 1))
    return float(2 * scipy_stats.norm.cdf(quantile) - 1)


def detectable(differences: Float[np.ndarray, " prompt"], *, power: float = 0.8, level: float = 0.95) -> float | None:
    """Return the smallest true mean that so many paired differences would show at ``level`` with ``power``.

    ``(t_level + t_power) * sd / sqrt(n)``, Student's quantiles with ``n - 1`` degrees of freedom. None with fewer than
    two prompts, or where all differences are equal: then nothing is known of their spread.
    """
    n = differences.size
    if n < 2 or np.ptp(differences) == 0:
        return None
    quantiles = float(scipy_stats.t.ppf(0.5 + level / 2, n - 1) + scipy_stats.t.ppf(power, n - 1))
    return quantiles * float(differences.std(ddof=1)) / float(np.sqrt(n))


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
    # At 0 and 1 an end is exact, but for rounding.
    low = 0.0 if successes == 0 else max(0.0, float(center - half))
    high = 1.0 if successes == n else min(1.0, float(center + half))
    return Interval(mean=share, low=low, high=high, n=n)


def score_interval(scores: Float[np.ndarray, " prompt"]) -> Interval:
    """Return the mean of scores in [0, 1] with its 95 % interval over prompts: that of :func:`paired_bootstrap`.

    Where every prompt has the same score a bootstrap has no width, which would read as certainty: Wilson's
    interval stands there. It is that of the widest scores with this mean, all 0 or 1, hence no narrower than the truth.

    Raises:
        AnalysisError: If there are no scores, or one is not finite.
    """
    found = paired_bootstrap(scores)
    if found.low < found.high:
        return found
    return wilson_interval(float(np.clip(scores.sum(), 0, scores.size)), int(scores.size))


def cluster_bootstrap(
    statistic: Callable[[Float[np.ndarray, " a"], Float[np.ndarray, " a"]], float | None],
    first: Float[np.ndarray, " item"],
    second: Float[np.ndarray, " item"],
    clusters: Sequence[Hashable],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Bootstrap a statistic of paired values over clusters: whole prompts are resampled, with all their items.

    Args:
        statistic: From two arrays, paired item by item, to a number; None where it is undefined.
        first: One value per item.
        second: The other.
        clusters: Which cluster each item is from, e.g. its prompt.
        resamples: Number of bootstrap samples.
        level: Confidence level of the percentile interval.
        seed: Seed of the resampling.

    Returns:
        Both ends of the interval; None with one cluster, or where more than a tenth of the resamples leave the
        statistic undefined.

    Source:
        Miller, "Adding Error Bars to Evals", arXiv:2411.00640 (clustered errors).
    """
    members: dict[Hashable, list[int]] = {}
    for i, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(i)
    if len(members) < 2:
        return None
    groups = [np.array(each) for each in members.values()]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        chosen = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        if (value := statistic(first[chosen], second[chosen])) is not None:
            values.append(value)
    if len(values) < 0.9 * resamples:
        return None
    tail = 50 * (1 - level)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def cohen_kappa(
    first: Sequence[int] | np.ndarray, second: Sequence[int] | np.ndarray, *, weighted: bool = False
) -> float | None:
    """Cohen's kappa: agreement of two raters beyond what their own frequencies give by chance.

    ``1 - sum(w o) / sum(w e)`` with the observed table ``o`` and that of chance ``e``; the weights are 0 and 1, or
    squared distances. None without items, or where chance leaves no room for disagreement (both constant and equal).

    Args:
        first: Categories by the first rater, whole numbers from 0.
        second: Categories by the second, item by item.
        weighted: Whether a large disagreement counts more than a small one (quadratic weights).

    Source:
        Cohen, "Weighted kappa", Psychological Bulletin 70 (1968).
    """
    a, b = np.asarray(first, dtype=int), np.asarray(second, dtype=int)
    if a.size == 0:
        return None
    k = int(max(a.max(), b.max())) + 1
    observed = np.bincount(a * k + b, minlength=k * k).reshape(k, k) / a.size
    chance = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    distance = np.subtract.outer(np.arange(k), np.arange(k))
    weights = distance**2 if weighted else distance != 0
    expected = float((weights * chance).sum())
    return None if expected == 0 else 1 - float((weights * observed).sum()) / expected


def rank_correlation(first: Sequence[float | None], second: Sequence[float | None]) -> float | None:
    """Spearman correlation over the positions where both are defined; ties get average ranks.

    None with fewer than three such positions, or where either side is constant.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if len(pairs) < 3:
        return None
    a, b = np.array(pairs, dtype=float).T
    return spearman(a, b)


def spearman(first: Float[np.ndarray, " item"], second: Float[np.ndarray, " item"]) -> float | None:
    """Spearman correlation of two arrays, quick enough to be bootstrapped; None where either is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(scipy_stats.rankdata(first), scipy_stats.rankdata(second))[0, 1])
