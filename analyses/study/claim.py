"""One claim with its evidence, and what that says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.stats import ttest_ind

from analyses.study.nulls import over_behaviors
from interp_steer.findings import Number
from interp_steer.outcomes import mean
from interp_steer.stats import Interval, wilson_interval

LEAST = 3
"""Behaviors without which nothing is told."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim with its evidence.

    Attributes:
        text: What was claimed.
        measure: The number that stands for it.
        least: The claim says that the number is above this; None if it says nothing of that.
        most: The claim says that it is below this; None if it says nothing of that.
        evidence: Mean over behaviors with its interval; None with fewer than two.
        n: Behaviors that have the number.
        chance: The same mean where there is nothing to find (noise, or pairs with flipped signs); None where none was
            drawn. Where it fulfills the claim too, the claim says nothing about the behaviors.
    """

    text: str
    measure: str
    least: float | None = None
    most: float | None = None
    evidence: Interval | None
    n: int
    chance: Number = None

    @property
    def claimed(self) -> str:
        """The claim as a range."""
        ends = [f"above {self.least:g}"] if self.least is not None else []
        return " and ".join([*ends, *([f"below {self.most:g}"] if self.most is not None else [])])

    @property
    def verdict(self) -> str:
        """``holds``, ``holds, and by chance too``, ``does not hold`` or ``cannot tell``."""
        if self.evidence is None or self.n < LEAST:
            return "cannot tell"
        low, high = self.evidence.low, self.evidence.high
        least, most = (-inf if self.least is None else self.least), (inf if self.most is None else self.most)
        if low > least and high < most:
            return "holds, and by chance too" if self.chance is not None and least < self.chance < most else "holds"
        return "does not hold" if high < least or low > most else "cannot tell"


def share_claim(
    text: str, measure: str, values: Sequence[bool], *, least: float, chance: Sequence[Number] = ()
) -> Claim:
    """Return a claim that something is true of more than a share of the behaviors, with Wilson's interval."""
    evidence = wilson_interval(sum(values), len(values)) if values else None
    return Claim(text=text, measure=measure, least=least, evidence=evidence, n=len(values), chance=mean(list(chance)))


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
    return Claim(text=text, measure=measure, least=0.0, evidence=evidence, n=n)


def claim_of(
    text: str,
    measure: str,
    values: Sequence[Number],
    *,
    least: float | None = None,
    most: float | None = None,
    chance: Sequence[Number] = (),
) -> Claim:
    """Return a claim about the mean of one number per behavior; undefined ones are left out."""
    defined = [value for value in values if value is not None]
    return Claim(
        text=text,
        measure=measure,
        least=least,
        most=most,
        evidence=over_behaviors(defined),
        n=len(defined),
        chance=mean(list(chance)),
    )
