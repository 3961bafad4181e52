"""Contrastive activation addition: the mean of the pair differences."""

import numpy as np
from jaxtyping import Float


def mean_difference(differences: Float[np.ndarray, "pair d_model"]) -> Float[np.ndarray, " d_model"]:
    """Average the per-pair differences: ``v = mean_i(positive_i - negative_i)``.

    Args:
        differences: ``positive_i - negative_i`` of every pair at one layer, float64.

    Returns:
        Vector from negative to positive, in residual-stream units, not normalized.

    Source:
        Panickssery et al., "Steering Llama 2 via Contrastive Activation Addition", arXiv:2312.06681.
    """
    return differences.mean(axis=0)
