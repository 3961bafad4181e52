"""How well is the truth known, and how far do findings over several behaviors reach?

- *Noise ceiling*: S is a mean over prompts; correlated with itself on two halves of them, and stepped up to all prompts
  (Spearman-Brown), it says how reliable the ranking is. No heuristic can be expected to correlate with S by more than
  the root of that.
- *Nested bootstrap*: behaviors are drawn with replacement, then prompts within each drawn behavior.
- *Random picks* and *shared shifts*: two nulls of a mean regret; the second keeps what behaviors have in common.
- *Holm*: p-values of several heuristics, corrected for looking at all of them.

What it does not show: a population of behaviors. Intervals speak of behaviors like the ones that were chosen.

Source: Spearman, "Correlation calculated from faulty data", 1910; Miller, "Adding Error Bars to Evals",
arXiv:2411.00640 (clusters); Holm, "A simple sequentially rejective multiple test procedure", 1979.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import friedmanchisquare, t

from analyses.study.ranking import FLAT, LEAST_SHIFTS, normalized_regret
from interp_steer.stats import Interval, spearman

Statistic = Callable[[int, Float[np.ndarray, "layer prompt"]], float | None]
"""From a behavior's number and its truth by layer and prompt to what is averaged over behaviors."""


def noise_ceiling(truth: Float[np.ndarray, "layer prompt"], *, splits: int = 100, seed: int = 0) -> float | None:
    """Return the reliability of the mean truth over layers, in [-1, 1]; the ceiling of a correlation is its root.

    The mean over random half splits of the prompts of the Spearman correlation between the two halves' means,
    stepped up by ``2 r / (1 + r)``. None with fewer than four prompts, or where every split has a constant half.
    """
    n = truth.shape[1]
    if n < 4:
        return None
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(splits):
        order = rng.permutation(n)
        halves = [truth[:, part].mean(axis=1) for part in (order[: n // 2], order[n // 2 : 2 * (n // 2)])]
        if (value := spearman(*halves)) is not None:
            found.append(value)
    if not found:
        return None
    r = float(np.mean(found))
    return max(-1.0, 2 * r / (1 + r)) if r > -1 else -1.0


def good_layers(truth: Float[np.ndarray, "layer prompt"]) -> np.ndarray:
    """Return which layers cannot be told from the best: ``S* - S(l) <= 1.96 SE`` of the paired difference."""
    best = truth[int(truth.mean(axis=1).argmax())]
    gaps = best - truth
    errors = gaps.std(axis=1, ddof=1) / np.sqrt(truth.shape[1])
    return np.asarray(gaps.mean(axis=1) <= 1.96 * errors)


def nested_bootstrap(
    truths: Sequence[Float[np.ndarray, "layer prompt"]],
    statistic: Statistic,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Bootstrap the mean over behaviors of a statistic: behaviors are drawn, then prompts within each.

    The interval is that of a normal mean with the bootstrap's standard error, and Student's quantile for as many
    behaviors as were not left out: percentiles of a mean over a dozen clusters are too narrow.

    Args:
        truths: Truth by layer and prompt of each behavior.
        statistic: What is averaged; None leaves a behavior (of the sample, or of one resample) out.
        resamples: Number of bootstrap samples.
        level: Confidence level.
        seed: Seed of the resampling.

    Returns:
        The mean with its interval over ``n`` behaviors; None with fewer than two that have the statistic.
    """
    observed = [statistic(i, truth) for i, truth in enumerate(truths)]
    defined = [value for value in observed if value is not None]
    if len(defined) < 2:
        return None
    rng = np.random.default_rng(seed)
    members = [i for i, value in enumerate(observed) if value is not None]
    means = []
    for _ in range(resamples):
        drawn = rng.choice(members, size=len(members))
        values = []
        for i in drawn.tolist():
            prompts = rng.integers(truths[i].shape[1], size=truths[i].shape[1])
            if (value := statistic(i, truths[i][:, prompts])) is not None:
                values.append(value)
        if values:
            means.append(np.mean(values))
    mean, n = float(np.mean(defined)), len(defined)
    half = float(t.ppf(0.5 + level / 2, n - 1)) * float(np.std(means, ddof=1))
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n)


def over_behaviors(values: Sequence[float], *, level: float = 0.95) -> Interval | None:
    """Return the mean of one number per behavior with Student's interval; None with fewer than two."""
    n = len(values)
    if n < 2:
        return None
    mean, half = float(np.mean(values)), float(t.ppf(0.5 + level / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number, in the same order; undefined ones stay undefined and uncounted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        found[i] = highest
    return found


def random_pick_p(
    truths: Sequence[Float[np.ndarray, "_"]], observed: float, *, draws: int = 20_000, seed: int = 0
) -> float | None:
    """One-sided p-value of a mean normalized regret, if every behavior's layer were drawn at random from its own.

    The regret of a random layer has mean 1 but is skewed (a broken layer costs far more than the best one gains), so it
    is drawn, not assumed. None without a behavior whose layers differ.

    Args:
        truths: Truth by layer of each behavior.
        observed: Mean normalized regret at 1 of what is tested.
        draws: Number of random choices; the p-value cannot be smaller than one over that.
        seed: Seed of them.
    """
    regrets = [(one.max() - one) / (one.max() - one.mean()) for one in truths if np.ptp(one) > 0]
    if not regrets:
        return None
    rng = np.random.default_rng(seed)
    means = np.mean([one[rng.integers(len(one), size=draws)] for one in regrets], axis=0)
    return float((1 + np.sum(means <= observed + 1e-12)) / (1 + draws))


def shared_shift_p(scores: Sequence[Float[np.ndarray, "_"]], truths: Sequence[Float[np.ndarray, "_"]]) -> float | None:
    """One-sided p-value of a mean normalized regret against the same scores, all shifted around by as many layers.

    Behaviors are steered at similar depths, so a heuristic that names the same depth for all of them is right by
    luck for all or for none; a shift that behaviors share keeps what picks have in common. The smallest possible
    value is one over the number of layers. None where behaviors have different numbers of layers, or too few of them.
    """
    n_layers = {len(one) for one in truths}
    if len(n_layers) != 1 or (n := n_layers.pop()) < LEAST_SHIFTS:
        return None
    pairs = list(zip(scores, truths, strict=True))
    means: list[float] = []
    for by in range(n):
        regrets = [normalized_regret(np.roll(score, by), truth) for score, truth in pairs]
        means.append(float(np.mean([regret for regret in regrets if regret is not None])))
    return float(np.mean([one <= means[0] + 1e-12 for one in means]))


def cross_fitted_best(truth: Float[np.ndarray, "layer prompt"], *, splits: int = 100, seed: int = 0) -> float:
    """Return the truth of the best layer, chosen on one half of the prompts and measured on the other.

    The largest of noisy means is too large; this is too small wherever a half chooses a worse layer. What lies
    between them is what noise does to a regret. The mean over random halves.
    """
    n = truth.shape[1]
    if n < 2:
        return float(truth.mean(axis=1).max())
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(splits):
        order = rng.permutation(n)
        choosing, measuring = order[: n // 2], order[n // 2 :]
        found.append(truth[int(truth[:, choosing].mean(axis=1).argmax())][measuring].mean())
    return float(np.mean(found))


def noise_lead(truth: Float[np.ndarray, "layer prompt"], *, splits: int = 100, seed: int = 0) -> float | None:
    """Return the share of the best layer's lead over the mean layer that cross-fitting takes away; None where all tie.

    0 where the best layer is beyond doubt, near 1 where noise alone has made one. The unit of a normalized regret is
    that lead, so noise pulls every regret toward 1: see :func:`stretched`.
    """
    mean = truth.mean(axis=1)
    lead = float(mean.max() - mean.mean())
    if lead <= FLAT:
        return None
    return (float(mean.max()) - cross_fitted_best(truth, splits=splits, seed=seed)) / lead


def stretched(regret: float, lead_by_noise: float) -> float | None:
    """Return a mean regret in units of the cross-fitted lead, ``1 - (1 - regret) / (1 - lead_by_noise)``.

    Noise pulls a regret toward 1, and this pushes it away from 1 by too much, so without noise it lies between the two.
    None where cross-fitting leaves no lead.
    """
    return None if lead_by_noise >= 1 else 1 - (1 - regret) / (1 - lead_by_noise)


def is_flat(truth: Float[np.ndarray, "layer prompt"], *, level: float = 0.05) -> bool:
    """Say whether the layers cannot be told apart: Friedman's test over prompts does not reject that they are alike.

    The test looks at all layers at once, so a best layer that noise alone has made does not pass for one. With fewer
    than three layers, or two prompts, there is nothing to tell.

    Source: Friedman, "The use of ranks to avoid the assumption of normality", 1937.
    """
    if truth.shape[0] < 3 or truth.shape[1] < 2 or np.ptp(truth, axis=0).max() == 0:
        return True
    return float(friedmanchisquare(*truth).pvalue) > level
