"""What is added to the residual stream of one row: ``h + alpha * ||h|| * direction``."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp_steer.errors import SteeringError
from interp_steer.vectors.vector import SteeringVectors


@dataclass(frozen=True, kw_only=True, eq=False)
class Intervention:
    """A push along one direction at one layer.

    Attributes:
        layer: Block after which the residual stream is changed.
        alpha: Fraction of the residual's norm that is added; negative pushes the other way.
        direction: Unit vector.
    """

    layer: int
    alpha: float
    direction: Float[np.ndarray, " d_model"]

    def __post_init__(self) -> None:
        if not np.isfinite(self.alpha):
            raise SteeringError(f"alpha is {self.alpha}; expected a finite number")
        norm = float(np.linalg.norm(self.direction))
        if not abs(norm - 1) < 1e-3:
            raise SteeringError(f"the direction at layer {self.layer} has norm {norm:.4g}; expected a unit vector")


def interventions(vectors: SteeringVectors, layers: tuple[int, ...], alpha: float) -> tuple[Intervention, ...]:
    """Return one intervention per layer, each along that layer's own direction.

    Raises:
        SteeringError: If a layer does not exist or has no direction.
    """
    return tuple(Intervention(layer=layer, alpha=alpha, direction=vectors.at(layer)) for layer in layers)
