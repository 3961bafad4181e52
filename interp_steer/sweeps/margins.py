"""How much more likely the positive response of a pair is than the negative one, by layer and alpha (numpy, no torch).

The margin of a pair is ``m = log p(positive | prompt) - log p(negative | prompt)``, either of whole responses or
of their means per token, which is the default because responses differ in length. What steering does is the
*change* of the margin; how strongly it does so is its slope over alpha, the steerability of the pair.

It does not show what the model would write: a push can make a text likelier that is still far from being chosen,
or break what comes after. Hold it against random directions, and against generations.

Source:
    Tan et al., "Analyzing the Generalization and Reliability of Steering Vectors", arXiv:2407.12404 (propensity,
    steerability, anti-steerable examples).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interp_steer.activations.artifact import read_arrays, write_arrays
from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.records import ModelCard, digest, to_json
from interp_steer.steering.intervention import check_amount
from interp_steer.terms import Operation, Scope
from interp_steer.vectors.vector import SteeringVectors


@dataclass(frozen=True, kw_only=True)
class PropensitySpec:
    """What is measured.

    Attributes:
        layers: Blocks to steer, one at a time.
        alphas: Fractions of the residual's norm to add, or amounts of another operation; either sign. The unsteered
            model, as alpha 0, is always measured.
        scope: Positions that are steered.
        random_alpha: Alpha of the random directions.
        n_random: Number of random directions at every layer.
        seed: Seed of the random directions.
        operation: What is done along the direction: :mod:`interp_steer.steering.intervention`.
    """

    layers: tuple[int, ...]
    alphas: tuple[float, ...]
    scope: Scope = "response"
    random_alpha: float = 0.3
    n_random: int = 0
    seed: int = 0
    operation: Operation = "add"

    def check(self, vectors: SteeringVectors) -> None:
        """Refuse a specification that does not fit the vectors.

        Raises:
            SteeringError: Saying which value, and what was expected.
        """
        if not self.layers or not self.alphas:
            raise SteeringError("propensity needs at least one layer and one alpha")
        for layer in self.layers:
            vectors.at(layer)
        for alpha in (*self.alphas, self.random_alpha):
            check_amount(alpha, self.operation)
        if self.n_random < 0:
            raise SteeringError(f"n_random is {self.n_random}; expected 0 or more directions")


@dataclass(frozen=True, kw_only=True)
class PropensityCard:
    """Where margins come from: whoever finds an equal ``basis`` need not measure again."""

    model: ModelCard
    behavior: str
    pairs: str
    vectors: str
    spec: PropensitySpec
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def basis(self) -> tuple[str, str, str, PropensitySpec]:
        """What decides the numbers, the model aside: its vectors know it."""
        return self.behavior, self.pairs, self.vectors, self.spec


def propensity_card(
    model: ModelCard,
    vectors: SteeringVectors,
    pairs: Sequence[Pair],
    spec: PropensitySpec,
    versions: Mapping[str, str] | None = None,
) -> PropensityCard:
    """Return the card of margins that are still to be measured."""
    return PropensityCard(
        model=model,
        behavior=vectors.card.activations.behavior,
        pairs=digest([to_json(pair) for pair in pairs]),
        vectors=vectors_digest(vectors),
        spec=spec,
        versions=versions or {},
    )


def vectors_digest(vectors: SteeringVectors) -> str:
    """Return a hash of the directions and of the model they were made on."""
    sha = hashlib.sha256(np.ascontiguousarray(vectors.direction, dtype=np.float32).tobytes())
    sha.update(vectors.card.activations.model.fingerprint.encode())
    return sha.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Propensity:
    """Log-likelihoods of both responses of every pair, in nats; side 0 is the positive response.

    Attributes:
        unsteered: Without steering.
        steered: Under the steering vector.
        random: Under each random direction, at ``card.spec.random_alpha``.
        tokens: Number of tokens of each response.
        card: Where they come from.
    """

    unsteered: Float[np.ndarray, "side pair"]
    steered: Float[np.ndarray, "side layer alpha pair"]
    random: Float[np.ndarray, "side layer direction pair"]
    tokens: Float[np.ndarray, "side pair"]
    card: PropensityCard

    def _margins(self, loglik: Float[np.ndarray, "side *cell pair"], *, per_token: bool) -> np.ndarray:
        tokens = self.tokens if per_token else np.ones_like(self.tokens)
        return loglik[0] / tokens[0] - loglik[1] / tokens[1]

    def unsteered_margins(self, *, per_token: bool = True) -> Float[np.ndarray, " pair"]:
        """Return the margin of every pair without steering."""
        return self._margins(self.unsteered, per_token=per_token)

    def margins(self, *, per_token: bool = True) -> Float[np.ndarray, "layer alpha pair"]:
        """Return the margin of every pair at every cell."""
        return self._margins(self.steered, per_token=per_token)

    def changes(self, *, per_token: bool = True) -> Float[np.ndarray, "layer alpha pair"]:
        """Return by how much steering changes every margin."""
        return self.margins(per_token=per_token) - self.unsteered_margins(per_token=per_token)

    def random_changes(self, *, per_token: bool = True) -> Float[np.ndarray, "layer direction pair"]:
        """Return by how much each random direction changes every margin."""
        return self._margins(self.random, per_token=per_token) - self.unsteered_margins(per_token=per_token)

    def mean_change(self, *, per_token: bool = True) -> Float[np.ndarray, "layer alpha"]:
        """Return the change of the margin, averaged over pairs."""
        return self.changes(per_token=per_token).mean(axis=-1)

    def best(self, *, per_token: bool = True) -> tuple[int, float]:
        """Return layer and alpha of the cell with the largest mean change; of equals, the first."""
        change = self.mean_change(per_token=per_token)
        row, column = np.unravel_index(int(change.argmax()), change.shape)
        return self.card.spec.layers[row], self.card.spec.alphas[column]

    def slopes(self, *, per_token: bool = True) -> Float[np.ndarray, "layer pair"]:
        """Return the steerability of every pair: the least-squares slope of its margin over alpha, 0 included.

        Meant for operations that alpha 0 switches off; the projections to a target are not among them.
        """
        margins = self.margins(per_token=per_token)
        n_layers, _, n_pairs = margins.shape
        start = np.broadcast_to(self.unsteered_margins(per_token=per_token), (n_layers, 1, n_pairs))
        curves = np.concatenate([start, margins], axis=1).swapaxes(0, 1).reshape(-1, n_layers * n_pairs)
        return np.polyfit([0.0, *self.card.spec.alphas], curves, 1)[0].reshape(n_layers, n_pairs)

    def anti_steerable(self, *, per_token: bool = True) -> Float[np.ndarray, " layer"]:
        """Return the share of pairs with a negative slope, which steering moves the wrong way."""
        return (self.slopes(per_token=per_token) < 0).mean(axis=-1)


_ARRAYS = ("unsteered", "steered", "random", "tokens")


def save_propensity(found: Propensity, path: Path) -> None:
    """Write margins to a safetensors file, their card in the header.

    Raises:
        RunError: If the file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(getattr(found, name)) for name in _ARRAYS}
    write_arrays(path, arrays, json.dumps(to_json(found.card)))


def read_propensity(path: Path) -> Propensity:
    """Read margins from a safetensors file.

    Raises:
        RunError: If the file is missing or not one of ours.
    """
    arrays, card = read_arrays(path, _ARRAYS, PropensityCard, "interp-steer propensity")
    return Propensity(card=card, **arrays)
