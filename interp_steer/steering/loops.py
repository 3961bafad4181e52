"""When a completion has fallen into a loop that it will not leave.

A completion is in a loop if its last 64 tokens repeat one block of at most 16. What follows is more of the same
(``benchmarks/loops.py`` counts how often it was), so the row can leave the batch. The completion says so: its
``finish`` is ``loop``, and the offline judge calls it incoherent.
"""

from collections.abc import Sequence

LONGEST_PERIOD = 16
TAIL = 64  # of the loops of 32 tokens, one in eleven was still left


def loop_period(tokens: Sequence[int]) -> int | None:
    """Return the length of the block that the end of a completion repeats, or None if it is no loop.

    Args:
        tokens: The completion so far.
    """
    start = len(tokens) - TAIL
    if start < 0:
        return None
    for period in range(1, LONGEST_PERIOD + 1):
        if tokens[-1] == tokens[-1 - period] and tokens[start + period :] == tokens[start:-period]:
            return period
    return None
