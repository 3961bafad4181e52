"""Directions that should *not* steer: what a steering vector is held against."""

import numpy as np
from jaxtyping import Float


def random_direction(d_model: int, *, layer: int, seed: int = 0) -> Float[np.ndarray, " d_model"]:
    """Return an isotropic random unit vector; one layer and seed give one vector.

    Source:
        Wu et al., "AxBench", arXiv:2501.17148 (random directions as a baseline).
    """
    sample = np.random.default_rng([seed, layer]).standard_normal(d_model)
    return sample / np.linalg.norm(sample)


def sign_flipped_direction(
    differences: Float[np.ndarray, "pair d_model"], *, layer: int, seed: int = 0
) -> Float[np.ndarray, " d_model"]:
    """Return the unit mean of the differences after a random half of the pairs swapped sides.

    It lies in the span of the same pairs and has their covariance, but no label. The flips are
    balanced (half of the pairs, one fewer if the number is odd), so the shared direction cancels.
    Zero if the flipped differences cancel exactly, and with a single pair, whose flip is no control.
    """
    if len(differences) < 2:
        return np.zeros(differences.shape[1])
    rng = np.random.default_rng([seed, layer])
    signs = np.ones(len(differences))
    signs[rng.permutation(len(differences))[: len(differences) // 2]] = -1
    flipped = signs @ differences
    norm = np.linalg.norm(flipped)
    return flipped / norm if norm > 0 else flipped
