"""Which cells are worth generating at: successive halving over layers, by likelihoods alone.

Round 1 asks every layer at one strength, round 2 the better third of them at three, and only the five best
layers, at three strengths from the weakest to the strongest, go on to generation. Each round is a propensity sweep
(:mod:`interp_steer.sweeps.margins`): teacher-forced, so it costs a fraction of generating.

Likelihoods choose layers, not strengths: they go on rising where the text has long fallen apart. What they can
miss: a layer whose push makes positive responses no likelier, yet steers what the model writes; and they prefer
no direction to a random one, which only the sweep's controls do. The full strategy has no such blind spots.

Source:
    Jamieson & Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
    arXiv:1502.07943 (successive halving).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.records import Cell
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.margins import Propensity, PropensitySpec, vectors_digest
from interp_steer.sweeps.propensity import propensity
from interp_steer.vectors.vector import SteeringVectors

KEPT = 5
DOSES = 3


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round: what was asked, and the mean change of the margin per token, in nats, ``[layer][alpha]``."""

    layers: tuple[int, ...]
    alphas: tuple[float, ...]
    changes: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Halving:
    """How a sweep came to its cells.

    Attributes:
        spec: The sweep that was asked for.
        vectors: Digest of the vectors that were steered with.
        rounds: What decided.
        cells: Steered cells to generate at.
    """

    spec: SweepSpec
    vectors: str
    rounds: tuple[Round, ...]
    cells: tuple[Cell, ...]


def halve(model: Model, vectors: SteeringVectors, pairs: Sequence[Pair], spec: SweepSpec) -> Halving:
    """Choose the cells of a sweep without generating.

    Args:
        model: The model the vectors were made on.
        vectors: One direction per layer.
        pairs: Contrastive pairs of the dev split: not those behind the vectors, and not the test split.
        spec: The full grid; its positive alphas are the strengths to choose from.

    Raises:
        SteeringError: If the specification does not fit the model.
        VectorError: If the vectors belong to another model.
    """
    spec.check(vectors.n_layers, model.card.name)
    alphas = sorted(alpha for alpha in spec.alphas if alpha > 0)
    if not alphas:
        raise SteeringError("halving looks for the cell that shows the behavior, so it needs a positive alpha")
    rounds: list[Round] = []

    def ask(layers: Sequence[int], doses: Sequence[float]) -> list[int]:
        """Return the layers, best first."""
        wanted = PropensitySpec(
            layers=tuple(sorted(layers)),
            alphas=tuple(doses),
            scope=spec.scope,
            seed=spec.seed,
            operation=spec.operation,
        )
        change = propensity(model, vectors, pairs, wanted).mean_change()
        rounds.append(Round(layers=wanted.layers, alphas=wanted.alphas, changes=tuple(map(tuple, change.tolist()))))
        return [wanted.layers[row] for row in np.argsort(-change.max(axis=1), kind="stable")]

    best = ask(spec.layers, [alphas[len(alphas) // 2]])
    best = ask(best[: max(KEPT, -(-len(best) // 3))], _spread(alphas))[:KEPT]
    cells = [Cell(control="steered", layer=layer, alpha=alpha) for layer in sorted(best) for alpha in _spread(alphas)]
    return Halving(spec=spec, vectors=vectors_digest(vectors), rounds=tuple(rounds), cells=tuple(cells))


def shortlisted(measured: Propensity, spec: SweepSpec, *, n_best: int = KEPT, also: Sequence[int] = ()) -> Halving:
    """Choose the cells of a sweep from a propensity that covers the grid already: one round instead of two.

    Args:
        measured: Propensity on the dev pairs, at every layer.
        spec: The sweep; its positive alphas are the strengths that are generated at.
        n_best: How many layers to keep, those with the largest change at any positive alpha.
        also: Layers to generate at whatever their likelihoods say, so that these are not taken at their word.
    """
    held = measured.card.spec
    positive = [i for i, alpha in enumerate(held.alphas) if alpha > 0]
    changes = measured.mean_change()[:, positive]
    best = [held.layers[row] for row in np.argsort(-changes.max(axis=1), kind="stable")[:n_best]]
    doses = _spread(sorted(alpha for alpha in spec.alphas if alpha > 0))
    asked = Round(
        layers=held.layers, alphas=tuple(held.alphas[i] for i in positive), changes=tuple(map(tuple, changes.tolist()))
    )
    layers = sorted({*best, *(layer for layer in also if layer in held.layers)})
    cells = tuple(Cell(control="steered", layer=layer, alpha=alpha) for layer in layers for alpha in doses)
    return Halving(spec=spec, vectors=measured.card.vectors, rounds=(asked,), cells=cells)


def _spread(alphas: Sequence[float]) -> list[float]:
    """Return three strengths, from the weakest to the strongest."""
    places = np.linspace(0, len(alphas) - 1, min(DOSES, len(alphas)))
    return [alphas[round(place)] for place in places.tolist()]
