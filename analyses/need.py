"""What the pairs of a layer share, with its interval, and how many of them a stability takes."""

from dataclasses import dataclass

from analyses.gram import Gram, pairs_needed, weighted_consistency, weighted_consistency_error
from analyses.measure import Measure, undefined


@dataclass(frozen=True)
class Need:
    """What the pairs of one layer share, and how many of them a stability takes.

    Attributes:
        shared: Weighted consistency.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    shared: Measure
    low: Measure
    high: Measure

    @classmethod
    def of(cls, gram: Gram) -> "Need":
        """Measure the pairs of one layer."""
        shared, error = weighted_consistency(gram), weighted_consistency_error(gram)
        if shared.value is None or error.value is None:
            reason = shared if shared.value is None else error
            return cls(shared=shared, low=undefined(reason.reason), high=undefined(reason.reason))
        half = 1.96 * error.value
        return cls(shared=shared, low=Measure(shared.value - half), high=Measure(shared.value + half))

    @property
    def agrees(self) -> bool:
        """Whether the pairs share a direction beyond the interval."""
        return self.low.value is not None and self.low.value > 0

    def pairs(self, target: float) -> tuple[Measure, Measure, Measure]:
        """Return how many pairs a stability takes: as estimated, at best and at worst."""
        return _pairs(self.shared, target), _pairs(self.high, target), _pairs(self.low, target)


def expected_stability(shared: float, n: int) -> float:
    """Return the expected cosine between the vectors of two halves of n pairs: Spearman-Brown for ``n // 2``."""
    half = n // 2
    return half * shared / (1 + (half - 1) * shared)


def _pairs(shared: Measure, target: float) -> Measure:
    if shared.value is None:
        return shared
    needed = pairs_needed(shared.value, target)
    return undefined("no number of pairs reaches it: nothing is shared") if needed is None else Measure(needed)
