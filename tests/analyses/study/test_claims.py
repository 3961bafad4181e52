import numpy as np
import pytest
from scipy import stats

from analyses.study.claim import Claim, difference_claim, over_behaviors, share_claim
from analyses.study.off_target import changes_of
from interp_steer.stats import Interval, wilson_interval


def claim(low: float, high: float, *, above: bool = True, n: int = 5) -> Claim:
    evidence = Interval(mean=(low + high) / 2, low=low, high=high, n=n)
    return Claim(text="t", measure="m", above=above, threshold=0.5, evidence=evidence, n=n)


def test_a_claim_holds_only_where_its_whole_interval_does():
    assert claim(0.6, 0.9).verdict == "holds"
    assert claim(0.1, 0.4).verdict == "does not hold"
    assert claim(0.4, 0.6).verdict == "cannot tell"
    assert claim(0.6, 0.9, above=False).verdict == "does not hold"
    assert claim(0.1, 0.4, above=False).verdict == "holds"
    assert claim(0.6, 0.9, n=2).verdict == "cannot tell"
    assert Claim(text="t", measure="m", above=True, threshold=0.0, evidence=None, n=0).verdict == "cannot tell"


def test_the_interval_over_behaviors_is_student_s():
    values = list(np.random.default_rng(0).standard_normal(7))
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    found = over_behaviors(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert over_behaviors([1.0]) is None


def test_a_share_of_all_behaviors_is_no_certainty():
    found = share_claim("t", "m", [True] * 3, above=True, threshold=0.5)
    assert found.evidence.low == pytest.approx(wilson_interval(3, 3).low)
    assert found.verdict == "cannot tell"
    assert share_claim("t", "m", [True] * 12, above=True, threshold=0.5).verdict == "holds"
    assert share_claim("t", "m", [False] * 12, above=True, threshold=0.5).verdict == "does not hold"


def test_two_groups_are_compared_by_welch():
    first, second = [0.5, 0.7, 0.6, 0.8], [0.1, 0.2, 0.0]
    found = difference_claim("t", "m", first, second)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (found.evidence.low, found.evidence.high) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.verdict) == (3, "holds")
    assert difference_claim("t", "m", first, second[:2]).verdict == "cannot tell"
    assert difference_claim("t", "m", first, [0.1]).evidence is None


def test_off_target_changes_are_of_the_row_s_vector_on_the_column_s_pairs(make_subject):
    one = make_subject("one", [0, 0, 1.0, 0, 0, 0, 0, 0, 0, 0], noise=0.0, others={"two": 0.25, "gone": 9.0})
    two = make_subject("two", [0, 2.0, 0, 0, 0, 0, 0, 0, 0, 0], noise=0.0, others={"one": -0.5})
    found = changes_of([one, two])
    assert found == {
        "one": {"one": pytest.approx(1.0), "two": pytest.approx(-0.5)},
        "two": {"one": pytest.approx(0.25), "two": pytest.approx(2.0)},
    }
