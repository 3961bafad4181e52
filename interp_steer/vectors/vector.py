"""Steering vectors: one unit direction per layer, its norm, and the card that says whose they are."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interp_steer.activations.artifact import read_arrays, write_arrays
from interp_steer.errors import SteeringError, VectorError
from interp_steer.records import ModelCard, VectorCard, to_json


@dataclass(frozen=True, kw_only=True, eq=False)
class SteeringVectors:
    """One steering vector per layer.

    Attributes:
        direction: Unit vectors, from negative to positive; a zero row where the vector was zero.
        norm: L2 norm of each vector before it was made a unit vector, in residual-stream units.
        activation_norm: Mean norm of the residual stream at that layer over response tokens.
        card: Where they come from.
    """

    direction: Float[np.ndarray, "layer d_model"]
    norm: Float[np.ndarray, " layer"]
    activation_norm: Float[np.ndarray, " layer"]
    card: VectorCard

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return int(self.direction.shape[0])

    @property
    def magnitude_ratio(self) -> Float[np.ndarray, " layer"]:
        """``norm / activation_norm``: the alpha that equals one natural class difference."""
        return self.norm / self.activation_norm

    def at(self, layer: int) -> Float[np.ndarray, " d_model"]:
        """Return the unit direction of one layer.

        Raises:
            SteeringError: If the layer does not exist, or its vector is zero.
        """
        if not 0 <= layer < self.n_layers:
            name = self.card.activations.model.name
            raise SteeringError(f"layer {layer} does not exist: {name!r} has layers 0 to {self.n_layers - 1}")
        if not self.direction[layer].any():
            raise SteeringError(
                f"layer {layer}: the steering vector is zero (the pairs do not differ there); choose another layer"
            )
        return self.direction[layer]

    def check_model(self, model: ModelCard) -> None:
        """Refuse a model these vectors were not made for.

        Raises:
            VectorError: If the fingerprints differ, naming both models.
        """
        ours = self.card.activations.model
        if ours.fingerprint != model.fingerprint:
            raise VectorError(
                f"these vectors belong to {ours.name!r} (weights {ours.fingerprint}), not to {model.name!r} "
                f"(weights {model.fingerprint}); run 'interp-steer extract' and 'interp-steer fit' on this model"
            )


_ARRAYS = ("direction", "norm", "activation_norm")


def save_vectors(vectors: SteeringVectors, path: Path) -> None:
    """Write vectors to a safetensors file, their card in the header.

    Raises:
        RunError: If the file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(getattr(vectors, name), dtype=np.float32) for name in _ARRAYS}
    write_arrays(path, arrays, json.dumps(to_json(vectors.card)))


def read_vectors(path: Path) -> SteeringVectors:
    """Read vectors from a safetensors file.

    Raises:
        RunError: If the file is missing or not one of ours.
    """
    arrays, card = read_arrays(path, _ARRAYS, VectorCard, "interp-steer fit")
    return SteeringVectors(card=card, **arrays)
