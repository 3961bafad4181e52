"""The difference vectors of one layer through their Gram matrix, and what follows from it in closed form.

With n pairs, ``D_i = positive_i - negative_i``, ``G = D D^T``, ``q_i = G_ii`` and ``s = sum_i D_i``, every
statistic here is a function of G alone: it costs O(n^2) whatever the width of the model, and does not
change when the residual stream is rotated.

A pair whose two sides are equal up to rounding is *degenerate*: it has no direction. It is left out of
what is about directions, and counts as a zero vector in what is about means.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analyses.measure import Measure, undefined
from interp_steer.activations.artifact import Activations

EPS = 1e-6
"""Relative rounding error of a float32 activation, with a margin."""

TOO_FEW = "fewer than two pairs differ"
ZERO_MEAN = "the mean difference is zero"


@dataclass(frozen=True, kw_only=True, eq=False)
class Gram:
    """Inner products of the difference vectors of one layer.

    Attributes:
        matrix: ``D D^T``, float64; rows and columns of degenerate pairs are zero.
        kept: Which pairs are not degenerate.
        floor: Squared length at or below which a vector is rounding error.
    """

    matrix: Float[np.ndarray, "pair pair"]
    kept: Bool[np.ndarray, " pair"]
    floor: float

    @property
    def n(self) -> int:
        """Number of pairs."""
        return int(self.kept.size)

    @property
    def n_kept(self) -> int:
        """Number of pairs that are not degenerate."""
        return int(self.kept.sum())

    @property
    def squared_norms(self) -> Float[np.ndarray, " pair"]:
        """``q_i = ||D_i||^2``."""
        return np.diagonal(self.matrix)

    @property
    def norms(self) -> Float[np.ndarray, " pair"]:
        """``||D_i||``."""
        return np.sqrt(self.squared_norms)

    @property
    def unit(self) -> Float[np.ndarray, "kept kept"]:
        """Cosines between the differences of the pairs that are kept."""
        norms = self.norms[self.kept]
        return self.matrix[np.ix_(self.kept, self.kept)] / np.outer(norms, norms)

    @property
    def mean_squared(self) -> float:
        """``||mean(D)||^2``."""
        return float(self.matrix.mean())

    @property
    def mean_is_zero(self) -> bool:
        """Whether the mean difference is zero up to rounding: the layer has no steering vector."""
        return self.mean_squared <= self.floor


def gram(differences: Float[np.ndarray, "pair d_model"], scale: float) -> Gram:
    """Return the Gram matrix of difference vectors.

    Args:
        differences: ``positive - negative`` of every pair, float64.
        scale: Largest ``||positive_i|| + ||negative_i||``; a difference below ``EPS * scale`` is degenerate.
    """
    floor = (EPS * scale) ** 2
    matrix = differences @ differences.T
    kept = np.diagonal(matrix) > floor
    return Gram(matrix=np.where(np.outer(kept, kept), matrix, 0.0), kept=kept, floor=floor)


def gram_at(activations: Activations, layer: int) -> Gram:
    """Return the Gram matrix of one layer.

    Raises:
        AnalysisError: If a difference is NaN or Inf, naming layer and pair.
    """
    differences = activations.differences(layer)
    sides = (activations.positive[layer], activations.negative[layer])
    scale = sum(np.sqrt(np.einsum("ij,ij->i", side, side, dtype=np.float64)) for side in sides)
    return gram(differences, float(np.max(scale)))


def consistency(gram: Gram) -> Measure:
    """Mean cosine between the differences of two different pairs: ``mean_{i != j} cos(D_i, D_j)``.

    In [-1/(n-1), 1]; 0 in expectation without a shared direction. Including i = j, as is sometimes done,
    would add (1 - c)/n.

    Source:
        Braun et al., arXiv:2505.22637 (``||mean_i u_i||``, here without the diagonal).
    """
    n = gram.n_kept
    if n < 2:
        return undefined(TOO_FEW)
    return Measure(float((gram.unit.sum() - gram.unit.trace()) / (n * (n - 1))))


def consistency_error(gram: Gram) -> Measure:
    """Jackknife standard error of the consistency; resampling pairs with replacement would be biased up."""
    n = gram.n_kept
    if n < 3:
        return undefined("fewer than three pairs differ")
    unit = gram.unit
    without = (unit.sum() - 2 * unit.sum(axis=1) + 1 - (n - 1)) / ((n - 1) * (n - 2))
    return Measure(float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())))


def shared_energy(gram: Gram) -> Measure:
    """Unbiased estimate of ``||E D||^2``: the mean of ``D_i . D_j`` over i != j. Negative values are noise."""
    if gram.n < 2:
        return undefined("fewer than two pairs")
    total = gram.matrix.sum() - gram.matrix.trace()
    return Measure(float(total / (gram.n * (gram.n - 1))))


def weighted_consistency(gram: Gram) -> Measure:
    """Share of the differences' energy that is shared: ``c_w = U / mean(q)``, U the shared energy.

    Unlike :func:`consistency` it weighs pairs by their norm, so it governs the raw mean vector.
    """
    if not gram.n_kept:
        return undefined("no pair differs")
    return shared_energy(gram).map(lambda energy: float(energy / gram.squared_norms.mean()))


def weighted_consistency_error(gram: Gram) -> Measure:
    """Jackknife standard error of the weighted consistency, in closed form as that of :func:`consistency`."""
    energy = gram.squared_norms
    rest = energy.sum() - energy
    if gram.n < 3 or rest.min() <= gram.floor:
        return undefined("fewer than three pairs differ")
    n = gram.n
    without = (gram.matrix.sum() - 2 * gram.matrix.sum(axis=1) + 2 * energy - energy.sum()) / ((n - 2) * rest)
    return Measure(float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())))


def reliability(gram: Gram) -> Measure:
    """Expected squared cosine of the mean difference with its population value: ``n c_w / (1 + (n-1) c_w)``.

    Source:
        Spearman-Brown formula.
    """
    shared = weighted_consistency(gram)
    if shared.value is None:
        return shared
    if gram.mean_is_zero:
        return undefined(ZERO_MEAN)
    return shared.map(lambda c: gram.n * c / (1 + (gram.n - 1) * c))


def pairs_needed(shared: float, target: float) -> int | None:
    """Return how many pairs make halves agree: ``n >= 2 s (1 - c_w) / (c_w (1 - s))``, rounded up to even.

    Args:
        shared: Weighted consistency c_w.
        target: Wanted stability s, the cosine between the vectors of two halves, below 1.

    Returns:
        The number of pairs, None if nothing is shared.
    """
    if shared <= 0:
        return None
    half = target * (1 - shared) / (shared * (1 - target))
    return 2 * max(1, math.ceil(half - 1e-9))


def noise_variance(gram: Gram) -> Measure:
    """Trace of the covariance of the differences: ``(sum q - ||s||^2 / n) / (n - 1)``."""
    if gram.n < 2:
        return undefined("fewer than two pairs")
    return Measure(float((gram.matrix.trace() - gram.matrix.sum() / gram.n) / (gram.n - 1)))


def snr(gram: Gram) -> Measure:
    """Signal-to-noise ratio of one difference vector: ``sqrt(max(0, U)) / sqrt(tr Sigma)``; about 0 in pure noise."""
    signal, noise = shared_energy(gram), noise_variance(gram)
    if signal.value is None or noise.value is None:
        return signal
    if noise.value <= gram.floor:
        return undefined("the differences of all pairs are equal")
    return Measure(float(np.sqrt(max(0.0, signal.value) / noise.value)))


def signal_test(gram: Gram) -> Measure:
    """``T = n ||mean(D)||^2 / tr Sigma``: 1 in expectation without a shared direction, whatever the number of pairs."""
    noise = noise_variance(gram)
    if noise.value is None:
        return noise
    if noise.value <= gram.floor:
        return undefined("the differences of all pairs are equal")
    return noise.map(lambda trace: gram.n * gram.mean_squared / trace)


def snr_writeup(gram: Gram) -> Measure:
    """``||mean(D)|| / std(||D_i||)`` (ddof 1). Kept for comparison: in pure noise it *rises* as pairs get fewer."""
    if gram.n < 2:
        return undefined("fewer than two pairs")
    spread = float(gram.norms.std(ddof=1))
    if spread <= EPS * gram.norms.mean():
        return undefined("the norms do not vary (zero_norm_variance)")
    return Measure(float(np.sqrt(max(0.0, gram.mean_squared))) / spread)


def norm_variation(gram: Gram) -> Measure:
    """Coefficient of variation of the difference norms, ``std / mean``."""
    if gram.n < 2 or not gram.n_kept:
        return undefined(TOO_FEW)
    return Measure(float(gram.norms.std(ddof=1) / gram.norms.mean()))


def normalization_sensitivity(gram: Gram) -> Measure:
    """Cosine between the mean difference and the mean of the unit differences; 1 when norms do not matter."""
    if not gram.n_kept:
        return undefined("no pair differs")
    kept = gram.matrix[np.ix_(gram.kept, gram.kept)]
    raw, unit = kept.sum(), gram.unit.sum()
    if gram.mean_is_zero or unit <= (EPS * gram.n_kept) ** 2:
        return undefined(ZERO_MEAN)
    cross = (kept / np.sqrt(np.diagonal(kept))).sum()
    return Measure(float(cross / np.sqrt(raw * unit)))
