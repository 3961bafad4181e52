"""Activations to steering vectors: one unit direction per layer, with its norm."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from interp_steer.activations.artifact import Activations
from interp_steer.errors import VectorError
from interp_steer.records import VectorCard
from interp_steer.terms import METHODS, Method
from interp_steer.vectors.mean_difference import mean_difference
from interp_steer.vectors.pca import pca, pca_centered
from interp_steer.vectors.vector import SteeringVectors

Aggregate = Callable[[Float[np.ndarray, "pair d_model"]], Float[np.ndarray, " d_model"]]

AGGREGATES: dict[Method, Aggregate] = {"mean_difference": mean_difference, "pca": pca, "pca_centered": pca_centered}


def fit(activations: Activations, *, method: Method = "mean_difference") -> SteeringVectors:
    """Make one steering vector per layer.

    Args:
        activations: Pooled activations of the pairs.
        method: ``mean_difference``, ``pca`` (uncentered), or ``pca_centered``.

    Returns:
        Unit directions from negative to positive, their norms, and the activation norms. A layer at
        which the vector is zero keeps a zero row and cannot be steered with.

    Raises:
        VectorError: If the method is unknown, or the vector is zero at every layer.
        AnalysisError: If an activation is NaN or Inf, naming layer and pair.
    """
    if method not in METHODS:
        raise VectorError(f"method {method!r} is not known; expected one of {', '.join(METHODS)}")
    vectors = np.stack([AGGREGATES[method](activations.differences(layer)) for layer in range(activations.n_layers)])
    norms = np.linalg.norm(vectors, axis=1)
    if not norms.any():
        raise VectorError(
            f"the {method} vector of {activations.card.behavior!r} is zero at every layer: the two sides do not differ "
            f"at read position {activations.card.read_position!r} (pairs share their prompt, so 'last_prompt' never "
            "differs), or there are too few pairs; read at 'mean_response' or add pairs"
        )
    direction = np.divide(vectors, norms[:, None], out=np.zeros_like(vectors), where=norms[:, None] > 0)
    return SteeringVectors(
        direction=direction.astype(np.float32),
        norm=norms.astype(np.float32),
        activation_norm=activations.activation_norm.astype(np.float32),
        card=VectorCard(activations=activations.card, method=method, n_pairs=activations.n_pairs),
    )
