import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.errors import JudgeError
from interp_steer.judges.formulas import ab_mean, ab_probability, logit_weighted_score

NAN, INF = math.nan, math.inf
LOGPROBS = st.floats(min_value=-50, max_value=0)


def test_the_score_is_the_expected_number_among_the_numbers():
    assert logit_weighted_score({"40": math.log(0.3), "60": math.log(0.1), "Sure": math.log(0.6)}) == pytest.approx(45)
    assert logit_weighted_score({"100": 0.0}) == 100
    assert logit_weighted_score({"0": 0.0}) == 0.0


@given(st.dictionaries(st.integers(0, 100), LOGPROBS, min_size=1, max_size=20))
def test_it_agrees_with_an_average_by_numpy_whatever_stands_beside_it(shares):
    tokens = {str(number): logprob for number, logprob in shares.items()}
    weights = np.exp(list(shares.values()))
    expected = np.average(list(shares), weights=weights) if weights.sum() >= 0.25 else None
    assert logit_weighted_score(tokens) == (None if expected is None else pytest.approx(expected, abs=1e-9))
    assert logit_weighted_score({**tokens, "I": -0.1}) == logit_weighted_score(tokens)


@pytest.mark.parametrize(
    ("mass", "floor", "scored"),
    [(0.25, 0.25, True), (0.2499, 0.25, False), (0.01, 0.0, True), (0.01, 0.02, False), (1.0, 1.0, True)],
)
def test_below_the_floor_there_is_no_score(mass, floor, scored):
    found = logit_weighted_score({"70": math.log(mass)}, min_mass=floor)
    assert found == (pytest.approx(70) if scored else None)


@pytest.mark.parametrize("token", ["101", "-5", "7.5", "1_0", "+5", "05", "٥", "", "five", "1e1", "5 0", "100%"])
def test_what_is_not_a_whole_number_up_to_100_is_passed_over(token):
    assert logit_weighted_score({token: 0.0}) is None
    assert logit_weighted_score({token: math.log(0.7), "30": math.log(0.3)}) == pytest.approx(30)


def test_blanks_around_a_number_do_not_matter():
    assert logit_weighted_score({" 20": math.log(0.5), "40\n": math.log(0.5)}) == pytest.approx(30)


@pytest.mark.parametrize("tokens", [{}, {"Sure": 0.0}, {"50": -INF}])
def test_without_a_number_there_is_no_score(tokens):
    assert logit_weighted_score(tokens, min_mass=0.0) is None


@pytest.mark.parametrize("bad", [NAN, 0.1, INF])
def test_what_is_no_log_probability_is_refused(bad):
    with pytest.raises(JudgeError, match="log-probability of '50'"):
        logit_weighted_score({"50": bad})
    with pytest.raises(JudgeError, match="log-probability of 'behavior'"):
        ab_probability(bad, -1.0)
    with pytest.raises(JudgeError, match="log-probability of 'other'"):
        ab_probability(-1.0, bad)


@given(LOGPROBS, LOGPROBS)
def test_ab_is_the_share_of_the_behavior_and_both_sides_make_one(behavior, other):
    found = ab_probability(behavior, other)
    assert found == pytest.approx(math.exp(behavior) / (math.exp(behavior) + math.exp(other)))
    assert found + ab_probability(other, behavior) == pytest.approx(1)


@pytest.mark.parametrize(
    ("behavior", "other", "expected"),
    [(-3.0, -3.0, 0.5), (-1e6, -1e6, 0.5), (-INF, -1.0, 0.0), (-1.0, -INF, 1.0), (-INF, -INF, None), (-1e6, 0.0, 0.0)],
)
def test_ab_at_its_edges(behavior, other, expected):
    assert ab_probability(behavior, other) == expected


def test_a_liking_for_one_letter_cancels():
    assert ab_mean([0.9, 0.9, 0.9], [0.1]) == pytest.approx(0.5)
    assert ab_mean([0.8, None], [0.4, 0.6]) == pytest.approx(0.65)
    assert ab_mean([0.8], [None]) is None
    assert ab_mean([], []) is None
