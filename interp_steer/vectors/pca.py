"""First principal component of the pair differences, about zero or about their mean."""

import numpy as np
from jaxtyping import Float

PARALLEL = 1e-6


def pca(differences: Float[np.ndarray, "pair d_model"]) -> Float[np.ndarray, " d_model"]:
    """Return the axis the differences share: the first component of the *uncentered* differences.

    Centering would subtract their mean, which is the very direction that steers.

    Args:
        differences: ``positive_i - negative_i`` of every pair at one layer, float64.

    Returns:
        The component, from negative to positive, scaled to the mean projection of the differences on
        it, so that its norm is comparable with :func:`mean_difference`. Zero if all differences are.

    Source:
        Zou et al., "Representation Engineering", arXiv:2310.01405 (paired differences, PC1).
    """
    return _first_component(differences, differences)


def pca_centered(differences: Float[np.ndarray, "pair d_model"]) -> Float[np.ndarray, " d_model"]:
    """Return the first component of the differences *about their mean*: the axis on which pairs disagree most.

    Offered for comparison: it is what a PCA routine that centers by default computes, and it holds
    next to nothing of the shared direction.

    Args:
        differences: ``positive_i - negative_i`` of every pair at one layer, float64.

    Returns:
        As :func:`pca`. Zero for a single pair or equal differences, which leave no variance.
    """
    return _first_component(differences - differences.mean(axis=0), differences)


def _first_component(
    matrix: Float[np.ndarray, "pair d_model"], differences: Float[np.ndarray, "pair d_model"]
) -> Float[np.ndarray, " d_model"]:
    _, scales, components = np.linalg.svd(matrix, full_matrices=False)
    if scales[0] <= 1e-12 * max(float(np.linalg.norm(differences)), 1e-300):
        return np.zeros(differences.shape[1])
    component = components[0]
    component = component * _sign(component, differences)
    # An axis on which the pairs cancel is still an axis: its length must survive being squared, and float32.
    return component * max(abs(float((differences @ component).mean())), float(np.finfo(np.float32).tiny))


def _sign(component: Float[np.ndarray, " d_model"], differences: Float[np.ndarray, "pair d_model"]) -> float:
    """Point from negative to positive: by the mean, else by the majority, else by the largest coordinate."""
    mean = differences.mean(axis=0)
    scale = float(np.linalg.norm(mean))
    if scale > 0 and abs(float(mean @ component)) / scale >= PARALLEL:
        return float(np.sign(mean @ component))
    majority = float(np.sign(np.sign(differences @ component).sum()))
    return majority or float(np.sign(component[np.argmax(np.abs(component))]))
