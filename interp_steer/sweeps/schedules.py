"""Ways to spread one push over depth: which layers, each how strongly for its part.

A schedule gives every layer a weight; the amount at layer l is ``scale * weight_l``, each along that layer's own
direction. The squares of the weights sum to 1, so that ``scale`` is the root sum of squares of the amounts whatever
the schedule: with k equal layers each gets ``scale / sqrt(k)``. Equal scales are still not equally strong; what is
compared is solved to an equal KL (:mod:`interp_steer.sweeps.combine`).

Source:
    Equal budgets over a Gaussian of depth: arXiv:2512.07667. Different vectors at different layers: arXiv:2403.05767.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from interp_steer.errors import SteeringError
from interp_steer.steering.intervention import Intervention, amount_like
from interp_steer.terms import Operation
from interp_steer.vectors.vector import SteeringVectors

LEAST_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One way to spread a push.

    Attributes:
        name: What tables call it.
        weights: Weight of each layer; the squares sum to 1.
        operation: What is done at each of them; its amount is that of :func:`amount_like` the scaled weight.
    """

    name: str
    weights: Mapping[int, float]
    operation: Operation = "add"

    def interventions(self, vectors: SteeringVectors, scale: float) -> tuple[Intervention, ...]:
        """Return what it does at a scale, each layer along its own direction."""
        return tuple(
            Intervention(
                layer=layer,
                alpha=amount_like(self.operation, scale * weight),
                direction=vectors.at(layer),
                operation=self.operation,
            )
            for layer, weight in sorted(self.weights.items())
        )


def single(layer: int, operation: Operation = "add") -> Schedule:
    """Return the whole push at one layer."""
    what = "" if operation == "add" else f", {operation}"
    return Schedule(name=f"layer {layer}{what}", weights={layer: 1.0}, operation=operation)


def top(ranking: Sequence[int], k: int) -> Schedule:
    """Return the ``k`` first layers of a ranking, each with ``1 / sqrt(k)``.

    Raises:
        SteeringError: If the ranking has fewer layers.
    """
    if not 1 <= k <= len(ranking):
        raise SteeringError(f"top-{k} needs {k} layers with a direction and a solution; there are {len(ranking)}")
    return Schedule(name=f"top {k}", weights={layer: 1 / math.sqrt(k) for layer in ranking[:k]})


def gaussian(layers: Sequence[int], center: float, width: float) -> Schedule:
    """Return weights ``exp(-(l - center)^2 / (2 width^2))`` over layers; those below 5 % of the largest are left out.

    Args:
        layers: Layers that have a direction.
        center: Layer of the largest weight.
        width: Standard deviation, in layers.

    Raises:
        SteeringError: If the width is not positive, or there are no layers.
    """
    if not width > 0 or not layers:
        raise SteeringError(f"a Gaussian over depth needs layers and a width above 0; got width {width:g}")
    bell = {layer: math.exp(-0.5 * ((layer - center) / width) ** 2) for layer in layers}
    largest = max(bell.values())
    kept = {layer: weight for layer, weight in bell.items() if weight >= LEAST_SHARE * largest}
    length = float(np.linalg.norm(list(kept.values())))
    name = f"Gaussian at {center:g}, width {width:g}"
    return Schedule(name=name, weights={layer: weight / length for layer, weight in kept.items()})
