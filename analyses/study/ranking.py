"""How good is a ranking of layers, when the truth of every layer is known?

``S`` is the truth by layer, ``S*`` its maximum, ``h`` a heuristic's score; a heuristic visits layers from its highest
score down. Where scores tie, every order of the tied layers is equally likely, and what is returned is the
expectation over these orders: a heuristic that scores all layers alike *is* a random layer.

- *normalized regret at k*: ``(S* - E[best of the k layers visited first]) / (S* - mean S)``. At k = 1, 0 is the best
  layer and 1 a layer drawn at random, in expectation; above 1 is worse than chance.
- *hit at k*: the chance that a best layer is among the first k.
- *evaluations*: the expected number of layers to try in that order until the regret is at most a tenth.
- *AUC*: the chance that a good layer is scored above another one, ties one half.

What they do not show: whether S itself is known well enough to rank by (see :mod:`analyses.study.nulls`).

expectation: McSherry and Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of
Tied Scores", ECIR 2008.
"""

from collections.abc import Sequence
from math import comb

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import kendalltau, rankdata

FLAT = 1e-12
LEAST_SHIFTS = 20
"""Layers without which no p-value of a shift can be 0.05."""


def normalized_regret(
    scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], k: int = 1
) -> float | None:
    """Return the normalized regret of the best of the first ``k`` layers; None where every layer is equally good."""
    best, mean = float(truth.max()), float(truth.mean())
    if best - mean <= FLAT:
        return None
    return (best - _expected_best(scores, truth, k)) / (best - mean)


def hit(scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], k: int = 1) -> float:
    """Return the chance that a layer with the highest truth is among the first ``k``."""
    above, tied, slots = _top(scores, k)
    best = truth >= truth.max() - FLAT
    if best[above].any():
        return 1.0
    others = int((~best[tied]).sum())
    return 1 - comb(others, slots) / comb(len(tied), slots) if slots else 0.0


def evaluations(
    scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], regret: float = 0.1
) -> float | None:
    """Return how many layers are tried, in expectation, until the normalized regret is at most ``regret``.

    None where every layer is equally good: there is nothing to look for.
    """
    best, mean = float(truth.max()), float(truth.mean())
    if best - mean <= FLAT:
        return None
    enough = truth >= best - regret * (best - mean)
    tried = 0
    for score in np.unique(scores)[::-1]:
        group = enough[scores == score]
        if group.any():
            return tried + (len(group) + 1) / (int(group.sum()) + 1)
        tried += len(group)
    raise AssertionError("the best layer is always good enough")


def auc(scores: Float[np.ndarray, " layer"], good: Bool[np.ndarray, " layer"]) -> float | None:
    """Return the chance that a good layer is scored above one that is not; None where there are not both kinds."""
    n_good, n = int(good.sum()), len(good)
    if n_good in (0, n):
        return None
    return float((rankdata(scores)[good].sum() - n_good * (n_good + 1) / 2) / (n_good * (n - n_good)))


def kendall(scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"]) -> float | None:
    """Return Kendall's tau-b; None where either is constant."""
    if np.ptp(scores) == 0 or np.ptp(truth) == 0:
        return None
    return float(kendalltau(scores, truth).statistic)


def depth_partialled(
    scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], layers: Sequence[int]
) -> float | None:
    """Return the rank correlation that is left when both are freed of depth: of depth and its square.

    Ranks are regressed on depth, and the residuals correlated. What follows depth in another way than a parabola
    leaves something: ranks of "the middle" are a tent, not a parabola.
    None with fewer than five layers, or where either is a function of depth (its residuals vanish).
    """
    if len(scores) < 5:
        return None
    depth = np.asarray(layers, dtype=float)
    depth = 2 * (depth - depth.min()) / np.ptp(depth) - 1
    design = np.stack([np.ones_like(depth), depth, depth**2], axis=1)
    left = []
    for values in (scores, truth):
        ranks = rankdata(values)
        left.append(ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0])
    norms = [float(np.linalg.norm(one)) for one in left]
    if min(norms) <= 1e-9 * len(scores):
        return None
    return float(left[0] @ left[1] / (norms[0] * norms[1]))


def circular_shift_p(
    scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], layers: Sequence[int]
) -> float | None:
    """One-sided p-value of the depth-partialled correlation against the truth shifted around the layers.

    Neighboring layers are alike, so the textbook p-value counts far too many independent layers; a shift keeps
    what neighbors share and breaks the match. The smallest possible value is one over the number of layers.
    None with too few layers for a p-value of 0.05, or where the correlation is undefined.
    """
    observed = depth_partialled(scores, truth, layers) if len(truth) >= LEAST_SHIFTS else None
    if observed is None:
        return None
    shifted = [depth_partialled(scores, np.roll(truth, by), layers) for by in range(len(truth))]
    return float(np.mean([value is not None and value >= observed - 1e-12 for value in shifted]))


def _top(scores: Float[np.ndarray, " layer"], k: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the layers surely among the first k, those tied for the places left, and the number of these places."""
    cut = np.sort(scores)[::-1][min(k, len(scores)) - 1]
    above, tied = np.flatnonzero(scores > cut), np.flatnonzero(scores == cut)
    return above, tied, min(k, len(scores)) - len(above)


def _expected_best(scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], k: int) -> float:
    above, tied, slots = _top(scores, k)
    sure = float(truth[above].max()) if len(above) else -np.inf
    values = np.sort(truth[tied])[::-1]
    # The i-th best of the tied layers is the best of those drawn if none better is: C(n - i - 1, slots - 1) draws.
    chances = [comb(len(values) - i - 1, slots - 1) / comb(len(values), slots) for i in range(len(values))]
    return float(np.dot(chances, np.maximum(values, sure)))
