"""Which cells are worth generating at: successive halving over layers, by likelihoods alone.

Round 1 asks every layer at one strength, round 2 the better third of them at three, and only the five best
layers, at three strengths around their best, go on to generation. Each round is a propensity sweep
(:mod:`interp_steer.sweeps.margins`): teacher-forced, so it costs a fraction of generating.

What it can miss: a layer whose push makes positive responses no likelier, yet steers what the model writes. The
full strategy has no such blind spot.

Source:
    Jamieson & Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
    arXiv:1502.07943 (successive halving).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.records import Cell, Pair
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.margins import PropensitySpec
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
        rounds: What decided.
        cells: Steered cells to generate at.
    """

    spec: SweepSpec
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
        wanted = PropensitySpec(layers=tuple(sorted(layers)), alphas=tuple(doses), scope=spec.scope, seed=spec.seed)
        change = propensity(model, vectors, pairs, wanted).mean_change()
        rounds.append(Round(layers=wanted.layers, alphas=wanted.alphas, changes=tuple(map(tuple, change.tolist()))))
        return [wanted.layers[row] for row in np.argsort(-change.max(axis=1), kind="stable")]

    best = ask(spec.layers, [alphas[len(alphas) // 2]])
    best = ask(best[: max(KEPT, -(-len(best) // 3))], _spread(alphas))[:KEPT]
    last = rounds[-1]
    cells = []
    for layer in sorted(best):
        dose = last.alphas[int(np.argmax(last.changes[last.layers.index(layer)]))]
        cells += [Cell(control="steered", layer=layer, alpha=alpha) for alpha in _around(alphas, dose)]
    return Halving(spec=spec, rounds=tuple(rounds), cells=tuple(cells))


def _spread(alphas: Sequence[float]) -> list[float]:
    """Return three strengths, from the weakest to the strongest."""
    places = np.linspace(0, len(alphas) - 1, min(DOSES, len(alphas)))
    return [alphas[round(place)] for place in places.tolist()]


def _around(alphas: Sequence[float], dose: float) -> list[float]:
    """Return a strength and its neighbors, three in all where there are as many."""
    place = alphas.index(dose)
    first = min(max(0, place - DOSES // 2), max(0, len(alphas) - DOSES))
    return list(alphas[first : first + DOSES])
