"""The alpha at which steering disturbs the model's predictions by a given amount, layer by layer (iso-KL).

Equal alphas are not equally strong: the same fraction of the norm changes what the model predicts much more at
one layer than at another. Here every layer gets the alpha at which ``KL(steered || unsteered)`` of the
next-token distribution, at its 95th percentile over positions, is the target. The texts are the unsteered
model's own greedy completions, read teacher-forced, so that nothing is decoded under steering. How the target is
found: :mod:`interp_steer.sweeps.alpha_search`.

It does not show that the disturbance is the wanted one: a random direction can be calibrated just as well.
"""

import functools
import math
from collections.abc import Sequence
from importlib.metadata import version

import torch

from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.records import digest
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.alpha_search import START, solve
from interp_steer.sweeps.calibration import CalibratedLayer, Calibration, CalibrationSpec
from interp_steer.sweeps.disturbance import kl_from_steered, log_probabilities, own_answers
from interp_steer.sweeps.margins import vectors_digest
from interp_steer.sweeps.replay import TOKENS_PER_BATCH, Replay
from interp_steer.vectors.vector import SteeringVectors

VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")


def calibrate(
    model: Model,
    vectors: SteeringVectors,
    prompts: Sequence[str],
    spec: CalibrationSpec,
    *,
    tokens_per_batch: int = TOKENS_PER_BATCH,
) -> Calibration:
    """Find the alpha of every layer at which steering reaches the target KL.

    Args:
        model: The model the vectors were made on.
        vectors: One direction per layer.
        prompts: What the unsteered model answers; a few neutral ones do.
        spec: Layers, target, scope and the ends of the search.
        tokens_per_batch: Most padded tokens of one forward pass; bounds the memory.

    Raises:
        SteeringError: If the specification does not fit, there are no prompts, or a KL is not finite.
        VectorError: If the vectors belong to another model.
    """
    vectors.check_model(model.card)
    spec.check(vectors)
    if not prompts:
        raise SteeringError("a calibration needs at least one prompt")
    texts = own_answers(model, prompts, spec.n_tokens)
    replay = Replay(model, texts, spec.layers, spec.scope, tokens_per_batch=tokens_per_batch)
    measure = kl_from_steered(replay.unsteered(log_probabilities))

    def reach(layer: int, alpha: float) -> float:
        push = Intervention(layer=layer, alpha=alpha, direction=vectors.at(layer))
        found = float(torch.quantile(replay.steered([push], measure)[0], spec.quantile))
        if not math.isfinite(found):
            raise SteeringError(
                f"layer {layer}, alpha {alpha:g}: the KL is NaN or Inf; load the model in float32 or bfloat16"
            )
        return found

    solved: list[CalibratedLayer] = []
    with progress("calibrate", len(spec.layers)) as advance:
        for layer in spec.layers:
            nearest = next((one.alpha for one in reversed(solved) if one.alpha), START)
            solution = solve(spec.search(nearest), functools.partial(reach, layer))
            solved.append(CalibratedLayer(layer=layer, **vars(solution)))
            advance(1, f"layer {layer}")
    return Calibration(
        spec=spec,
        layers=tuple(solved),
        n_positions=sum(len(text.response) for text in texts),
        behavior=vectors.card.activations.behavior,
        prompts=digest(list(prompts)),
        vectors=vectors_digest(vectors),
        model=model.card,
        versions={name: version(name) for name in VERSIONED},
    )
