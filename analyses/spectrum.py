"""Principal components of the difference vectors, centered and not, with the null to read them by.

*Uncentered* components are the eigenvectors of ``sum_i D_i D_i^T``: the first is the axis the pairs share.
*Centered* ones (scikit-learn's convention) describe what is left once the mean difference, which is the
steering vector, has been taken out. Their eigenvalues are those of G and of ``H G H``, ``H = I - 11^T / n``.
"""

import functools

import numpy as np
from jaxtyping import Float

from analyses.gram import Gram
from analyses.measure import Measure, undefined

ZERO = "every difference is zero"
NO_VARIANCE = "no variance around the mean"


def uncentered_shares(gram: Gram) -> Float[np.ndarray, " component"] | None:
    """Share of the energy ``sum_i ||D_i||^2`` along each uncentered component, descending; None if it is zero."""
    return _shares(gram.matrix) if gram.n_kept else None


def centered_shares(gram: Gram) -> Float[np.ndarray, " component"] | None:
    """Share of the variance around the mean along each component (at most n - 1), descending.

    With two pairs the first share is 1 whatever the pairs are. None if nothing varies: one pair, or equal pairs.
    """
    centered = _centered(gram.matrix)
    if gram.n < 2 or centered.trace() <= 1e-12 * gram.matrix.trace():
        return None
    return _shares(centered)[: gram.n - 1]


def components_for(shares: Float[np.ndarray, " component"], share: float = 0.8) -> int:
    """Return the smallest number of leading components that hold ``share`` of the total."""
    return int(np.flatnonzero(shares.cumsum() >= share - 1e-12)[0]) + 1


def participation_ratio(shares: Float[np.ndarray, " component"]) -> float:
    """Effective number of components, ``(sum lambda)^2 / sum lambda^2``: 1 for one, k for k equal ones."""
    return float(shares.sum() ** 2 / (shares**2).sum())


def mean_share(gram: Gram) -> Measure:
    """Share of the energy that the mean difference holds, ``||s||^2 / (n sum q)``; never above the first share."""
    if not gram.n_kept:
        return undefined(ZERO)
    return Measure(float(gram.matrix.sum() / (gram.n * gram.matrix.trace())))


@functools.cache
def isotropic_null(
    n: int, d_model: int, *, draws: int = 200, seed: int = 0
) -> tuple[float | None, float, float | None]:
    """What pure noise shows: medians over ``draws`` sets of n independent standard normal vectors.

    Returns:
        First centered share, first uncentered share, and centered components to 80 %. The centered ones
        are None for a single pair.
    """
    rng = np.random.default_rng(seed)
    grams = [_noise_gram(n, d_model, rng) for _ in range(draws)]
    uncentered = float(np.median([_shares(matrix)[0] for matrix in grams]))
    if n < 2:
        return None, uncentered, None
    centered = [_shares(_centered(matrix)) for matrix in grams]
    return (
        float(np.median([shares[0] for shares in centered])),
        uncentered,
        float(np.median([components_for(shares) for shares in centered])),
    )


def _noise_gram(n: int, d_model: int, rng: np.random.Generator) -> Float[np.ndarray, "pair pair"]:
    """Draw the Gram matrix of n standard normal vectors, without the vectors where they are wide.

    Source:
        The decomposition of Bartlett (1933): ``L L^T`` with L lower triangular, normal below the diagonal, and on it
        the root of chi-squares with d, d - 1, ... degrees of freedom.
    """
    if d_model < n:
        noise = rng.standard_normal((n, d_model))
    else:
        noise = np.tril(rng.standard_normal((n, n)), -1) + np.diag(np.sqrt(rng.chisquare(d_model - np.arange(n))))
    return noise @ noise.T


def _centered(matrix: Float[np.ndarray, "pair pair"]) -> Float[np.ndarray, "pair pair"]:
    return matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()


def _shares(matrix: Float[np.ndarray, "pair pair"]) -> Float[np.ndarray, " component"]:
    # A Gram matrix has no negative eigenvalues; those that appear are rounding errors of zero.
    eigenvalues = np.linalg.eigvalsh(matrix)[::-1].clip(min=0)
    return eigenvalues / eigenvalues.sum()
