"""What ranks the layers of a behavior: heuristics, fixed depths, chance, other behaviors, and the sweep on dev."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from analyses.study.truths import Subject, Truth
from interp_steer.findings import Number

DEPTHS = (80, 60, 50, 40, 20)
RANDOM = "random layer"
OTHERS = "best depth of the other behaviors"
SWEEP = "likelihood on dev"
MIDDLE = "50 % depth"
BASELINES = (*(f"{depth} % depth" for depth in DEPTHS), "last layer", RANDOM, OTHERS, SWEEP)
COMPUTED = (RANDOM, OTHERS, SWEEP)
"""Baselines that are no fixed depth."""
CONTROLS: Mapping[str, str] = {"kl small push": "kl small push random"}
"""The same number along a random direction: what a heuristic knows of the layer, not of the behavior."""
USE_ONE_CELL = ("propensity one cell", "recommender")
"""Read dev pairs under one push at every layer: a small sweep of their own."""


def kind_of(name: str) -> str:
    """Say what a selector is: ``baseline``, ``control``, ``one cell`` or ``heuristic``."""
    if name in BASELINES:
        return "baseline"
    if name in CONTROLS.values():
        return "control"
    return "one cell" if name in USE_ONE_CELL else "heuristic"


Scores = dict[str, Float[np.ndarray, " layer"]]


def rankings(subject: Subject, truth: Truth, other_truths: Sequence[Truth]) -> Scores:
    """Return every selector's score of the layers that have a truth; higher is tried earlier.

    Layers that a heuristic says nothing of come last, in no order. A heuristic that says nothing of any is left out.

    Args:
        subject: The behavior.
        truth: Its truth.
        other_truths: The same kind of truth of the other steerable behaviors, over the same layers or not.
    """
    layers, found = truth.layers, dict[str, Float[np.ndarray, " layer"]]()
    for result in subject.analyses:
        for name, scores in result.scores.items():
            if (ranked := _defined([scores[layer] for layer in layers])) is not None:
                found[name.replace("_", " ")] = ranked
    depth = np.array(layers, dtype=float)
    for percent in DEPTHS:
        found[f"{percent} % depth"] = -np.abs(depth - percent * truth.n_layers // 100)
    found["last layer"] = depth
    found[RANDOM] = np.zeros(len(layers))
    if (others := _others(layers, other_truths)) is not None:
        found[OTHERS] = others
    dev = {
        layer: row[[alpha > 0 for alpha in subject.dev.card.spec.alphas]].max()
        for layer, row in zip(subject.dev.card.spec.layers, subject.dev.mean_change(), strict=True)
    }
    if (swept := _defined([dev.get(layer) for layer in layers])) is not None:
        found[SWEEP] = swept
    return found


def _defined(scores: Sequence[Number]) -> Float[np.ndarray, " layer"] | None:
    known = [score for score in scores if score is not None]
    if not known:
        return None
    return np.array([min(known) - 1 if score is None else score for score in scores], dtype=float)


def _others(layers: Sequence[int], truths: Sequence[Truth]) -> Float[np.ndarray, " layer"] | None:
    """Score each layer by what it is worth to the other behaviors, each scaled to 0 (its mean) and 1 (its best)."""
    worth: list[Mapping[int, float]] = []
    for truth in truths:
        mean = truth.mean
        if (span := float(mean.max() - mean.mean())) > 0:
            worth.append(dict(zip(truth.layers, (mean - mean.mean()) / span, strict=True)))
    if not worth:
        return None
    known = [[one[layer] for one in worth if layer in one] for layer in layers]
    return _defined([float(np.mean(values)) if values else None for values in known])
