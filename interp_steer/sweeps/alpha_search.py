"""Solving for the alpha at which the KL of a push is a given number.

For small alphas the KL is quadratic in alpha (half the Fisher information along the push); the search runs in
log KL over log alpha, where that is a line of slope 2. At large alphas the KL levels off and may even fall:
then the alpha found is one that reaches the target, not always the smallest.

Source:
    The quadratic law: Kullback, "Information Theory and Statistics", 1959, section 2.6. The bracketed secant:
    Dowell and Jarratt, "A modified regula falsi method", BIT 11, 1971 (the Illinois algorithm).
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

START = 0.1
MOST_PASSES = 20

Search = Generator[float, float, str | None]
"""Yields alphas, is sent the KL at each; returns why the last is no solution."""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where a search ended.

    Attributes:
        alpha: Strength at which the target is reached; None if there is none within the search.
        kl: The KL measured at ``alpha``, in nats; None where that is.
        reason: Why there is none.
        tried: Every alpha measured, with its KL, in order.
    """

    alpha: float | None
    kl: float | None
    reason: str | None
    tried: tuple[tuple[float, float], ...]

    def nearest(self, target_kl: float, *, within: float) -> float | None:
        """Return the alpha whose KL came nearest to the target, if it is off by at most this share of it.

        In bfloat16 the KL jumps where a residual's rounding does: the target may lie between two alphas
        that can hardly be told apart.
        """
        alpha, kl = min(self.tried, key=lambda one: abs(one[1] - target_kl), default=(0.0, math.inf))
        return alpha if abs(kl - target_kl) <= within * target_kl else None


def solve(search: Search, reach: Callable[[float], float]) -> Solution:
    """Measure what a search asks for until it ends.

    Args:
        search: :func:`alpha_search`.
        reach: From an alpha, or whatever one number scales, to the KL there.
    """
    tried: list[tuple[float, float]] = []
    alpha = next(search)
    while True:
        kl = reach(alpha)
        tried.append((alpha, kl))
        try:
            alpha = search.send(kl)
        except StopIteration as stopped:
            reason: str | None = stopped.value
            found = (None, None) if reason else (alpha, kl)
            return Solution(alpha=found[0], kl=found[1], reason=reason, tried=tuple(tried))


def alpha_search(start: float, *, target_kl: float, least: float, most: float, tolerance: float) -> Search:
    """Yield alphas, be sent the KL at each, and end at the last one; the return value says why it is no solution.

    Steps along slope 2 until the target lies between two alphas, then the secant between them; where one end
    stays, its weight is halved, so that both ends close in.

    Args:
        start: First alpha.
        target_kl: The KL to reach, in nats.
        least: Lower end of the search.
        most: Upper end of the search.
        tolerance: Largest relative error of the KL.
    """
    low, high = math.log(least), math.log(most)
    below: tuple[float, float] | None = None
    above: tuple[float, float] | None = None
    x, side = min(max(math.log(start), low), high), 0
    for _ in range(MOST_PASSES):
        alpha = min(math.exp(x), most)
        kl = yield alpha
        off = math.log(max(kl, 1e-12) / target_kl)
        if abs(off) <= math.log1p(tolerance):
            return None
        if off < 0:
            if x >= high:
                return f"the KL is only {kl:.3g} at alpha {alpha:g}, the largest of the search"
            if side < 0 and above:
                above = (above[0], above[1] / 2)
            below, side = (x, off), -1
        else:
            if x <= low:
                return f"the KL is already {kl:.3g} at alpha {alpha:g}, the smallest of the search"
            if side > 0 and below:
                below = (below[0], below[1] / 2)
            above, side = (x, off), 1
        if below and above:
            x = above[0] - above[1] * (above[0] - below[0]) / (above[1] - below[1])
        else:  # a little further than the slope says, to have the target between two alphas
            x = min(max(x - side * max(0.6 * abs(off), 0.1), low), high)
    return f"the KL is {kl:.3g} at alpha {alpha:g} after {MOST_PASSES} passes, and the target lies in a jump"
