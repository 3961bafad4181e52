import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.steering.loops import LEAST_REPEATS, LEAST_TOKENS, LONGEST_PERIOD, loop_period


@given(
    head=st.lists(st.integers(0, 50), max_size=40),
    period=st.integers(1, LONGEST_PERIOD),
    cut=st.integers(0, LONGEST_PERIOD - 1),
)
def test_a_block_over_and_over_is_a_loop_from_the_right_token_on(head, period, cut):
    block = [1000 + i for i in range(period)]
    needed = max(LEAST_TOKENS, LEAST_REPEATS * period)
    said = block * (needed // period + LONGEST_PERIOD + 1)
    assert loop_period([*head, *said[: needed + cut]]) == period
    assert loop_period([*head, *said[: needed - 1]]) is None


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        list(range(200)),
        [1, 2, 3] * 21,  # 63 tokens
        list(range(16)) * 7,  # 112 tokens, but said seven times only
        ([1] * 80) + [2],  # it left the loop
        (list(range(LONGEST_PERIOD + 1)) * 20),  # verses are longer than that
        [i // 2 for i in range(100)],
    ],
)
def test_what_is_no_loop(tokens):
    assert loop_period(tokens) is None
