"""How strongly pushes disturb the model's predictions: ``KL(steered || unsteered)`` at given alphas.

The same texts and the same measure as in :mod:`interp_steer.sweeps.calibrate`, which looks for the alpha of a given KL;
here the alpha is given.
"""

from collections.abc import Sequence
from importlib.metadata import version

import torch

from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.records import digest
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.disturbance import kl_from_steered, log_probabilities, own_answers
from interp_steer.sweeps.doses import Dose, Doses
from interp_steer.sweeps.margins import vectors_digest
from interp_steer.sweeps.replay import TOKENS_PER_BATCH, Replay
from interp_steer.terms import Scope
from interp_steer.vectors.vector import SteeringVectors

VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")


def measure_doses(
    model: Model,
    vectors: SteeringVectors,
    prompts: Sequence[str],
    cells: Sequence[tuple[int, float]],
    *,
    scope: Scope = "response",
    n_tokens: int = 24,
    tokens_per_batch: int = TOKENS_PER_BATCH,
) -> Doses:
    """Measure the KL of pushes along steering vectors.

    Args:
        model: The model the vectors were made on.
        vectors: One direction per layer.
        prompts: What the unsteered model answers.
        cells: Layers and alphas.
        scope: Positions that are steered.
        n_tokens: Longest completion that is read.
        tokens_per_batch: Most padded tokens of one forward pass; bounds the memory.

    Raises:
        SteeringError: If there are no prompts, or a KL is not finite.
        VectorError: If the vectors belong to another model, or lack a layer.
    """
    vectors.check_model(model.card)
    if not prompts:
        raise SteeringError("doses need at least one prompt")
    texts = own_answers(model, prompts, n_tokens)
    layers = sorted({layer for layer, _ in cells})
    replay = Replay(model, texts, layers, scope, tokens_per_batch=tokens_per_batch)
    measure = kl_from_steered(replay.unsteered(log_probabilities))
    found: list[Dose] = []
    with progress("doses", len(layers)) as advance:
        for layer in layers:
            alphas = [alpha for one, alpha in cells if one == layer]
            pushes = [Intervention(layer=layer, alpha=alpha, direction=vectors.at(layer)) for alpha in alphas]
            kl = replay.steered(pushes, measure)
            if not bool(torch.isfinite(kl).all()):
                raise SteeringError(f"layer {layer}: a KL is NaN or Inf; load the model in float32 or bfloat16")
            middle, high = (torch.quantile(kl, share, dim=1).tolist() for share in (0.5, 0.95))
            for alpha, median, p95 in zip(alphas, middle, high, strict=True):
                found.append(Dose(layer=layer, alpha=alpha, median=max(0.0, median), p95=max(0.0, p95)))
            advance(1, f"layer {layer}")
    return Doses(
        doses=tuple(found),
        scope=scope,
        n_tokens=n_tokens,
        n_positions=sum(len(text.response) for text in texts),
        prompts=digest(list(prompts)),
        vectors=vectors_digest(vectors),
        model=model.card,
        versions={name: version(name) for name in VERSIONED},
    )
