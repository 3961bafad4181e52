from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.errors import JudgeError
from interp_steer.judges.coherence import Ramp, coherence, distinct, fit_thresholds, measure
from interp_steer.records import Cell, Generation

FLUENT = "Bring the water to a boil, then add the pasta and stir it now and then until it is soft."


def generation(text=FLUENT, *, control="unsteered", split="dev", nll=1.0, nll_prompted=2.0, prompt=1):
    return Generation(
        behavior="refusal",
        split=split,
        prompt_id=f"{split}-{prompt}",
        prompt="How?",
        cell=Cell(control=control),
        sample=0,
        text=text,
        n_tokens=5,
        finish="eos",
        nll=nll,
        nll_prompted=nll_prompted,
    )


def test_a_loop_is_measured_by_hand():
    # 8 words, 5 four-grams: abcd bcda cdab dabc abcd; 7 two-grams: ab bc cd da ab bc cd
    measures = measure("a b c d a b c d")
    assert measures["rep4"] == pytest.approx(1 - 4 / 5)
    assert measures["distinct2"] == pytest.approx(4 / 7)
    assert measures["longest_run"] == 1
    assert measures["n_words"] == 8


def test_runs_and_marks():
    assert measure("no the the THE end")["longest_run"] == 3
    assert measure("!!!!!!!!")["rep4"] == pytest.approx(1 - 1 / 5)
    assert measure("!!!!!!!!")["n_words"] == 0


def test_chinese_loops_are_seen():
    assert measure("好" * 20)["rep4"] == pytest.approx(1 - 1 / 17)


def test_other_scripts_are_a_share_of_the_letters():
    assert measure("ab 你好")["non_latin"] == 0.5
    assert measure("Où ça ?")["non_latin"] == 0.0
    assert measure("12")["non_latin"] is None


def test_a_loop_compresses_better_than_a_sentence():
    assert measure("la la " * 30)["compression"] < 0.2 < measure(FLUENT)["compression"]


@pytest.mark.parametrize("n", [2, 4])
def test_distinct_is_undefined_until_an_ngram_could_repeat(n):
    assert distinct(["a"] * n, n) is None
    assert distinct(["a"] * (n + 1), n) == 0.5


def test_an_empty_text_has_no_measures_but_counts():
    assert measure("") == {
        "n_words": 0, "rep4": None, "distinct2": None, "longest_run": 0, "compression": None, "non_latin": None,
    }  # fmt: skip


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.integers(1, 4))
def test_distinct_is_a_share(items, n):
    value = distinct(items, n)
    assert value is None or 0 < value <= 1


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-20, 20))
def test_a_ramp_passes_half_exactly_at_its_threshold(full, threshold, value):
    if abs(full - threshold) < 1e-3:
        return
    ramp = Ramp(full=full, threshold=threshold)
    assert ramp.score(full) == 1.0
    assert ramp.score(threshold) == 0.5
    assert ramp.score(2 * threshold - full) == pytest.approx(0.0, abs=1e-9)
    passes = value <= threshold if threshold > full else value >= threshold
    assert (ramp.score(value) >= 0.5) == passes or abs(value - threshold) < 1e-9


def test_thresholds_are_those_of_the_rule_on_a_fluent_baseline():
    thresholds = fit_thresholds([generation(nll=nll, prompt=i) for i, nll in enumerate((0.5, 1.0, 1.5))])
    assert (thresholds.rep4.threshold, thresholds.distinct2.threshold) == (0.3, 0.5)
    assert thresholds.nll.threshold == pytest.approx(3.0)
    assert thresholds.n == 3


@given(rep4=st.floats(0, 1), distinct2=st.floats(0, 1), nll=st.floats(0, 8))
def test_half_is_exactly_the_rule(rep4, distinct2, nll):
    thresholds = fit_thresholds([generation(nll=1.0)])
    score = coherence({"rep4": rep4, "distinct2": distinct2}, nll, thresholds)
    near = min(abs(rep4 - 0.3), abs(distinct2 - 0.5), abs(nll - 3.0)) < 1e-9
    assert near or (score >= 0.5) == (rep4 <= 0.3 and distinct2 >= 0.5 and nll <= 3.0)


@given(rep4=st.floats(0, 1), nll=st.floats(0, 8), more=st.floats(0, 3))
def test_worse_measures_never_score_higher(rep4, nll, more):
    thresholds = fit_thresholds([generation()])
    score = coherence({"rep4": rep4, "distinct2": 0.9}, nll, thresholds)
    assert coherence({"rep4": rep4 + more, "distinct2": 0.9}, nll, thresholds) <= score
    assert coherence({"rep4": rep4, "distinct2": 0.9 - more}, nll, thresholds) <= score
    assert coherence({"rep4": rep4, "distinct2": 0.9}, nll + more, thresholds) <= score


