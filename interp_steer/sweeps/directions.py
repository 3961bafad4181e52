"""The direction each cell of a sweep pushes along."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float

from interp_steer.activations.artifact import Activations
from interp_steer.errors import SteeringError
from interp_steer.records import Cell
from interp_steer.steering.intervention import Intervention
from interp_steer.terms import Operation
from interp_steer.vectors.controls import random_direction, sign_flipped_direction
from interp_steer.vectors.pca import pca, pca_centered
from interp_steer.vectors.vector import SteeringVectors

FromPairs = Literal["sign_flipped", "pca", "pca_centered"]
Differences = Float[np.ndarray, "pair d_model"]


def _unit(vector: Float[np.ndarray, " d_model"]) -> Float[np.ndarray, " d_model"]:
    norm = np.linalg.norm(vector)
    return vector / norm if norm > 0 else vector


FROM_PAIRS: dict[FromPairs, Callable[[Differences, int, int], Float[np.ndarray, " d_model"]]] = {
    "sign_flipped": lambda differences, layer, seed: sign_flipped_direction(differences, layer=layer, seed=seed),
    "pca": lambda differences, layer, seed: _unit(pca(differences)),  # noqa: ARG005 (one signature for all)
    "pca_centered": lambda differences, layer, seed: _unit(pca_centered(differences)),  # noqa: ARG005
}
"""Controls made of the pairs behind the vectors: their differences at the layer, the layer, a seed."""


def cell_interventions(
    cell: Cell,
    vectors: SteeringVectors,
    activations: Activations | None,
    seed: int,
    operation: Operation = "add",
) -> tuple[Intervention, ...]:
    """Return what a cell does to the residual stream; nothing for ``unsteered`` and ``prompted``.

    Args:
        cell: The point of the sweep.
        vectors: Steering vectors of the behavior.
        activations: The pairs behind them, which :data:`FROM_PAIRS` need.
        seed: Seed of the control directions.
        operation: What is done along the direction, that of a control too; the cell's alpha is its amount.

    Raises:
        SteeringError: If the layer does not exist or has no direction, or a control lacks its activations.
    """
    if cell.layer is None:
        return ()
    found = []
    for layer in (cell.layer, *cell.more_layers):
        direction = vectors.at(layer)
        if cell.control == "random":
            direction = random_direction(direction.size, layer=layer, seed=seed)
        elif cell.control in ("sign_flipped", "pca", "pca_centered"):
            if activations is None:
                raise SteeringError(
                    f"the {cell.control!r} control needs the activations; run 'interp-steer extract' first"
                )
            direction = FROM_PAIRS[cell.control](activations.differences(layer), layer, seed)
            if not direction.any():
                continue  # flips that cancel, or nothing that varies: this control does nothing
        found.append(Intervention(layer=layer, alpha=cell.alpha, direction=direction, operation=operation))
    return tuple(found)
