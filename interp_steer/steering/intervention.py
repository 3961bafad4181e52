"""What is done to the residual stream of one row: an operation along a unit direction ``v``, of some amount.

``h`` is the residual of one token as it arrives, ``p = h . v`` its projection. What ``alpha`` means depends on the
operation:

=======================  ========================================  ================================================
operation                what becomes of ``h``                     ``alpha``
=======================  ========================================  ================================================
``add`` (the default)    ``h + alpha ||h|| v``                     fraction of the norm that is added
``add_norm_preserving``  the same, scaled back to ``||h||``        fraction of the norm that is added
``ablate``               ``h - alpha p v``                         share of the component that is removed: 1 takes it
                                                                   away, 2 mirrors it, below 0 amplifies it
``project``              ``h + (alpha ||h|| - p) v``               ``p / ||h||`` afterwards, ``||h||`` as it arrived
``project_at_least``     the same where ``p < alpha ||h||``        least ``p / ||h||``; other tokens are left alone
``rotate``               ``h`` turned toward ``v`` in their plane  degrees; it stops at ``v`` (below 0: at ``-v``)
``reach``                ``h + max(0, alpha - p) v``               least ``p``, in units of the residual itself: what a
                                                                   head asks for (:mod:`interp_steer.heads.gate`)
=======================  ========================================  ================================================

Alpha 0 does nothing, bit for bit, save where it is a target like any other: in the projections and ``reach``.

Source:
    Addition: Turner et al., "Activation Addition", arXiv:2308.10248. Ablation: Arditi et al., "Refusal in Language
    Models Is Mediated by a Single Direction", arXiv:2406.11717. Projections to a target: arXiv:2604.08169 (StTP).
    Rotation: Vu and Nguyen, "Angular Steering", arXiv:2510.26243.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp_steer.errors import SteeringError
from interp_steer.steering.gate import Gate
from interp_steer.terms import OPERATIONS, Operation
from interp_steer.vectors.vector import SteeringVectors

LARGEST_AMOUNT = 10.0
LARGEST_ANGLE = 180.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Intervention:
    """One operation along one direction at one layer.

    Attributes:
        layer: Block after which the residual stream is changed.
        alpha: How much of the operation, in its own unit; see :mod:`interp_steer.steering.intervention`.
        direction: Unit vector.
        operation: What is done along it.
        gate: Which tokens it is done to; all in scope if there is none.
    """

    layer: int
    alpha: float
    direction: Float[np.ndarray, " d_model"]
    operation: Operation = "add"
    gate: Gate | None = None

    def __post_init__(self) -> None:
        check_operation(self.operation)
        if not np.isfinite(self.alpha):
            raise SteeringError(f"alpha is {self.alpha}; expected a finite number")
        if self.operation == "rotate" and abs(self.alpha) > LARGEST_ANGLE:
            raise SteeringError(f"alpha is {self.alpha:g}; 'rotate' expects degrees between -180 and 180")
        if self.gate is not None and self.gate.layer > self.layer:
            raise SteeringError(
                f"the gate reads layer {self.gate.layer}, above layer {self.layer} that it decides on; "
                "expected one at or below it"
            )
        norm = float(np.linalg.norm(self.direction))
        if not abs(norm - 1) < 1e-3:
            raise SteeringError(f"the direction at layer {self.layer} has norm {norm:.4g}; expected a unit vector")

    @property
    def acts(self) -> bool:
        """Whether it can change a residual stream at all."""
        return self.alpha != 0 or self.operation in ("project", "project_at_least", "reach")


def interventions(
    vectors: SteeringVectors,
    layers: tuple[int, ...],
    alpha: float,
    operation: Operation = "add",
    gate: Gate | None = None,
) -> tuple[Intervention, ...]:
    """Return one intervention per layer, each along that layer's own direction.

    Raises:
        SteeringError: If a layer does not exist or has no direction, or operation or alpha are out of range.
    """
    return tuple(
        Intervention(layer=layer, alpha=alpha, direction=vectors.at(layer), operation=operation, gate=gate)
        for layer in layers
    )


def check_operation(operation: str) -> None:
    """Refuse an operation there is not.

    Raises:
        SteeringError: Naming those there are.
    """
    if operation not in OPERATIONS:
        raise SteeringError(f"operation {operation!r} is not known; expected one of {', '.join(OPERATIONS)}")


def check_amount(alpha: float, operation: Operation) -> None:
    """Refuse an amount that a grid has no use for: zero, or far out of the operation's range.

    Raises:
        SteeringError: Saying which, and what was expected.
    """
    check_operation(operation)
    if operation == "reach":
        raise SteeringError("'reach' takes its amount from a head, in residual units; it is not for grids")
    largest = LARGEST_ANGLE if operation == "rotate" else LARGEST_AMOUNT
    if alpha == 0 or not -largest <= alpha <= largest:
        meaning = {
            "add": "a nonzero fraction of the norm",
            "add_norm_preserving": "a nonzero fraction of the norm",
            "ablate": "a nonzero share of the component",
            "rotate": "a nonzero angle in degrees",
        }.get(operation, "a nonzero fraction of the norm (to remove the component, use 'ablate')")
        raise SteeringError(f"alpha {alpha:g} is out of range: expected {meaning} between -{largest:g} and {largest:g}")


def amount_like(operation: Operation, alpha: float) -> float:
    """Return the amount that does to a residual orthogonal to the direction about what adding ``alpha`` does.

    Args:
        operation: What is done; ``ablate``, which leaves such a residual alone, and ``reach``, which has a unit of
            its own, have no such amount.
        alpha: Fraction of the norm that would be added.

    Returns:
        For ``rotate`` the angle ``arctan(alpha)`` in degrees, for the others ``alpha`` itself.

    Raises:
        SteeringError: For these two.
    """
    if operation in ("ablate", "reach"):
        raise SteeringError(f"{operation!r} has no amount like adding a fraction of the norm; give one")
    return math.degrees(math.atan(alpha)) if operation == "rotate" else alpha