def test_a_loop_fails_however_likely_it_is():
    thresholds = fit_thresholds([generation()])
    assert coherence(measure("I am sorry, but " * 12), 0.01, thresholds) == 0.0
    assert coherence(measure(FLUENT), 1.0, thresholds) == 1.0
    assert coherence(measure(FLUENT), 1.0, thresholds, looped=True) == 0.0, "it was cut before the loop showed"
    assert coherence(measure(FLUENT), None, thresholds, looped=True) is None


def test_a_short_text_is_judged_by_its_likelihood_alone():
    thresholds = fit_thresholds([generation(nll=1.0)])
    assert coherence(measure("Paris"), 1.0, thresholds) == 1.0
    assert coherence(measure("Paris"), 3.5, thresholds) == pytest.approx(0.25)


def test_without_a_likelihood_there_is_no_score():
    assert coherence(measure(FLUENT), None, fit_thresholds([generation()])) is None


@given(st.lists(st.tuples(st.integers(1, 12), st.floats(0, 9)), min_size=1, max_size=20))
def test_the_baseline_itself_scores_fully_up_to_its_worse_tenth_unless_it_loops(rows):
    # Texts from fluent (period 12) to a one-word loop (period 1).
    baseline = [
        generation(" ".join(str(i % period) for i in range(24)), nll=nll, prompt=i)
        for i, (period, nll) in enumerate(rows)
    ]
    thresholds = fit_thresholds(baseline)
    measures = [measure(row.text) for row in baseline]
    rep4 = np.percentile([m["rep4"] for m in measures], 90)
    distinct2 = np.percentile([m["distinct2"] for m in measures], 10)
    nlls = [row.nll for row in baseline]
    # A loop is a loop: the thresholds stay, and a quarter of the ramp before them.
    assert (thresholds.rep4.full, thresholds.rep4.threshold) == (pytest.approx(np.clip(rep4, 0.1, 0.25)), 0.3)
    assert thresholds.distinct2.full == pytest.approx(np.clip(distinct2, 0.575, 0.8))
    assert thresholds.distinct2.threshold == 0.5
    full = max(np.mean(nlls) + 1, np.percentile(nlls, 90))
    assert thresholds.nll.full == pytest.approx(full)
    assert thresholds.nll.threshold == pytest.approx(max(np.mean(nlls) + 2, full + 0.25))


def test_one_odd_answer_in_ten_does_not_set_the_standard():
    fluent = [generation(nll=1.0, prompt=i) for i in range(19)]
    odd = generation("la " * 30, nll=9.0, prompt=20)
    thresholds = fit_thresholds([*fluent, odd])
    assert (thresholds.rep4.full, thresholds.distinct2.full) == (0.1, 0.8)
    assert thresholds.nll.full == pytest.approx(2.4)  # the mean, 1.4, plus 1
    assert coherence(measure(odd.text), odd.nll, thresholds) == 0.0


def test_a_baseline_that_loops_does_not_make_loops_coherent():
    loops = [generation("I am sorry, but " * 12, nll=0.1, prompt=i) for i in range(12)]
    assert coherence(measure(loops[0].text), 0.1, fit_thresholds(loops)) == 0.0


def test_a_baseline_of_uneven_likelihood_moves_the_threshold_of_the_likelihood():
    thresholds = fit_thresholds([generation(nll=nll, prompt=i) for i, nll in enumerate([0.0] * 8 + [9.0] * 2)])
    assert thresholds.nll == Ramp(full=9.0, threshold=9.25)  # mean 1.8 plus 2 would fail two answers in ten


def test_only_the_controls_on_dev_calibrate():
    rows = [generation(nll=1.0, nll_prompted=7.0), generation(control="prompted", nll=9.0, nll_prompted=2.0)]
    others = [
        generation(nll=8.0, split="test"),
        generation("la " * 30, control="steered", nll=8.0),
        generation("", nll=None, nll_prompted=None, prompt=2),
    ]
    for reference, expected in (("plain", 3.0), ("prompted", 4.0)):
        thresholds = fit_thresholds([*rows, *others], reference)
        assert thresholds.nll.threshold == pytest.approx(expected)
        assert thresholds == fit_thresholds(rows, reference)


@pytest.mark.parametrize(("rows", "reference", "control"), [
    ([], "plain", "unsteered"),
    ([generation(split="test")], "plain", "unsteered"),
    ([generation(" ")], "plain", "unsteered"),
    ([generation()], "prompted", "prompted"),
    ([replace(generation(), nll=None)], "plain", "unsteered"),
])  # fmt: skip
def test_without_a_baseline_it_says_to_run_the_sweep(rows, reference, control):
    with pytest.raises(JudgeError, match=rf"'{control}' control.*interp-steer sweep"):
        fit_thresholds(rows, reference)
