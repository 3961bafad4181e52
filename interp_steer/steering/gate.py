"""A gate: an intervention acts only on tokens that a linear reading calls for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp_steer.errors import SteeringError


@dataclass(frozen=True, kw_only=True, eq=False)
class Gate:
    """Open where ``weight . h + bias < 0``, ``h`` a token's residual at a layer no higher than the steered one.

    At its own layer it reads the residual as it arrives there, before anything is done. So with a single steered layer
    it never sees the push on the token itself, and what it sees of earlier tokens is what their text says.

    Attributes:
        layer: Block whose output is read.
        weight: Of the residual.
        bias: Of the reading.
    """

    layer: int
    weight: Float[np.ndarray, " d_model"]
    bias: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.bias) or not np.isfinite(self.weight).all():
            raise SteeringError(f"the gate at layer {self.layer} holds NaN or Inf")
