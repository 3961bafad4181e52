import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.errors import BehaviorError
from interp_steer.judges.scorers.concise import concise


@pytest.mark.parametrize(
    ("n", "expected"), [(1, 1.0), (12, 1.0), (24, 0.75), (36, 0.5), (48, 0.25), (60, 0.0), (500, 0.0)]
)
def test_it_falls_linearly_in_words(n, expected):
    assert concise("word " * n) == pytest.approx(expected)


def test_the_ends_can_be_set():
    assert concise("one two three", full=1, zero=5) == pytest.approx(0.5)


def test_chinese_counts_by_character():
    assert concise("水" * 36) == pytest.approx(0.5)


@given(st.text(), st.text())
def test_more_text_is_never_more_concise(text, more):
    assert concise(f"{text} {more}") <= concise(text)


@pytest.mark.parametrize(("full", "zero"), [(10, 10), (20, 10), (-1, 10)])
def test_ends_in_the_wrong_order_are_refused(full, zero):
    with pytest.raises(BehaviorError, match="0 <= full < zero"):
        concise("text", full=full, zero=zero)
