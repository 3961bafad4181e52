"""Planted best layers and planted heuristics: what a contest must say of them."""

import numpy as np
import pytest

from analyses.study import ranking
from analyses.study.contest import contest
from analyses.study.heuristics import heuristics_of
from analyses.study.nulls import over_behaviors
from analyses.study.selectors import OTHERS, RANDOM, SWEEP, rankings
from analyses.study.truths import over_random, truth_of

LAYERS = 10


def bump(best: int) -> list[float]:
    return [float(np.exp(-((layer - best) ** 2) / 4)) for layer in range(LAYERS)]


@pytest.fixture
def planted(make_subject):
    """Six behaviors with best layers of their own; one heuristic knows them, one points away, one is silent."""
    bests = (2, 3, 4, 5, 6, 7)
    made = []
    for i, best in enumerate(bests):
        worth = bump(best)
        silent = [None] * LAYERS if i % 2 else [float(layer == 5) for layer in range(LAYERS)]
        known = {"knows": worth, "points_away": [-value for value in worth], "half_silent": silent}
        made.append(make_subject(f"behavior-{i}", worth, heuristics=known, noise=0.02, seed=i))
    return made


def test_the_truth_is_the_change_on_the_test_pairs(planted):
    truth = truth_of(planted[0], "equal KL")
    assert truth.layers == tuple(range(LAYERS))
    assert truth.mean == pytest.approx(np.array(bump(2)), abs=0.03)
    assert truth.steerable
    assert (planted[0].best[0].layer, planted[0].best[0].alpha) == (2, 0.3)


def test_a_behavior_that_random_directions_move_as_much_is_set_aside(make_subject, planted):
    no_better = make_subject("no_better", bump(4), random=1.2)
    assert over_random(no_better).high < 0
    found = contest([*planted, no_better], "likelihood")
    assert found.aside == ("no_better",)
    assert len(found.truths) == len(planted)


def test_planted_heuristics_get_the_regret_they_deserve(planted):
    found = contest(planted, "equal KL")
    assert found.regret("knows").mean == pytest.approx(0.0, abs=1e-9)
    assert found.regret("points away").low > 1
    assert found.regret(RANDOM).mean == pytest.approx(1.0)
    assert found.regret(SWEEP).mean == pytest.approx(0.0, abs=1e-9)
    assert found.partial == ("half silent",)  # it says nothing of some, and no mean may be over others than the rest's
    assert "half silent" not in found.names
    assert found.difference("knows", "points away").high < 0
    assert found.difference("knows", "knows") is None


def test_a_second_name_for_the_same_ranking_counts_once(make_subject):
    made = []
    for i, best in enumerate((2, 4, 6)):
        worth = bump(best)
        known = {"b": worth, "a": [2 * v + 1 for v in worth], "middle": [-abs(layer - 5) for layer in range(LAYERS)]}
        made.append(make_subject(f"behavior-{i}", worth, heuristics=known, noise=0.02, seed=i))
    found = contest(made, "equal KL")
    assert found.same == {"b": ("a",), "50 % depth": ("middle",)}
    assert {"a", "middle"}.isdisjoint(found.names)


def test_a_behavior_whose_layers_are_all_alike_is_set_aside(make_subject, planted):
    alike = make_subject("alike", [1.0] * LAYERS, noise=0.3)
    assert truth_of(alike, "equal KL").steerable
    found = contest([*planted, alike], "equal KL")
    assert (found.flat, found.aside) == (("alike",), ())
    assert "alike" not in {truth.behavior for truth in found.truths}


def test_layers_without_a_score_come_last(make_subject):
    subject = make_subject("one", bump(4), heuristics={"partial": [None] * 5 + [0.1, 0.3, 0.2, None, None]})
    ranked = rankings(subject, truth_of(subject, "equal KL"), [])["partial"]
    assert ranked.argmax() == 6
    assert ranked[[0, 1, 2, 3, 4, 8, 9]].max() < ranked[5]
    assert OTHERS not in rankings(subject, truth_of(subject, "equal KL"), [])


def test_other_behaviors_choose_their_common_layer(make_subject):
    same = [make_subject(f"same-{i}", bump(6), noise=0.01, seed=i) for i in range(3)]
    truths = [truth_of(subject, "equal KL") for subject in same]
    assert rankings(same[0], truths[0], truths[1:])[OTHERS].argmax() == 6


