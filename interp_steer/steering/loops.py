"""When a completion has fallen into a loop that it will not leave.

A tail is a loop if it repeats one block of at most 16 tokens, at least 4 times over, and is at least 32
tokens long. What follows is more of the same (``benchmarks/loops.py`` counts how often it was), so the row
can leave the batch. The completion says so: its ``finish`` is ``loop``, and the offline judge calls it incoherent.
"""

from collections.abc import Sequence

LONGEST_PERIOD = 16
REPEATS = 4
TAIL = 32


def loop_period(tokens: Sequence[int]) -> int | None:
    """Return the length of the block that the end of a completion repeats, or None if it is no loop.

    Args:
        tokens: The completion so far.
    """
    n = len(tokens)
    for period in range(1, LONGEST_PERIOD + 1):
        tail = max(TAIL, REPEATS * period)
        if tail > n:
            return None
        if tokens[-1] == tokens[-1 - period] and tokens[n - tail + period :] == tokens[n - tail : n - period]:
            return period
    return None
