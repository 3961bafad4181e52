"""Which of two given responses steering makes likelier, at every layer and alpha: a sweep without generating.

Formula, source and what the numbers do not show: :mod:`interp_steer.sweeps.margins`.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.margins import Propensity, PropensitySpec, propensity_card
from interp_steer.sweeps.replay import TOKENS_PER_BATCH, Replay
from interp_steer.sweeps.texts import Text
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

    Teacher-forced: the model reads each response and is asked how likely its tokens were. The end-of-turn token
    is not scored. Use pairs that made no vector.

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
    texts = [_text(model, pair.prompt, response) for pair in pairs for response in (pair.positive, pair.negative)]
    n_layers = model.card.n_layers
    each = len(spec.alphas) + spec.n_random
    work = sum(len(texts) * each * (n_layers - layer) for layer in spec.layers)
    targets = torch.tensor([token for text in texts for token in text.response], device=model.device)
    starts = np.cumsum([0, *(len(text.response) for text in texts)])[:-1]

    def measure(logits: Float[Tensor, "place vocab"], places: Int[Tensor, " place"]) -> Float[Tensor, " place"]:
        chosen = targets.to(logits.device)[places].unsqueeze(1)
        return logits.gather(1, chosen).squeeze(1) - logits.logsumexp(dim=1)

    def by_side(values: Float[Tensor, "*cell place"]) -> Float[np.ndarray, "side *cell pair"]:
        sums = np.add.reduceat(values.cpu().double().numpy(), starts, axis=-1)
        return np.stack([sums[..., 0::2], sums[..., 1::2]])

    with progress("propensity", work) as advance:  # in blocks to run, so that the time left is right at any depth
        replay = Replay(model, texts, spec.layers, spec.scope, tokens_per_batch=tokens_per_batch)
        unsteered = by_side(replay.unsteered(measure))
        by_layer = []
        for layer in spec.layers:
            pushes = _pushes(vectors, layer, spec)

            def count(rows: int, layer: int = layer) -> None:
                advance(rows * (n_layers - layer), f"layer {layer}")

            by_layer.append(by_side(replay.steered(pushes, measure, count)))
    steered = np.stack(by_layer, axis=1)
    if not np.isfinite(steered).all():
        layer = spec.layers[int(np.argwhere(~np.isfinite(steered))[0][1])]
        raise SteeringError(
            f"layer {layer}: a steered likelihood is NaN or Inf; load the model in float32 or bfloat16, or steer less"
        )
    return Propensity(
        unsteered=unsteered,
        steered=steered[:, :, : len(spec.alphas)],
        random=steered[:, :, len(spec.alphas) :],
        tokens=np.array([[len(text.response) for text in texts[side::2]] for side in (0, 1)], dtype=np.float64),
        card=propensity_card(model.card, vectors, pairs, spec, {name: version(name) for name in VERSIONED}),
    )


def _text(model: Model, prompt: str, response: str) -> Text:
    ids, n_prompt = model.chat.pair_ids(prompt, response)
    return Text(prompt=tuple(ids[:n_prompt]), response=tuple(ids[n_prompt:]))


def _pushes(vectors: SteeringVectors, layer: int, spec: PropensitySpec) -> list[Intervention]:
    """Return the steering vector at every alpha, then the random directions; the first is that of a sweep."""
    direction = vectors.at(layer)
    random = (random_direction(direction.size, layer=layer, seed=spec.seed + i) for i in range(spec.n_random))
    return [
        *(Intervention(layer=layer, alpha=alpha, direction=direction) for alpha in spec.alphas),
        *(Intervention(layer=layer, alpha=spec.random_alpha, direction=one) for one in random),
    ]
