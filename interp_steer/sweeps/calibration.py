"""Alphas of equal disturbance, layer by layer: what is solved for, and what came of it (no torch)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from interp_steer.errors import SteeringError
from interp_steer.records import ModelCard
from interp_steer.sweeps.alpha_search import START, Search, Solution, alpha_search
from interp_steer.terms import Scope
from interp_steer.vectors.vector import SteeringVectors


@dataclass(frozen=True, kw_only=True)
class CalibrationSpec:
    """What is solved for.

    Attributes:
        layers: Blocks to steer, one at a time.
        target_kl: The KL to reach, in nats.
        scope: Positions that are steered.
        quantile: Which quantile over positions is held to the target.
        n_tokens: Longest completion that is read.
        least_alpha: Lower end of the search.
        most_alpha: Upper end of the search.
        tolerance: Largest relative error of the KL.
    """

    layers: tuple[int, ...]
    target_kl: float = 1.0
    scope: Scope = "response"
    quantile: float = 0.95
    n_tokens: int = 24
    least_alpha: float = 0.001
    most_alpha: float = 2.0
    tolerance: float = 0.01

    def check(self, vectors: SteeringVectors) -> None:
        """Refuse a specification that does not fit the vectors.

        Raises:
            SteeringError: Saying which value, and what was expected.
        """
        if not self.layers:
            raise SteeringError("a calibration needs at least one layer")
        for layer in self.layers:
            vectors.at(layer)
        for name, fits, expected in (
            ("target_kl", 0 < self.target_kl < math.inf, "a positive number of nats"),
            ("quantile", 0 < self.quantile <= 1, "a share above 0 and up to 1"),
            ("n_tokens", self.n_tokens >= 1, "at least 1"),
            ("least_alpha", 0 < self.least_alpha < START, f"a number between 0 and {START}"),
            ("most_alpha", START < self.most_alpha <= 10, f"a number between {START} and 10"),
            ("tolerance", 0 < self.tolerance < 1, "a share between 0 and 1"),
        ):
            if not fits:
                raise SteeringError(f"{name} is {getattr(self, name)}; expected {expected}")

    def search(self, start: float) -> Search:
        """Return a search for the target that begins at ``start``."""
        return alpha_search(
            start, target_kl=self.target_kl, least=self.least_alpha, most=self.most_alpha, tolerance=self.tolerance
        )


@dataclass(frozen=True, kw_only=True)
class CalibratedLayer(Solution):
    """The outcome at one layer."""

    layer: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Alphas of equal disturbance, and where they come from."""

    spec: CalibrationSpec
    layers: tuple[CalibratedLayer, ...]
    n_positions: int
    behavior: str
    prompts: str
    vectors: str
    model: ModelCard
    versions: Mapping[str, str] = field(default_factory=dict)


def suggested_alphas(calibration: Calibration) -> tuple[float, ...]:
    """Return strengths worth sweeping: the 10th, 50th and 90th percentile over layers, to two digits."""
    found = [one.alpha for one in calibration.layers if one.alpha is not None]
    if not found:
        return ()
    return tuple(sorted({float(f"{alpha:.2g}") for alpha in np.quantile(found, (0.1, 0.5, 0.9))}))
