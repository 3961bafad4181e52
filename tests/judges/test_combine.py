import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from interp_steer.errors import JudgeError
from interp_steer.judges.combine import harmonic_mean

positive = st.lists(st.floats(min_value=1e-6, max_value=2), min_size=1)


def test_it_is_zero_if_any_score_is_zero_and_unscored_if_any_is():
    assert harmonic_mean([1, 0, 2]) == 0.0
    assert harmonic_mean([1, None]) is None
    assert harmonic_mean([0, None]) is None


def test_two_scores():
    assert harmonic_mean([1, 0.5]) == pytest.approx(2 / 3)


def test_a_score_too_small_to_invert_is_as_good_as_zero():
    assert harmonic_mean([1, 5e-324]) == 0.0


@given(positive)
def test_it_agrees_with_scipy_and_lies_between_the_scores(scores):
    combined = harmonic_mean(scores)
    assert combined == pytest.approx(stats.hmean(scores))
    assert min(scores) * (1 - 1e-9) <= combined <= max(scores) * (1 + 1e-9)


@pytest.mark.parametrize("scores", [[], [1, -0.1], [float("nan"), 1]])
def test_what_cannot_be_combined_is_refused(scores):
    with pytest.raises(JudgeError, match="cannot combine"):
        harmonic_mean(scores)
