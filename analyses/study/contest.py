"""One ground truth over many behaviors, and every selector's ranking of their layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.study import ranking
from analyses.study.nulls import nested_bootstrap
from analyses.study.selectors import Scores, rankings
from analyses.study.truths import Kind, Subject, Truth, truth_of
from interp_steer.stats import Interval

RESAMPLES = 500

Metric = Callable[[Float[np.ndarray, " layer"], Truth], float | None]
"""From a selector's scores of the layers and their truth to a number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """One ground truth: the steerable behaviors, and every selector's ranking of their layers."""

    kind: Kind
    truths: tuple[Truth, ...]
    aside: tuple[str, ...]
    scores: tuple[Scores, ...]

    @property
    def names(self) -> list[str]:
        """Every selector that ranks the layers of at least two behaviors."""
        counted = [name for scores in self.scores for name in scores]
        return [name for name in dict.fromkeys(counted) if counted.count(name) >= 2]

    def each(self, name: str, metric: Metric) -> list[float | None]:
        """Return a metric of a selector for every behavior; None where it ranks nothing or is undefined."""
        return [
            metric(scores[name], truth) if name in scores else None
            for scores, truth in zip(self.scores, self.truths, strict=True)
        ]

    def regret(self, name: str) -> Interval | None:
        """Return the mean normalized regret at 1 of a selector, with a nested bootstrap interval."""

        def statistic(i: int, values: Float[np.ndarray, "layer prompt"]) -> float | None:
            scores = self.scores[i].get(name)
            return None if scores is None else ranking.normalized_regret(scores, values.mean(axis=1))

        return nested_bootstrap([truth.values for truth in self.truths], statistic, resamples=RESAMPLES)

    def regrets(self, name: str) -> list[float | None]:
        """Return the normalized regret at 1 of a selector for every behavior."""
        return self.each(name, lambda scores, truth: ranking.normalized_regret(scores, truth.mean))


def contest(found: Sequence[Subject], kind: Kind) -> Contest:
    """Set aside the behaviors that are not shown to be steered, and let every selector rank the layers of the rest."""
    pairs = [(subject, truth_of(subject, kind)) for subject in found]
    kept = [(subject, truth) for subject, truth in pairs if truth.steerable]
    return Contest(
        kind=kind,
        truths=tuple(truth for _, truth in kept),
        aside=tuple(truth.behavior for _, truth in pairs if not truth.steerable),
        scores=tuple(
            rankings(subject, truth, [other for _, other in kept if other is not truth]) for subject, truth in kept
        ),
    )
