"""Which of two given responses steering makes likelier, at every layer and alpha: a sweep without generating.

Formula, source and what the numbers do not show: :mod:`interp_steer.sweeps.margins`.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.margins import Propensity, PropensitySpec, propensity_card
from interp_steer.sweeps.replay import TOKENS_PER_BATCH
from interp_steer.sweeps.sides import SidesReplay
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.vector import SteeringVectors

VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")


def propensity(
    model: Model,
    vectors: SteeringVectors,
    pairs: Sequence[Pair],
    spec: PropensitySpec,
    *,
    tokens_per_batch: int = TOKENS_PER_BATCH,
) -> Propensity:
    """Measure how likely both responses of every pair are under every push.

    Teacher-forced, see :class:`~interp_steer.sweeps.sides.SidesReplay`. Use pairs that made no vector.

    Args:
        model: The model the vectors were made on.
        vectors: One direction per layer.
        pairs: Held-out contrastive pairs.
        spec: Layers, alphas, scope and random directions.
        tokens_per_batch: Most padded tokens of one forward pass; bounds the memory.

    Returns:
        Log-likelihoods of both sides at every cell; its methods give margins, changes and slopes.

    Raises:
        SteeringError: If the specification does not fit, there are no pairs, or a likelihood is not finite.
        TemplateError: If tokens merge across the seam between a prompt and its response.
        VectorError: If the vectors belong to another model.
    """
    vectors.check_model(model.card)
    spec.check(vectors)
    if not pairs:
        raise SteeringError("propensity needs at least one pair")
    n_layers = model.card.n_layers
    each = len(spec.alphas) + spec.n_random
    work = sum(2 * len(pairs) * each * (n_layers - layer) for layer in spec.layers)
    with progress("propensity", work) as advance:  # in blocks to run, so that the time left is right at any depth
        sides = SidesReplay(model, pairs, spec.layers, spec.scope, tokens_per_batch=tokens_per_batch)
        unsteered = sides.unsteered()
        by_layer = []
        for layer in spec.layers:

            def count(rows: int, layer: int = layer) -> None:
                advance(rows * (n_layers - layer), f"layer {layer}")

            by_layer.append(sides.steered(_pushes(vectors, layer, spec), count))
    steered = np.stack(by_layer, axis=1)
    return Propensity(
        unsteered=unsteered,
        steered=steered[:, :, : len(spec.alphas)],
        random=steered[:, :, len(spec.alphas) :],
        tokens=sides.tokens,
        card=propensity_card(model.card, vectors, pairs, spec, {name: version(name) for name in VERSIONED}),
    )


def _pushes(vectors: SteeringVectors, layer: int, spec: PropensitySpec) -> list[Intervention]:
    """Return the steering vector at every alpha, then the random directions; the first is that of a sweep."""
    direction = vectors.at(layer)
    random = (random_direction(direction.size, layer=layer, seed=spec.seed + i) for i in range(spec.n_random))
    pushes = [*((alpha, direction) for alpha in spec.alphas), *((spec.random_alpha, one) for one in random)]
    return [Intervention(layer=layer, alpha=alpha, direction=one, operation=spec.operation) for alpha, one in pushes]
