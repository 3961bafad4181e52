"""One ground truth over many behaviors, and every selector's ranking of their layers.

All selectors are compared on the same behaviors: one that says nothing of some behavior is listed, and left out. One
that ranks every layer of every behavior as another does is the same selector under a second name, and counts once.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from analyses.study import ranking
from analyses.study.nulls import nested_bootstrap
from analyses.study.selectors import BASELINES, COMPUTED, CONTROLS, Scores, rankings
from analyses.study.truths import Kind, Subject, Truth, truth_of
from interp_steer.stats import Interval

RESAMPLES = 500

Metric = Callable[[Float[np.ndarray, " layer"], Truth], float | None]
"""From a selector's scores of the layers and their truth to a number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """One ground truth: the behaviors that have a best layer, and every selector's ranking of their layers.

    Attributes:
        kind: Which truth.
        truths: The behaviors that are compared.
        aside: Those that are not shown to be steered.
        flat: Those that are, but whose layers are all alike.
        scores: Every selector's scores, behavior by behavior; all of them rank all behaviors.
        partial: Selectors that say nothing of some behavior.
        same: Other names of a selector, by its name here.
    """

    kind: Kind
    truths: tuple[Truth, ...]
    aside: tuple[str, ...]
    flat: tuple[str, ...]
    scores: tuple[Scores, ...]
    partial: tuple[str, ...]
    same: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """Every selector."""
        return list(self.scores[0]) if self.scores else []

    def each(self, name: str, metric: Metric) -> list[float | None]:
        """Return a metric of a selector for every behavior; None where it is undefined."""
        return [metric(scores[name], truth) for scores, truth in zip(self.scores, self.truths, strict=True)]

    def regret(self, name: str) -> Interval | None:
        """Return the mean normalized regret at 1 of a selector, with a nested bootstrap interval."""

        def statistic(i: int, values: Float[np.ndarray, "layer prompt"]) -> float | None:
            return ranking.normalized_regret(self.scores[i][name], values.mean(axis=1))

        return nested_bootstrap([truth.values for truth in self.truths], statistic, resamples=RESAMPLES)

    def difference(self, name: str, other: str) -> Interval | None:
        """Return the regret of a selector minus that of another on the same behaviors and prompts; below 0 is better.

        None where there is no such selector, or it is the same.
        """
        if name == other or other not in self.names:
            return None

        def statistic(i: int, values: Float[np.ndarray, "layer prompt"]) -> float | None:
            mean = values.mean(axis=1)
            ours, theirs = (ranking.normalized_regret(self.scores[i][one], mean) for one in (name, other))
            return None if ours is None or theirs is None else ours - theirs

        return nested_bootstrap([truth.values for truth in self.truths], statistic, resamples=RESAMPLES)

    def without(self, behaviors: Collection[str]) -> "Contest":
        """Return the contest among the other behaviors; scores that rest on others' truths stay as they were."""
        kept = [i for i, truth in enumerate(self.truths) if truth.behavior not in behaviors]
        return replace(self, truths=tuple(self.truths[i] for i in kept), scores=tuple(self.scores[i] for i in kept))

    def by_regret(self, regrets: Mapping[str, Interval | None]) -> list[str]:
        """Return every selector, that with the smallest mean regret first; undefined ones last."""
        return sorted(self.names, key=lambda name: np.inf if (one := regrets[name]) is None else one.mean)

    def regrets(self, name: str) -> list[float | None]:
        """Return the normalized regret at 1 of a selector for every behavior."""
        return self.each(name, lambda scores, truth: ranking.normalized_regret(scores, truth.mean))


def contest(found: Sequence[Subject], kind: Kind) -> Contest:
    """Set aside the behaviors that leave nothing to choose, and let every selector rank the layers of the rest."""
    pairs = [(subject, truth_of(subject, kind)) for subject in found]
    kept = [(subject, truth) for subject, truth in pairs if truth.steerable and not truth.flat]
    every = [rankings(subject, truth, [other for _, other in kept if other is not truth]) for subject, truth in kept]
    named = dict.fromkeys(name for scores in every for name in scores)
    whole = [name for name in named if all(name in scores for scores in every)]
    same = _same(every, whole)
    again = {other for others in same.values() for other in others}
    return Contest(
        kind=kind,
        truths=tuple(truth for _, truth in kept),
        aside=tuple(truth.behavior for _, truth in pairs if not truth.steerable),
        flat=tuple(truth.behavior for _, truth in pairs if truth.steerable and truth.flat),
        scores=tuple({name: scores[name] for name in whole if name not in again} for scores in every),
        partial=tuple(name for name in named if name not in whole),
        same=same,
    )


def _ranks(scores: Float[np.ndarray, " layer"]) -> Float[np.ndarray, " layer"]:
    """Return the ranks of scores, those that differ by no more than rounding tied."""
    scale = float(np.abs(scores).max()) or 1.0
    return np.asarray(rankdata(np.round(scores / scale, 9)))


def _same(every: Sequence[Scores], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Find selectors that rank everything alike: by the one that is kept, a fixed depth if there is one."""
    kept = {*COMPUTED, *CONTROLS, *CONTROLS.values()}
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for name in sorted((name for name in names if name not in kept), key=lambda one: one not in BASELINES):
        key = tuple(_ranks(scores[name]).tobytes() for scores in every)
        groups.setdefault(key, []).append(name)
    found = {first: tuple(one for one in others if one not in BASELINES) for first, *others in groups.values()}
    return {first: others for first, others in found.items() if others}
