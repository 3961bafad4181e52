"""How strongly pushes disturb the model's predictions, at given alphas: the artifact (no torch).

Of the KL at the positions of all texts the median and the 95th percentile are kept: a push may leave most tokens alone
and change a few beyond recognition. Measured by :mod:`interp_steer.sweeps.measure_doses`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interp_steer.errors import RunError
from interp_steer.files import parsed, record_of
from interp_steer.records import ModelCard
from interp_steer.terms import Scope


@dataclass(frozen=True, kw_only=True)
class Dose:
    """One push and what it does to the predictions.

    Attributes:
        layer: Block after which is steered.
        alpha: Fraction of the residual's norm that is added.
        median: Median KL over positions, in nats.
        p95: Its 95th percentile.
    """

    layer: int
    alpha: float
    median: float
    p95: float


@dataclass(frozen=True, kw_only=True)
class Doses:
    """Pushes of one behavior's vectors, and where the numbers come from."""

    doses: tuple[Dose, ...]
    scope: Scope
    n_tokens: int
    n_positions: int
    prompts: str
    vectors: str
    model: ModelCard
    versions: Mapping[str, str] = field(default_factory=dict)

    def at(self, layer: int, alpha: float) -> Dose | None:
        """Return the dose of a cell; None if it was not measured."""
        return next((one for one in self.doses if (one.layer, one.alpha) == (layer, alpha)), None)

    @property
    def basis(self) -> tuple[tuple[tuple[int, float], ...], Scope, int, str, str]:
        """What decides the numbers, the model aside."""
        cells = tuple((one.layer, one.alpha) for one in self.doses)
        return cells, self.scope, self.n_tokens, self.prompts, self.vectors


def read_doses(path: Path) -> Doses:
    """Read doses from a JSON file.

    Raises:
        RunError: If the file is missing or not one of ours.
    """
    remedy = "run 'interp-steer study' again; it measures what is missing"
    if not path.exists():
        raise RunError(f"{path} is missing; {remedy}")
    return record_of(Doses, parsed(path.read_bytes(), str(path), remedy), str(path), remedy)
