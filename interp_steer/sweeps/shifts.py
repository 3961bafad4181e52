"""How far one small push at each layer moves what the model predicts: the artifact (numpy, no torch).

A label-free measure of a direction: no behavior is asked for, only how much the model's predictions on neutral
texts depend on it. It does not show that the dependence is the wanted one; the random directions at the same
dose show how much of it is the layer's alone.
"""

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
from interp_steer.sweeps.margins import vectors_digest
from interp_steer.terms import Scope
from interp_steer.vectors.vector import SteeringVectors


@dataclass(frozen=True, kw_only=True)
class PushSpec:
    """What is measured.

    Attributes:
        layers: Blocks to push after, one at a time; each needs a direction.
        alpha: The equal dose, as a fraction of each token's norm: of the vector and of the random directions.
        least_alpha: The smallest dose, at which the sensitivity is a difference quotient.
        scope: Positions that are pushed.
        n_random: Number of random directions at every layer.
        n_tokens: Longest answer that is read.
        seed: Seed of the random directions.
    """

    layers: tuple[int, ...]
    alpha: float = 0.1
    least_alpha: float = 0.01
    scope: Scope = "response"
    n_random: int = 5
    n_tokens: int = 24
    seed: int = 0

    def check(self, vectors: SteeringVectors) -> None:
        """Refuse a specification that does not fit the vectors.

        Raises:
            SteeringError: Saying which value, and what was expected.
        """
        if not self.layers:
            raise SteeringError("pushes need at least one layer whose vector is not zero")
        for layer in self.layers:
            vectors.at(layer)
        for name, fits, expected in (
            ("alpha", 0 < self.alpha <= 10, "a fraction of the norm above 0 and up to 10"),
            ("least_alpha", 0 < self.least_alpha <= self.alpha, f"a number above 0 and up to alpha, {self.alpha:g}"),
            ("n_random", self.n_random >= 0, "0 or more directions"),
            ("n_tokens", self.n_tokens >= 1, "at least 1"),
        ):
            if not fits:
                raise SteeringError(f"{name} is {getattr(self, name)}; expected {expected}")


@dataclass(frozen=True, kw_only=True)
class PushCard:
    """Where pushes come from: whoever finds an equal ``basis`` need not measure again.

    Attributes:
        model: The model that was pushed.
        behavior: Behavior of the vectors.
        prompts: Hash of the prompts the model answered.
        pairs: Hash of the pairs whose words the logit lens is compared with.
        vectors: Hash of the directions.
        spec: What was measured.
        promoted: The tokens that the direction of each layer of ``spec`` promotes most directly, strongest first.
        versions: Versions of what measured it.
    """

    model: ModelCard
    behavior: str
    prompts: str
    pairs: str
    vectors: str
    spec: PushSpec
    promoted: tuple[tuple[str, ...], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def basis(self) -> tuple[str, str, str, str, PushSpec]:
        """What decides the numbers, the model aside: its vectors know it."""
        return self.behavior, self.prompts, self.pairs, self.vectors, self.spec


def push_card(
    model: ModelCard,
    vectors: SteeringVectors,
    prompts: Sequence[str],
    pairs: Sequence[Pair],
    spec: PushSpec,
    *,
    promoted: tuple[tuple[str, ...], ...] = (),
    versions: Mapping[str, str] | None = None,
) -> PushCard:
    """Return the card of pushes, measured or still to be."""
    return PushCard(
        model=model,
        behavior=vectors.card.activations.behavior,
        prompts=digest(list(prompts)),
        pairs=digest([to_json(pair) for pair in pairs]),
        vectors=vectors_digest(vectors),
        spec=spec,
        promoted=promoted,
        versions=versions or {},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Pushes:
    """How far pushes move the next-token predictions; rows are the layers of ``card.spec``, in its order.

    Attributes:
        equal: ``KL(unsteered || steered)`` in nats at every token, under the vector at ``card.spec.alpha``.
        natural: The same at the natural dose, where alpha is the layer's magnitude ratio.
        random: The same under each random direction at ``card.spec.alpha``.
        moved: Change of the centered logits per unit of alpha, at ``card.spec.least_alpha``.
        natural_alpha: The natural dose of each layer.
        answers: Which answer each token is of; tokens are in reading order.
        alignment: Agreement of the logit lens of the direction with the words of the pairs.
        card: Where they come from.
    """

    equal: Float[np.ndarray, "layer place"]
    natural: Float[np.ndarray, "layer place"]
    random: Float[np.ndarray, "layer direction place"]
    moved: Float[np.ndarray, "layer place"]
    natural_alpha: Float[np.ndarray, " layer"]
    answers: Float[np.ndarray, " place"]
    alignment: Float[np.ndarray, " layer"]
    card: PushCard

    @property
    def first_tokens(self) -> np.ndarray:
        """Positions of the first token of every answer."""
        return np.unique(self.answers, return_index=True)[1]


_ARRAYS = ("equal", "natural", "random", "moved", "natural_alpha", "answers", "alignment")


def save_pushes(found: Pushes, path: Path) -> None:
    """Write pushes to a safetensors file, their card in the header.

    Raises:
        RunError: If the file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(getattr(found, name)) for name in _ARRAYS}
    write_arrays(path, arrays, json.dumps(to_json(found.card)))


def read_pushes(path: Path) -> Pushes:
    """Read pushes from a safetensors file.

    Raises:
        RunError: If the file is missing or not one of ours.
    """
    arrays, card = read_arrays(path, _ARRAYS, PushCard, "interp-steer pushes")
    return Pushes(card=card, **arrays)
