"""The direction each cell of a sweep pushes along."""

from interp_steer.activations.artifact import Activations
from interp_steer.errors import SteeringError
from interp_steer.records import Cell
from interp_steer.steering.intervention import Intervention
from interp_steer.vectors.controls import random_direction, sign_flipped_direction
from interp_steer.vectors.vector import SteeringVectors


def cell_interventions(
    cell: Cell, vectors: SteeringVectors, activations: Activations | None, seed: int
) -> tuple[Intervention, ...]:
    """Return what a cell adds to the residual stream; nothing for ``unsteered`` and ``prompted``.

    Args:
        cell: The point of the sweep.
        vectors: Steering vectors of the behavior.
        activations: The pairs behind them, which ``sign_flipped`` needs.
        seed: Seed of the control directions.

    Raises:
        SteeringError: If the layer does not exist or has no direction, or ``sign_flipped`` has no activations.
    """
    if cell.layer is None:
        return ()
    found = []
    for layer in (cell.layer, *cell.more_layers):
        direction = vectors.at(layer)
        if cell.control == "random":
            direction = random_direction(direction.size, layer=layer, seed=seed)
        elif cell.control == "sign_flipped":
            if activations is None:
                raise SteeringError(
                    "the 'sign_flipped' control needs the activations; run 'interp-steer extract' first"
                )
            direction = sign_flipped_direction(activations.differences(layer), layer=layer, seed=seed)
            if not direction.any():
                continue  # the flips cancel: this control adds nothing
        found.append(Intervention(layer=layer, alpha=cell.alpha, direction=direction))
    return tuple(found)
