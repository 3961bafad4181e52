"""What the pairs say about one another: sign flips, random halves, and each pair left out.

All from the Gram matrix of the difference vectors (:mod:`analyses.gram`), so a thousand resamplings cost
as much as a matrix product.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.gram import TOO_FEW, ZERO_MEAN, Gram, weighted_consistency
from analyses.measure import Measure, undefined


def sign_flips(n: int, *, draws: int = 2000, seed: int = 0) -> tuple[Float[np.ndarray, "flip pair"], bool]:
    """Return sign assignments of n pairs, and whether they are all there are.

    Under the null the two labels of a pair are exchangeable. Up to 12 pairs every assignment is listed
    (the first pair keeps its sign: flipping all changes nothing, which leaves 2^(n-1)); beyond, they are drawn.
    """
    if n <= 12:
        rest = itertools.product((1.0, -1.0), repeat=n - 1)
        return np.array([(1.0, *signs) for signs in rest]), True
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws, n)), False


def sign_flip_p(matrix: Float[np.ndarray, "pair pair"]) -> Measure:
    """One-sided p-value of ``||sum_i D_i||`` when the labels within pairs are flipped at random.

    The smallest possible value with n pairs is 2^(1-n): below six pairs nothing is significant at 5 %.

    Args:
        matrix: ``Gram.unit`` to test the consistency, ``Gram.matrix`` to test the raw mean.
    """
    n = matrix.shape[0]
    if n < 2:
        return undefined(TOO_FEW)
    flips, complete = sign_flips(n)
    statistics = ((flips @ matrix) * flips).sum(axis=1)
    # The identity is one of the flips when all are listed; equal statistics must not lose to rounding.
    at_least = int((statistics >= matrix.sum() - 1e-9 * matrix.trace()).sum())
    return Measure(at_least / len(flips) if complete else (1 + at_least) / (1 + len(flips)))


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Cosine between the mean differences of two halves of the pairs.

    Attributes:
        mean: Mean over the splits.
        low: Smallest.
        sd: Standard deviation over the splits (ddof 0: these are the splits, not a sample of them).
        expected: What the weighted consistency predicts, ``m c_w / (1 + (m-1) c_w)`` for halves of m pairs.
        n_splits: Splits where both halves have a direction.
    """

    mean: Measure
    low: Measure
    sd: Measure
    expected: Measure
    n_splits: int


def stability(gram: Gram, *, splits: int = 20, seed: int = 0) -> Stability:
    """Compare the vectors of two disjoint halves over random splits (all of them when they are at most 20).

    An odd number of pairs leaves one random pair out of each split, so that both halves have
    ``m = n // 2`` and Spearman-Brown predicts the level. A level far from the prediction (by more than
    0.05, say) speaks of clusters or outliers; the level itself follows from consistency and pair count.
    """
    if gram.n < 2:
        nothing = undefined("fewer than two pairs")
        return Stability(mean=nothing, low=nothing, sd=nothing, expected=nothing, n_splits=0)
    half = gram.n // 2
    first, second = _halves(gram.n, splits, seed)
    cross = ((first @ gram.matrix) * second).sum(axis=1)
    squares = [((side @ gram.matrix) * side).sum(axis=1) for side in (first, second)]
    defined = np.minimum(*squares) > gram.floor * half**2
    expected = weighted_consistency(gram).map(lambda c: half * c / (1 + (half - 1) * c))
    if not defined.any():
        nothing = undefined("every split has a half whose mean is zero")
        return Stability(mean=nothing, low=nothing, sd=nothing, expected=expected, n_splits=0)
    cosines = cross[defined] / np.sqrt(squares[0][defined] * squares[1][defined])
    return Stability(
        mean=Measure(float(cosines.mean())),
        low=Measure(float(cosines.min())),
        sd=Measure(float(cosines.std())),
        expected=expected,
        n_splits=int(defined.sum()),
    )


def leave_one_out_margins(gram: Gram) -> Float[np.ndarray, " pair"]:
    """Project each pair's difference on the direction of the *other* pairs.

    Returns:
        ``D_i . s_i / ||s_i||`` with ``s_i = sum_{j != i} D_j``: negative where the others would swap the sides of the
        pair; NaN where they cancel out.
    """
    row_sums = gram.matrix.sum(axis=1)
    scores = row_sums - gram.squared_norms
    rest = gram.matrix.sum() - 2 * row_sums + gram.squared_norms
    defined = rest > gram.floor * (gram.n - 1) ** 2
    margins = np.full(gram.n, np.nan)
    margins[defined] = scores[defined] / np.sqrt(rest[defined])
    return margins


def leave_one_out(gram: Gram) -> tuple[Measure, Measure]:
    """Does the mean of the *other* pairs point from this pair's negative to its positive side?

    ``t_i = D_i . sum_{j != i} D_j``. The accuracy is ``mean(t_i > 0)``, ties one half: that of a
    mean-difference probe that never saw pair i, comparing the two sides of the pair, so what the prompt
    adds to both cancels. The margin is ``mean / sd`` (ddof 1) of ``t_i / ||sum_{j != i} D_j||`` and does
    not saturate as the accuracy does.

    Returns:
        Accuracy (0.5 without a shared direction) and margin.
    """
    if gram.n < 2:
        nothing = undefined("fewer than two pairs")
        return nothing, nothing
    margins = leave_one_out_margins(gram)
    defined = ~np.isnan(margins)
    accuracy = float(np.where(defined, (np.sign(margins) + 1) / 2, 0.5).mean())
    if defined.sum() < 2:
        return Measure(accuracy), undefined("the other pairs cancel out")
    margins = margins[defined]
    spread = float(margins.std(ddof=1))
    if spread <= max(1e-9 * np.abs(margins).max(), float(np.sqrt(gram.floor))):  # equal, but for rounding of the inputs
        return Measure(accuracy), undefined("every pair has the same margin")
    return Measure(accuracy), Measure(float(margins.mean()) / spread)


def influence(gram: Gram) -> list[Measure]:
    """Return how far each pair turns the mean: ``1 - cos(mean, mean without the pair)``."""
    total, row_sums = float(gram.matrix.sum()), gram.matrix.sum(axis=1)
    without = total - 2 * row_sums + gram.squared_norms
    if gram.n < 2:
        return [undefined("fewer than two pairs")] * gram.n
    if gram.mean_is_zero:
        return [undefined(ZERO_MEAN)] * gram.n
    return [
        Measure(1 - float((total - row_sum) / np.sqrt(total * rest)))
        if rest > gram.floor * (gram.n - 1) ** 2
        else undefined("the other pairs cancel out")
        for row_sum, rest in zip(row_sums, without, strict=True)
    ]


def _halves(n: int, splits: int, seed: int) -> tuple[Float[np.ndarray, "split pair"], Float[np.ndarray, "split pair"]]:
    half = n // 2
    dropped = n if n % 2 else 1
    if dropped * math.comb(n - n % 2, half) // 2 <= splits:
        chosen = [
            (a, b) for a, b in itertools.product(itertools.combinations(range(n), half), repeat=2) if _apart(a, b)
        ]
    else:
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(n) for _ in range(splits)]
        chosen = [(tuple(order[:half]), tuple(order[half : 2 * half])) for order in orders]
    sides = np.zeros((2, len(chosen), n))
    for row, halves in enumerate(chosen):
        for side, members in enumerate(halves):
            sides[side, row, list(members)] = 1.0
    return sides[0], sides[1]


def _apart(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two halves share no pair, each split counted once."""
    return first < second and not set(first) & set(second)
