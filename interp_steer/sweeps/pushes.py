"""One small push per layer, on texts that have nothing to do with the behavior: what depends on the direction?

The unsteered model answers neutral prompts greedily; its answers are read again, teacher-forced, under a push of
the steering vector at an equal and at the natural dose, and of random directions at the equal one. Formulas and
what they do not show: :mod:`interp_steer.sweeps.shifts` and, for the logit lens, :mod:`interp_steer.sweeps.lens`.

The prompts are fixed and neutral, not the behavior's own, so that the measure is free of labels, shares no test
prompt with the sweep it is compared with, and means the same for every behavior.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp_steer.behaviors import Pair
from interp_steer.errors import RunError, SteeringError
from interp_steer.model.protocol import Model
from interp_steer.pairs import read_pairs
from interp_steer.progress import progress
from interp_steer.projections import lens_logits, promoted_tokens
from interp_steer.run import Run
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.disturbance import kl_from_unsteered, log_probabilities, logits_moved, own_answers
from interp_steer.sweeps.lens import lens_alignment
from interp_steer.sweeps.replay import TOKENS_PER_BATCH, Replay
from interp_steer.sweeps.rows import claim_model
from interp_steer.sweeps.shifts import Pushes, PushSpec, push_card, read_pushes, save_pushes
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.vector import SteeringVectors, read_vectors

VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")

NEUTRAL_PROMPTS = (
    "How does a bicycle stay upright?",
    "What is the difference between weather and climate?",
    "Describe how bread is made.",
    "Write a short note to a neighbor about a parcel.",
    "Why do leaves turn yellow in autumn?",
    "What should I look for in a second-hand chair?",
    "Tell me about the history of paper.",
    "How do I plan a short walk with friends?",
)


def pushes(
    model: Model,
    vectors: SteeringVectors,
    prompts: Sequence[str],
    pairs: Sequence[Pair],
    spec: PushSpec,
    *,
    tokens_per_batch: int = TOKENS_PER_BATCH,
) -> Pushes:
    """Measure how far pushes move the model's predictions along its own answers.

    Args:
        model: The model the vectors were made on.
        vectors: One direction per layer.
        prompts: What the unsteered model answers, e.g. :data:`NEUTRAL_PROMPTS`.
        pairs: Whose words the logit lens is compared with; nothing else uses them.
        spec: Layers, doses, scope and random directions.
        tokens_per_batch: Most padded tokens of one forward pass; bounds the memory.

    Raises:
        SteeringError: If the specification does not fit, there are no prompts or pairs, or a KL is not finite.
        VectorError: If the vectors belong to another model.
    """
    vectors.check_model(model.card)
    spec.check(vectors)
    if not prompts:
        raise SteeringError("pushes need at least one prompt")
    layers, n_layers = list(spec.layers), model.card.n_layers
    alignment = lens_alignment(model, lens_logits(model, vectors)[layers], pairs)
    promoted = promoted_tokens(model, vectors)
    texts = own_answers(model, prompts, spec.n_tokens)
    work = sum(len(texts) * (3 + spec.n_random) * (n_layers - layer) for layer in layers)
    kls, moved = [], []
    with progress("pushes", work) as advance:  # in blocks to run, as for propensity
        replay = Replay(model, texts, spec.layers, spec.scope, tokens_per_batch=tokens_per_batch)
        unsteered = replay.unsteered(log_probabilities)
        kl, shift = kl_from_unsteered(unsteered), logits_moved(unsteered)
        for layer in layers:

            def count(rows: int, layer: int = layer) -> None:
                advance(rows * (n_layers - layer), f"layer {layer}")

            least, *doses = _pushes_at(vectors, layer, spec)
            kls.append(_finite(replay.steered(doses, kl, count), layer))
            moved.append(_finite(replay.steered([least], shift, count), layer)[0] / spec.least_alpha)
    found = np.stack(kls).clip(min=0)  # below 0 by rounding only
    return Pushes(
        equal=found[:, 0],
        natural=found[:, 1],
        random=found[:, 2:],
        moved=np.stack(moved),
        natural_alpha=vectors.magnitude_ratio[layers].astype(np.float64),
        answers=np.repeat(np.arange(len(texts), dtype=np.float64), [len(text.response) for text in texts]),
        alignment=alignment,
        card=push_card(
            model.card,
            vectors,
            prompts,
            pairs,
            spec,
            promoted=tuple(tuple(token for token, _ in promoted[layer].up) for layer in layers),
            versions={name: version(name) for name in VERSIONED},
        ),
    )


def run_pushes(run: Run, load: Callable[[], Model], spec: PushSpec) -> Pushes:
    """Return the pushes of a run: those it holds if they are what is asked for, else measured and kept.

    Args:
        run: A run with vectors.
        load: Returns the model; not called if nothing needs measuring.
        spec: What to measure.

    Raises:
        RunError: If the run holds no vectors, or was begun with another model.
        SteeringError: As for :func:`pushes`.
    """
    vectors = read_vectors(run.vectors_path)
    spec.check(vectors)
    pairs = read_pairs(run.manifest()["behavior_source"])
    held = held_pushes(run)
    if held and held.card.basis == push_card(run.model_card(), vectors, NEUTRAL_PROMPTS, pairs, spec).basis:
        return held
    model = load()
    claim_model(run, model.card)
    found = pushes(model, vectors, NEUTRAL_PROMPTS, pairs, spec)
    save_pushes(found, run.pushes_path)
    return found


def default_spec(run: Run, vectors: SteeringVectors) -> PushSpec:
    """Return what is measured unless asked otherwise: every layer with a direction, in the scope of the run's sweep."""
    return PushSpec(
        layers=tuple(layer for layer in range(vectors.n_layers) if vectors.direction[layer].any()),
        scope=run.manifest().get("sweep", {}).get("scope", "response"),
    )


def held_pushes(run: Run) -> Pushes | None:
    """Return what was measured before; nothing if it cannot be read, since it can be measured again."""
    try:
        return read_pushes(run.pushes_path)
    except RunError:
        return None


def _pushes_at(vectors: SteeringVectors, layer: int, spec: PushSpec) -> list[Intervention]:
    """Return the vector at the smallest, the equal and the natural dose, then the random directions."""
    direction = vectors.at(layer)
    doses = (spec.least_alpha, spec.alpha, float(vectors.magnitude_ratio[layer]))
    random = (random_direction(direction.size, layer=layer, seed=spec.seed + i) for i in range(spec.n_random))
    return [
        *(Intervention(layer=layer, alpha=alpha, direction=direction) for alpha in doses),
        *(Intervention(layer=layer, alpha=spec.alpha, direction=one) for one in random),
    ]


def _finite(values: Float[Tensor, "push place"], layer: int) -> Float[np.ndarray, "push place"]:
    found = values.cpu().double().numpy()
    if not np.isfinite(found).all():
        raise SteeringError(
            f"layer {layer}: a steered prediction is NaN or Inf; load the model in float32 or bfloat16, or push less"
        )
    return found
