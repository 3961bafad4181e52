import json
import math

import numpy as np
import pytest

from analyses.confound_tables import confounds_in_words
from analyses.confounds import Length, Word
from analyses.gram import gram, pairs_needed
from analyses.need import Need, expected_stability
from analyses.pair_plan import pair_plan
from analyses.resampling import stability
from interp_steer.pairs import pairs_sha256


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def table(result, start):
    return next(table for table in result.tables if table.title.startswith(start))


def planted(n, *, strength=1.5, seed=0, d_model=200):
    rng = np.random.default_rng(seed)
    differences = rng.standard_normal((n, d_model)) * math.sqrt(1 / d_model)
    differences[:, 0] += strength
    return differences


@pytest.mark.parametrize("shared", [0.02, 0.1, 0.31, 0.5, 0.9])
@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 0.95])
def test_the_plan_is_spearman_brown_turned_round(shared, target):
    n = pairs_needed(shared, target)
    assert expected_stability(shared, n) >= target - 1e-9
    assert n == 2 or expected_stability(shared, n - 2) < target


def test_as_many_pairs_as_planned_are_as_stable_as_planned():
    few = gram(planted(40, strength=0.5), 2.0)
    needed, best, worst = (measure.value for measure in Need.of(few).pairs(0.9))
    assert best <= needed <= worst
    found = [stability(gram(planted(needed, strength=0.5, seed=seed), 2.0)).mean.value for seed in range(1, 21)]
    assert np.mean(found) == pytest.approx(0.9, abs=0.03)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    truth = 0.5**2 / (0.5**2 + 1)  # shared energy over all energy
    held = 0
    for seed in range(200):
        need = Need.of(gram(planted(40, strength=0.5, seed=seed), 2.0))
        held += need.low.value <= truth <= need.high.value
    assert 0.88 <= held / 200 <= 0.99


def test_what_is_needed_and_whether_it_is_there(make_run, make_activations):
    result = pair_plan(make_run(make_activations([0.0, 2.0, 2.0], n=20, d_model=64)))
    layers = table(result, "Pairs needed by layer")
    shared, needed = column(layers, "shared"), column(layers, "for 0.9")
    assert needed[1] == pairs_needed(shared[1], 0.9)
    assert f"0.9 takes {needed[1]} [" in result.finding
    assert f"{needed[1] - 20} more" in result.finding
    assert column(layers, "0.9 at best")[1] < needed[1] < (column(layers, "0.9 at worst")[1] or math.inf)
    assert "(enough), 0.9 takes" in pair_plan(make_run(make_activations([9.0, 9.0], n=20))).finding


def test_without_a_shared_direction_no_number_of_pairs_will_do(make_run, make_activations):
    activations = make_activations([1.0, 1.0], n=8)
    activations.positive[:, ::2], activations.negative[:, ::2] = (
        activations.negative[:, 1::2],
        activations.positive[:, 1::2],
    )
    result = pair_plan(make_run(activations))
    assert "No number of pairs like these makes the vector stable" in result.finding
    assert column(table(result, "Pairs needed"), "for 0.8") == [None, None]
    assert "No layer has pairs that agree, so none can look mislabelled." in result.finding


def test_planted_mislabelled_pairs_are_found_and_no_others(make_run, make_activations):
    activations = make_activations([0.0, 6.0, 6.0, 6.0], n=30)
    for pair in (4, 17):
        swapped = activations.positive[:, pair].copy()
        activations.positive[:, pair] = activations.negative[:, pair]
        activations.negative[:, pair] = swapped
    result = pair_plan(make_run(activations))
    assert "2 pairs look mislabelled: 4, 17." in result.finding
    shown = table(result, "Pairs to look at")
    assert column(shown, "pair")[:2] == [4, 17]
    assert column(shown, "swapped at")[:2] == [1.0, 1.0]
    assert "No pair looks mislabelled." in pair_plan(make_run(make_activations([0.0, 6.0, 6.0, 6.0], n=30))).finding


def test_the_pair_that_pulls_is_shown_with_the_angle_it_turns_the_vector_by(make_run, make_activations):
    activations = make_activations([5.0, 5.0], n=20)
    activations.positive[:, 7, 5] += 40
    shown = table(pair_plan(make_run(activations)), "Pairs to look at")
    differences = activations.differences(1)
    with_it, without = differences.mean(axis=0), np.delete(differences, 7, axis=0).mean(axis=0)
    cosine = with_it @ without / np.linalg.norm(with_it) / np.linalg.norm(without)
    turned = dict(zip(column(shown, "pair"), column(shown, "turns by"), strict=True))
    assert turned[7] == pytest.approx(math.degrees(math.acos(cosine)), abs=1e-6)
    assert max(turned.values()) == turned[7]


def test_lengths_and_words_of_the_run_are_looked_at(make_run, make_activations, tmp_path):
    folder = tmp_path / "kind"
    folder.mkdir()
    (folder / "behavior.toml").write_text("")
    lines = [{"prompt": f"Prompt {i}", "positive": f"sure, it is {i}", "negative": f"it is {i}"} for i in range(12)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    activations = make_activations([4.0], n=12)
    activations.positive_tokens[:], activations.negative_tokens[:] = 9, 7
    run = make_run(activations)
    run.update_manifest(behavior_source=str(folder), pairs={"sha256": pairs_sha256(folder), "n": 12})
    result = pair_plan(run)
    assert "The positive side is longer in 100% of the pairs." in result.finding
    assert "2 single words separate the sides beyond chance; first: ',' (+, 100%), 'sure' (+, 100%)." in result.finding
    assert column(table(result, "Single words"), "word")[:2] == [",", "sure"]
    assert set(column(table(result, "Pairs to look at"), "prompt")) < {line["prompt"] for line in lines}
    (folder / "train.jsonl").unlink()
    gone = pair_plan(run)
    assert "single words" not in gone.finding
    assert table(gone, "Single words").notes[-1].startswith("not tested")
    assert set(column(table(gone, "Pairs to look at"), "prompt")) == {None}


def test_confounds_are_named_only_beyond_chance():
    even = Length(positive=9.0, negative=9.0, longer=0.55, p=0.6, auc=0.5)
    shorter = Length(positive=9.0, negative=19.0, longer=0.1, p=0.001, auc=0.1)
    word = Word(word="so", positive_only=3, negative_only=9, log_odds=-1.0, p=0.2, orders=0.6)
    assert confounds_in_words(even, None) == ""
    assert confounds_in_words(even, [word]) == "No single word separates the sides beyond chance."
    assert confounds_in_words(shorter, None) == "The negative side is longer in 90% of the pairs."