def test_the_result_says_which_heuristic_is_beyond_doubt(planted, make_subject):
    found = heuristics_of([*planted, make_subject("flat", [0.0] * LAYERS)], ("likelihood", "equal KL"))
    assert "corrected for their number: 1 of 2 by likelihood (6 of 7 behaviors), 1 of 2 by equal KL" in found.finding
    selectors = next(table for table in found.tables if table.title == "Selectors by equal KL")
    rows = {row[0]: dict(zip(selectors.columns, row, strict=True)) for row in selectors.rows}
    assert rows["knows"]["p"] < 0.001
    assert rows["knows"]["p (Holm)"] == pytest.approx(2 * rows["knows"]["p"])
    assert rows["knows"]["minus 50 % depth"] < 0
    assert rows["knows"]["cross-fitted"] <= rows["knows"]["regret at 1"] + 1e-12
    assert rows["points away"]["cross-fitted"] >= rows["points away"]["regret at 1"] - 1e-12
    assert rows[RANDOM]["cross-fitted"] == pytest.approx(1.0)
    assert rows["points away"]["p (Holm)"] == 1.0
    listed, ranked = (
        {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
        for title in ("Shortlists by equal KL", "Whole rankings by equal KL")
        for table in found.tables
        if table.title == title
    )
    assert listed["knows"]["hit at 1"] == 1.0
    assert listed["knows"]["layers to 0.1 regret"] == pytest.approx(1.0)
    three = [float(ranking.normalized_regret(np.zeros(LAYERS), np.array(bump(b)), k=3)) for b in (2, 3, 4, 5, 6, 7)]
    expected = over_behaviors(three)
    assert listed[RANDOM]["regret at 3"] == pytest.approx(expected.mean, abs=0.05)
    assert listed[RANDOM]["regret at 3: low"] == pytest.approx(expected.low, abs=0.05)
    assert ranked["knows"]["Spearman"] > 0.9 > 0 > ranked["points away"]["Spearman"]
    assert ranked["knows"]["shift p <= 0.05"] is None  # ten layers are too few for it
    where = next(table for table in found.tables if table.title == "Behaviors by equal KL")
    first = dict(zip(where.columns, where.rows[0], strict=True))
    assert first["system prompt"] == pytest.approx(0.4)
    assert 0 < first["detectable"] < 0.1  # noise of 0.02 over 24 pairs
    regrets = next(figure for figure in found.figures if figure.title.endswith("first pick, by likelihood"))
    assert not any(
        series.name == "system prompt"
        for figure in found.figures
        for series in figure.series
        if "equal KL" in figure.title
    )
    asked = next(series for series in regrets.series if series.name == "system prompt")
    worth = [np.array(bump(best)) for best in (2, 3, 4, 5, 6, 7)]
    assert asked.y[0] == pytest.approx(np.mean([(1 - 0.4) / (1 - one.mean()) for one in worth]), abs=0.05)
    aside = found.tables[-1]
    assert ("equal KL", 1, "flat", 0, "none") in aside.rows


def test_the_hypothesis_fixed_beforehand_is_judged_by_every_truth_beside_its_control(make_subject):
    made = []
    for i, best in enumerate((2, 3, 4, 5, 6, 7)):
        worth = bump(best)
        known = {"kl_small_push": worth, "kl_small_push_random": bump(8)}
        made.append(make_subject(f"behavior-{i}", worth, heuristics=known, noise=0.02, seed=i))
    found = heuristics_of(made, ("likelihood", "equal KL"))
    assert "1 of 1 by likelihood (6 of 6 behaviors), 1 of 1 by equal KL (6 of 6 behaviors)" in found.finding
    assert "that kl small push does by equal KL, is confirmed: its regret is 0.00 [0.00, 0.00]" in found.finding
    table = next(table for table in found.tables if table.title.startswith("The hypothesis"))
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert set(rows) == {"likelihood", "equal KL (fixed beforehand)"}
    for row in rows.values():
        assert row["p"] < 0.001
        assert row["minus its control: high"] < 0, "better than its control"


def test_a_family_that_carries_the_result_is_found_out(make_subject):
    """The heuristic knows three behaviors of one family, and points away from the three others."""
    made = []
    for i, best in enumerate((2, 3, 4, 5, 6, 7)):
        worth, known = bump(best), i < 3
        scores = {"kl_small_push": worth if known else [-v for v in worth], "kl_small_push_random": bump(8)}
        family = "known" if known else f"alone-{i}"
        made.append(make_subject(f"b{i}", worth, heuristics=scores, noise=0.02, seed=i, family=family))
    found = heuristics_of(made, ("equal KL",))
    table = next(table for table in found.tables if table.title == "kl small push by equal KL, without a family")
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert set(rows) == {"known", "alone-3", "alone-4", "alone-5"}
    assert rows["known"]["left out"] == "b0, b1, b2"
    assert rows["known"]["behaviors left"] == 3
    assert rows["known"]["p"] > 0.9
    assert rows["alone-3"]["regret at 1"] < rows["known"]["regret at 1"]


def test_fewer_than_two_steerable_behaviors_are_no_contest(make_subject):
    found = heuristics_of([make_subject("flat", [0.0] * LAYERS), make_subject("one", bump(3))], ("equal KL",))
    assert "no heuristic can be compared" in found.finding
