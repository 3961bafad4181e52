"""What pushes chosen elsewhere do to held-out pairs: the artifact (numpy, no torch).

The layers and alphas were chosen on the ``dev`` pairs; here their effect is seen on the ``test`` pairs, beside that of
everything that should *not* work as well: random directions, sign-flipped pairs, the opposite push, other ways to
make a vector, other behaviors' vectors, and a system prompt. As everywhere in teacher forcing, it is about the
likelihood of given texts (:mod:`interp_steer.sweeps.margins`), not about what the model would write.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from interp_steer.activations.artifact import read_arrays, write_arrays
from interp_steer.behaviors import Pair
from interp_steer.records import ModelCard, digest, to_json
from interp_steer.terms import Scope

Role = Literal["chosen", "equal_kl", "minus", "random", "sign_flipped", "mean", "pca", "pca_centered", "other"]


@dataclass(frozen=True, kw_only=True)
class HeldOutCell:
    """One push.

    Attributes:
        role: Why it is there. ``chosen``: a layer at the alpha dev chose for it; ``equal_kl``: a layer at the alpha
            of equal disturbance. ``mean``, ``pca`` and ``pca_centered`` compare ways to make a vector, at cells that
            none of them chose; ``other`` is where another vector steers its own behavior best. The rest are at the one
            cell that dev chose of all.
        layer: Block after which is steered.
        alpha: Fraction of the residual's norm that is added.
        name: Which one of several with this role: the behavior of another vector, or the number of a random direction.
    """

    role: Role
    layer: int
    alpha: float
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class HeldOutCard:
    """Where the likelihoods come from: whoever finds an equal ``basis`` need not measure again.

    ``directions`` is a hash of every direction that was pushed along, in the order of ``cells``.
    """

    model: ModelCard
    behavior: str
    pairs: str
    system_prompt: str
    scope: Scope
    cells: tuple[HeldOutCell, ...]
    directions: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def basis(self) -> tuple[str, str, str, Scope, tuple[HeldOutCell, ...], str]:
        """What decides the numbers, the model aside."""
        return self.behavior, self.pairs, self.system_prompt, self.scope, self.cells, self.directions


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """Log-likelihoods of both responses of every held-out pair, in nats; side 0 is the positive response.

    Attributes:
        unsteered: Without steering.
        prompted: Without steering, after a system prompt that asks for the behavior.
        steered: Under each push of ``card.cells``.
        tokens: Number of tokens of each response.
        card: Where they come from.
    """

    unsteered: Float[np.ndarray, "side pair"]
    prompted: Float[np.ndarray, "side pair"]
    steered: Float[np.ndarray, "side cell pair"]
    tokens: Float[np.ndarray, "side pair"]
    card: HeldOutCard

    def changes(self) -> Float[np.ndarray, "cell pair"]:
        """Return by how much each push changes the margin of every pair, in nats per token."""
        return self._margins(self.steered) - self._margins(self.unsteered)

    def prompted_changes(self) -> Float[np.ndarray, " pair"]:
        """Return by how much the system prompt changes the margin of every pair, in nats per token."""
        return self._margins(self.prompted) - self._margins(self.unsteered)

    def of(self, role: Role) -> list[tuple[HeldOutCell, Float[np.ndarray, " pair"]]]:
        """Return the cells with a role, each with its changes."""
        return [(cell, row) for cell, row in zip(self.card.cells, self.changes(), strict=True) if cell.role == role]

    def _margins(self, loglik: Float[np.ndarray, "side *cell pair"]) -> np.ndarray:
        return loglik[0] / self.tokens[0] - loglik[1] / self.tokens[1]


def held_out_card(
    model: ModelCard,
    behavior: str,
    pairs: Sequence[Pair],
    system_prompt: str,
    scope: Scope,
    cells: Sequence[HeldOutCell],
    directions: Float[np.ndarray, "cell d_model"],
    versions: Mapping[str, str] | None = None,
) -> HeldOutCard:
    """Return the card of likelihoods, measured or still to be."""
    return HeldOutCard(
        model=model,
        behavior=behavior,
        pairs=digest([to_json(pair) for pair in pairs]),
        system_prompt=digest(system_prompt),
        scope=scope,
        cells=tuple(cells),
        directions=digest(np.asarray(directions, dtype=np.float32).tobytes().hex()),
        versions=versions or {},
    )


_ARRAYS = ("unsteered", "prompted", "steered", "tokens")


def save_held_out(found: HeldOut, path: Path) -> None:
    """Write likelihoods to a safetensors file, their card in the header.

    Raises:
        RunError: If the file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(getattr(found, name)) for name in _ARRAYS}
    write_arrays(path, arrays, json.dumps(to_json(found.card)))


def read_held_out(path: Path) -> HeldOut:
    """Read likelihoods from a safetensors file.

    Raises:
        RunError: If the file is missing or not one of ours.
    """
    arrays, card = read_arrays(path, _ARRAYS, HeldOutCard, "interp-steer study")
    return HeldOut(card=card, **arrays)
