from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analyses.gram import gram_at
from analyses.study.claim import Claim, difference_claim, share_claim
from analyses.study.geometry_claims import flip, geometry_claims
from analyses.study.nulls import over_behaviors
from analyses.study.off_target import changes_of
from interp_steer.activations.artifact import save_activations
from interp_steer.files import write_json
from interp_steer.findings import AnalysisResult
from interp_steer.records import to_json
from interp_steer.run import Run
from interp_steer.stats import Interval, wilson_interval


def claim(low: float, high: float, *, least: float | None = None, most: float | None = None, n: int = 5) -> Claim:
    evidence = Interval(mean=(low + high) / 2, low=low, high=high, n=n)
    return Claim(text="t", measure="m", least=least, most=most, evidence=evidence, n=n)


def test_a_claim_holds_only_where_its_whole_interval_does():
    assert claim(0.6, 0.9, least=0.5).verdict == "holds"
    assert claim(0.1, 0.4, least=0.5).verdict == "does not hold"
    assert claim(0.4, 0.6, least=0.5).verdict == "cannot tell"
    assert claim(0.6, 0.9, most=0.5).verdict == "does not hold"
    assert claim(0.1, 0.4, most=0.5).verdict == "holds"
    assert claim(0.6, 0.9, least=0.5, n=2).verdict == "cannot tell"
    assert Claim(text="t", measure="m", least=0.0, evidence=None, n=0).verdict == "cannot tell"


def test_what_chance_fulfills_too_holds_by_chance_too():
    held = claim(0.6, 0.9, least=0.5)
    assert replace(held, chance=0.55).verdict == "holds, and by chance too"
    assert replace(held, chance=0.5).verdict == "holds"
    assert replace(claim(0.1, 0.4, least=0.5), chance=0.55).verdict == "does not hold"


@pytest.fixture
def three_runs(tmp_path, make_activations):
    """Function to three runs whose pairs share a direction of a strength, with a stored result of the probes."""

    def make(strength):
        runs = []
        for seed in range(3):
            activations = make_activations(strength * np.linspace(1, 2, 6), seed=seed)
            run = Run(tmp_path / f"{strength}-{seed}")
            save_activations(activations, run.activations_path)
            run.update_manifest(model=to_json(activations.card.model))
            scores = {"probe_accuracy": (0.9,) * 6}
            stored = AnalysisResult(name="probe_accuracy", title="", question="", finding="", scores=scores)
            write_json(run.analysis_path("probe_accuracy"), to_json(stored))
            runs.append(run)
        return runs

    return make


def test_what_swapped_sides_show_as_well_says_nothing_of_the_behavior(three_runs):
    planted = {one.text: one for one in geometry_claims(three_runs(8.0))}
    stable, last = planted["stability is high"], planted["magnitude picks the last layer"]
    assert stable.verdict == "holds"
    assert stable.chance < 0.8 < stable.evidence.low
    assert last.evidence.mean == 1.0  # the planted strength grows with depth
    assert last.chance < 1.0
    noise = {one.text: one for one in geometry_claims(three_runs(0.0))}
    assert noise["consistency is low"].verdict == "holds, and by chance too"
    assert noise["consistency is low"].chance == pytest.approx(0.0, abs=0.1)
    assert noise["stability is high"].verdict == "does not hold"


def test_swapping_sides_flips_whole_pairs_alike_at_every_layer(make_activations):
    activations = make_activations([1.0, 3.0])
    swapped = flip([gram_at(activations, layer) for layer in range(2)], seed=4)
    signs = np.random.default_rng(4).choice((-1.0, 1.0), size=activations.n_pairs)
    for layer, found in enumerate(swapped):
        differences = signs[:, None] * activations.differences(layer)
        assert found.matrix == pytest.approx(differences @ differences.T)


def test_a_claim_of_a_range_is_left_on_either_side():
    assert claim(5.1, 5.9, least=4.5, most=6.5).verdict == "holds"
    assert claim(6.6, 9.0, least=4.5, most=6.5).verdict == "does not hold"
    assert claim(2.0, 4.4, least=4.5, most=6.5).verdict == "does not hold"
    assert claim(4.0, 5.0, least=4.5, most=6.5).verdict == "cannot tell"
    assert claim(4.0, 7.0, least=4.5, most=6.5).verdict == "cannot tell"
    assert claim(4.0, 7.0, least=4.5, most=6.5).claimed == "above 4.5 and below 6.5"


def test_the_interval_over_behaviors_is_student_s():
    values = list(np.random.default_rng(0).standard_normal(7))
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    found = over_behaviors(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert over_behaviors([1.0]) is None


def test_a_share_of_all_behaviors_is_no_certainty():
    found = share_claim("t", "m", [True] * 3, least=0.5)
    assert found.evidence.low == pytest.approx(wilson_interval(3, 3).low)
    assert found.verdict == "cannot tell"
    assert share_claim("t", "m", [True] * 12, least=0.5).verdict == "holds"
    assert share_claim("t", "m", [False] * 12, least=0.5).verdict == "does not hold"


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
