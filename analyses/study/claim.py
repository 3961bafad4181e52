"""One claim with its evidence, and what that says of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t, ttest_ind

from interp_steer.stats import Interval, wilson_interval

LEAST = 3
"""Behaviors without which nothing is told."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim with its evidence.

    Attributes:
        text: What was claimed.
        measure: The number that stands for it.
        above: Whether the claim says that the number is above ``threshold``, or else below.
        threshold: Where it would stop to hold.
        evidence: Mean over behaviors with its interval; None with fewer than two.
        n: Behaviors that have the number.
    """

    text: str
    measure: str
    above: bool
    threshold: float
    evidence: Interval | None
    n: int

    @property
    def verdict(self) -> str:
        """``holds``, ``does not hold`` or ``cannot tell``."""
        if self.evidence is None or self.n < LEAST:
            return "cannot tell"
        if self.evidence.low > self.threshold:
            return "holds" if self.above else "does not hold"
        if self.evidence.high < self.threshold:
            return "does not hold" if self.above else "holds"
        return "cannot tell"


def over_behaviors(values: Sequence[float], *, level: float = 0.95) -> Interval | None:
    """Return the mean of one number per behavior with Student's interval; None with fewer than two."""
    n = len(values)
    if n < 2:
        return None
    mean, half = float(np.mean(values)), float(t.ppf(0.5 + level / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n)


def share_claim(text: str, measure: str, values: Sequence[bool], *, above: bool, threshold: float) -> Claim:
    """Return a claim about the share of behaviors of which something is true, with Wilson's interval."""
    evidence = wilson_interval(sum(values), len(values)) if values else None
    return Claim(text=text, measure=measure, above=above, threshold=threshold, evidence=evidence, n=len(values))


def difference_claim(
    text: str, measure: str, first: Sequence[float], second: Sequence[float], *, level: float = 0.95
) -> Claim:
    """Return a claim that one group of behaviors has a larger mean than another, with Welch's interval.

    Both groups vary; ``n`` is the size of the smaller one.
    """
    n, evidence = min(len(first), len(second)), None
    if n >= 2 and np.ptp([*first, *second]) > 0:
        found = ttest_ind(first, second, equal_var=False).confidence_interval(level)
        gap = float(np.mean(first) - np.mean(second))
        evidence = Interval(mean=gap, low=float(found.low), high=float(found.high), n=n)
    return Claim(text=text, measure=measure, above=True, threshold=0.0, evidence=evidence, n=n)


def claim_of(text: str, measure: str, values: Sequence[float | None], *, above: bool, threshold: float) -> Claim:
    """Return a claim about the mean of one number per behavior; undefined ones are left out."""
    defined = [value for value in values if value is not None]
    return Claim(
        text=text, measure=measure, above=above, threshold=threshold, evidence=over_behaviors(defined), n=len(defined)
    )
