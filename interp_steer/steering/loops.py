"""When a completion has fallen into a loop that it will not leave.

A completion is in a loop if its end repeats one block of at most 16 tokens at least eight times, over 64 or more.
What follows is more of the same (``benchmarks/loops.py`` counts how often it was), so the row can leave the batch. The
completion says so: its ``finish`` is ``loop``, and the offline judge calls it incoherent.
"""

from collections.abc import Sequence

LONGEST_PERIOD = 16
LEAST_REPEATS = 8  # with 1, the benchmark finds 199 of 213 loops never left; with 8, 197 of 205
LEAST_TOKENS = 64


def loop_period(tokens: Sequence[int]) -> int | None:
    """Return the length of the block that the end of a completion repeats, or None if it is no loop.

    Args:
        tokens: The completion so far.
    """
    for period in range(1, LONGEST_PERIOD + 1):
        start = len(tokens) - max(LEAST_TOKENS, LEAST_REPEATS * period)
        if start < 0:
            return None
        if tokens[-1] == tokens[-1 - period] and tokens[start + period :] == tokens[start:-period]:
            return period
    return None
