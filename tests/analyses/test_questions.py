"""What every analysis owes, and what each one finds where the answer was planted."""

import json
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from analyses.adjacent_similarity import adjacent_similarity, attention_effect
from analyses.explained_variance import explained_variance
from analyses.gram import gram
from analyses.magnitude import magnitude
from analyses.pair_plan import pair_plan
from analyses.pair_quality import length_correlation, norm_outliers, pair_quality
from analyses.probe_accuracy import probe_accuracy
from analyses.recommender import recommender
from analyses.separation import separation
from analyses.spectrum import isotropic_null
from interp_steer.errors import AnalysisError, RunError
from interp_steer.findings import AnalysisResult
from interp_steer.pairs import pairs_sha256
from interp_steer.records import Cell, from_json, to_json
from interp_steer.run import Run

QUESTIONS = [
    magnitude,
    explained_variance,
    probe_accuracy,
    pair_quality,
    pair_plan,
    adjacent_similarity,
    separation,
    recommender,
]
HYBRID = ("linear_attention", "linear_attention", "linear_attention", "full_attention")


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


@pytest.mark.parametrize("analysis", QUESTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 12, 13])
def test_any_number_of_pairs_gives_a_result_that_json_can_hold(analysis, n, make_run, make_activations):
    result = analysis(make_run(make_activations([0.0, 2.0, 4.0], n=n)))
    text = json.dumps(to_json(result), allow_nan=False)
    assert from_json(AnalysisResult, json.loads(text)) == result
    assert result.name == analysis.__name__
    assert result.finding
    assert result.caveats
    for table in result.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    for figure in result.figures:
        assert all(len(series.y) == len(figure.x) for series in figure.series)
    for scores in result.scores.values():
        assert len(scores) == 3


@pytest.mark.parametrize("analysis", QUESTIONS)
def test_pairs_without_any_difference_are_undefined_not_zero(analysis, make_run, make_activations):
    activations = make_activations([1.0, 1.0], n=6)
    activations.negative[:] = activations.positive
    result = analysis(make_run(activations))
    undefined = {
        *("pc1_share", "pc1_share_uncentered", "mean_share", "loo_margin", "consistency", "snr", "adjacent_change"),
        *("d_prime_loo", "layer_navigator", "recommender"),
    }
    for name in undefined & set(result.scores):
        assert result.scores[name] == (None, None)
    if analysis is not magnitude:
        assert any("undefined" in note for table in result.tables for note in table.notes)


@pytest.mark.parametrize("analysis", QUESTIONS)
def test_nan_is_refused(analysis, make_run, make_activations):
    activations = make_activations([1.0, 1.0])
    activations.positive[1, 3, 0] = np.nan
    with pytest.raises(AnalysisError, match="layer 1, pair 3"):
        analysis(make_run(activations))


@pytest.mark.parametrize("analysis", QUESTIONS)
def test_a_run_without_activations_says_what_to_do(analysis, tmp_path):
    with pytest.raises(RunError, match="interp-steer extract"):
        analysis(Run(tmp_path))


@pytest.mark.parametrize(
    ("analysis", "score"),
    [
        (magnitude, "magnitude_ratio"),
        (magnitude, "magnitude_ratio_unbiased"),
        (explained_variance, "pc1_share_uncentered"),
        (explained_variance, "mean_share"),
        (probe_accuracy, "loo_margin"),
        (probe_accuracy, "probe_accuracy"),
        (pair_quality, "consistency"),
        (pair_quality, "snr"),
    ],
)
def test_the_planted_layer_is_picked(analysis, score, make_run, make_activations):
    scores = analysis(make_run(make_activations([0.0, 2.0, 12.0, 1.0], n=24))).scores[score]
    assert np.argmax(scores) == 2


def test_magnitude_ratio_is_norm_over_activation_norm(make_run, make_activations):
    activations = make_activations([1.0, 5.0])
    result = magnitude(make_run(activations))
    mean = (activations.positive - activations.negative).mean(axis=1)
    norms = np.concatenate([activations.positive_norms, activations.negative_norms], axis=1)
    assert result.scores["magnitude_ratio"] == pytest.approx(
        np.linalg.norm(mean, axis=1) / norms.mean(axis=1), rel=1e-5
    )
    assert column(result.tables[0], "activation norm (median)") == pytest.approx(np.median(norms, axis=1), rel=1e-5)


def test_scaling_the_difference_scales_the_ratio(make_run, make_activations):
    activations = make_activations([2.0, 3.0])
    before = magnitude(make_run(activations)).scores["magnitude_ratio"]
    middle = (activations.positive + activations.negative) / 2
    activations.positive[:] = middle + 3 * (activations.positive - middle)
    activations.negative[:] = middle + 3 * (activations.negative - middle)
    assert magnitude(make_run(activations)).scores["magnitude_ratio"] == pytest.approx(3 * np.array(before), rel=1e-4)


def test_unbiased_magnitude_is_lower_in_noise(make_run, make_activations):
    table = magnitude(make_run(make_activations([0.0], n=8))).tables[0]
    assert column(table, "ratio (unbiased)")[0] < 0.6 * column(table, "magnitude ratio")[0]


def test_raw_norm_that_grows_with_depth_picks_the_last_layer(make_run, make_activations):
    activations = make_activations([3.0] * 4, noise=0.3)
    growth = np.array([1, 2, 4, 8], dtype=np.float32)
    activations.positive[:] *= growth[:, None, None]
    activations.negative[:] *= growth[:, None, None]
    activations.positive_norms[:] *= growth[:, None]
    activations.negative_norms[:] *= growth[:, None]
    result = magnitude(make_run(activations))
    assert column(result.tables[0], "norm") == pytest.approx(sorted(column(result.tables[0], "norm")))
    assert "its raw norm is largest at layer 3, so 'highest magnitude' picks the last layer" in result.finding


def test_magnitude_is_undefined_without_activation_norm(make_run, make_activations):
    activations = make_activations([1.0, 1.0])
    activations.positive_norms[0] = activations.negative_norms[0] = 0
    result = magnitude(make_run(activations))
    assert result.scores["magnitude_ratio"][0] is None
    assert any("layer 0: the activation norm is zero" in note for note in result.tables[0].notes)


def test_excess_is_what_noise_does_not_show(make_run, make_activations):
    table = explained_variance(make_run(make_activations([1.0, 1.0], n=12, d_model=40))).tables[0]
    null, _, _ = isotropic_null(12, 40)
    shares = np.array(column(table, "PC1 share (centered)"))
    assert column(table, "PC1 share above the null") == pytest.approx(shares - null)
    assert abs(np.mean(column(table, "PC1 share above the null"))) < 0.1  # these differences are isotropic


def test_two_pairs_are_called_trivial(make_run, make_activations):
    notes = explained_variance(make_run(make_activations([1.0], n=2))).tables[0].notes
    assert any("whatever they are" in note for note in notes)


def test_probe_intervals_hold_their_accuracy_and_are_wide_at_one(make_run, make_activations):
    table = probe_accuracy(make_run(make_activations([20.0], n=20))).tables[0]
    assert column(table, "leave-one-out accuracy") == [1.0]
    assert column(table, "low")[0] == pytest.approx(0.84, abs=0.01)
    assert column(table, "high")[0] == pytest.approx(1.0)


def test_paired_accuracy_survives_topics_that_blind_the_probe(make_run, make_activations):
    table = probe_accuracy(make_run(make_activations([6.0], n=40, topic=12.0, d_model=64))).tables[0]
    assert column(table, "leave-one-out accuracy")[0] > 0.9
    assert column(table, "probe accuracy")[0] < 0.75


def test_fewer_pairs_than_folds_have_no_grouped_probe(make_run, make_activations):
    result = probe_accuracy(make_run(make_activations([9.0], n=4)))
    assert result.scores["probe_accuracy"] == (None,)
    assert column(result.tables[0], "leave-one-out accuracy") == [1.0]


def test_separable_words_at_layer_zero_are_flagged(make_run, make_activations):
    assert "single words" in probe_accuracy(make_run(make_activations([20.0, 20.0]))).finding
    assert "single words" not in probe_accuracy(make_run(make_activations([0.0, 20.0], seed=1))).finding


def test_topics_are_transferred_between_where_the_pairs_name_them(make_run, make_activations, tmp_path):
    folder = tmp_path / "kind"
    folder.mkdir()
    (folder / "behavior.toml").write_text("")
    lines = [{"prompt": f"P {i}", "positive": "yes", "negative": "no", "topic": "ab"[i % 2]} for i in range(8)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run = make_run(make_activations([20.0], n=8))
    assert column(probe_accuracy(run).tables[0], "transfer between topics") == [None]
    run.update_manifest(behavior_source=str(folder), pairs={"sha256": pairs_sha256(folder), "n": 8})
    assert column(probe_accuracy(run).tables[0], "transfer between topics") == [1.0]


def test_the_signal_test_is_one_in_noise_and_its_gap_names_clusters(make_run, make_activations):
    noise = pair_quality(make_run(make_activations([0.0] * 20, n=12, d_model=200))).tables[0]
    assert np.mean(column(noise, "T")) == pytest.approx(1, abs=0.1)
    clustered = make_activations([0.0], n=20, d_model=200, noise=0.2)
    clustered.positive[:, :19, 3] += 6
    clustered.positive[:, 19, 4] += 300  # one pair outweighs the nineteen that agree
    result = pair_quality(make_run(clustered))
    assert abs(column(result.tables[0], "gap")[0]) > 0.05
    assert "look for clusters of pairs or outliers" in result.finding
    calm = pair_quality(make_run(make_activations([30.0], n=20, d_model=200)))
    assert "look for clusters" not in calm.finding


def test_the_change_between_layers_is_scored_at_the_block_that_turned_the_vector(make_run, make_activations):
    activations = make_activations([8.0] * 4, n=16, noise=0.5)
    for side in (activations.positive, activations.negative):
        side[2:] = np.roll(side[2:], 1, axis=2)
    scores = adjacent_similarity(make_run(activations)).scores["adjacent_change"]
    assert scores[0] is None
    assert max(score for score in scores if score is not None) == scores[2] > 0.8


def test_pair_quality_looks_at_the_best_layer_of_the_sweep(make_run, make_activations, add_sweep):
    run = make_run(make_activations([1.0] * 4))
    assert "layer 2 (middle; no sweep yet)" in pair_quality(run).tables[1].title
    add_sweep(run, {Cell(control="steered", layer=3, alpha=0.3): 0.9, Cell(control="steered", layer=1, alpha=0.3): 0.1})
    assert "layer 3 (best of the sweep)" in pair_quality(run).tables[1].title


def test_the_pair_that_pulls_is_listed_first_with_its_outlying_norm(make_run, make_activations):
    activations = make_activations([5.0, 5.0], n=20)
    activations.positive[:, 7, 5] += 100
    table = pair_quality(make_run(activations)).tables[1]
    assert column(table, "pair")[0] == 7
    assert column(table, "robust z of the norm")[0] > 3.5
    assert "1 of 20 norms are outliers" in table.notes[1]


def test_prompts_are_shown_only_while_the_pairs_are_the_same(make_run, make_activations, tmp_path):
    folder = tmp_path / "kind"
    folder.mkdir()
    (folder / "behavior.toml").write_text("")
    lines = [json.dumps({"prompt": f"Prompt {i}", "positive": "yes", "negative": "no"}) for i in range(3)]
    (folder / "train.jsonl").write_text("\n".join(lines))
    run = make_run(make_activations([4.0], n=3))
    run.update_manifest(behavior_source=str(folder), pairs={"sha256": pairs_sha256(folder), "n": 3})
    assert set(column(pair_quality(run).tables[1], "prompt")) == {"Prompt 0", "Prompt 1", "Prompt 2"}
    (folder / "train.jsonl").write_text("\n".join(lines).replace("yes", "oui"))
    table = pair_quality(run).tables[1]
    assert set(column(table, "prompt")) == {None}
    assert "prompts are not shown" in table.notes[-1]


def test_consistency_is_drawn_with_its_interval(make_run, make_activations):
    result = pair_quality(make_run(make_activations([2.0, 4.0])))
    curve, errors = result.figures[0].series[0], column(result.tables[0], "standard error")
    assert np.subtract(curve.y, curve.low) == pytest.approx(1.96 * np.array(errors))
    assert np.subtract(curve.high, curve.y) == pytest.approx(1.96 * np.array(errors))


def test_norm_outliers_by_hand():
    norms = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    found = norm_outliers(gram(np.diag(norms), 100.0))
    assert [measure.value for measure in found] == pytest.approx(0.6745 * (norms - 3))  # median 3, MAD 1
    assert norm_outliers(gram(np.eye(4), 1.0))[0].value is None


def test_length_correlation_agrees_with_projecting():
    rng = np.random.default_rng(0)
    differences, lengths = rng.standard_normal((30, 20)), rng.integers(-20, 20, 30).astype(float)
    differences[:, 0] += 0.2 * lengths + 3
    direction = differences.mean(axis=0) / np.linalg.norm(differences.mean(axis=0))
    expected = scipy_stats.pearsonr(differences @ direction, lengths).statistic
    assert length_correlation(gram(differences, 10.0), lengths).value == pytest.approx(expected)
    assert length_correlation(gram(differences, 10.0), np.zeros(30)).value is None


def test_neighbors_that_share_a_direction_are_similar_and_turned_ones_are_not(make_run, make_activations):
    activations = make_activations([8.0] * 4, n=16, noise=0.5)
    for side in (activations.positive, activations.negative):
        side[2:] = np.roll(side[2:], 1, axis=2)  # the planted axis moves between layers 1 and 2
    table = adjacent_similarity(make_run(activations)).tables[0]
    cosines = column(table, "cosine")
    assert (table.rows[1][0], table.rows[1][1]) == (1, 2)
    assert min(cosines[0], cosines[2]) > 0.95
    assert abs(cosines[1]) < 0.2


def test_adjacent_cosine_is_that_of_the_mean_differences(make_run, make_activations):
    activations = make_activations([1.0, 2.0, 3.0])
    means = (activations.positive.astype(float) - activations.negative).mean(axis=1)
    units = means / np.linalg.norm(means, axis=1, keepdims=True)
    cosines = column(adjacent_similarity(make_run(activations)).tables[0], "cosine")
    assert cosines == pytest.approx([units[0] @ units[1], units[1] @ units[2]], rel=1e-6)


@pytest.mark.parametrize("n", [10, 30])  # listed and drawn flips
def test_an_inert_stream_has_similarity_but_no_excess(n, make_run, make_activations):
    activations = make_activations([0.0], n=n)
    stream = make_activations([0.0, 0.0], n=n)
    for side, copy in ((stream.positive, activations.positive), (stream.negative, activations.negative)):
        side[:] = copy[0] + 0.3 * side
    table = adjacent_similarity(make_run(stream)).tables[0]
    assert column(table, "cosine")[0] > 0.8
    assert abs(column(table, "excess")[0]) < 0.1


def test_the_kind_of_blocks_is_marked_in_hybrid_models_only(make_run, make_activations):
    hybrid = adjacent_similarity(make_run(make_activations([3.0] * 12, layer_types=HYBRID * 3)))
    assert hybrid.figures[0].shaded == (3, 7, 11)
    assert "permutation p" in hybrid.finding
    plain = adjacent_similarity(make_run(make_activations([3.0] * 12)))
    assert plain.figures[0].shaded == ()
    assert "not hybrid" in plain.finding


def test_null_of_two_pairs_by_hand(make_run, make_activations):
    activations = make_activations([1.0, 1.0], n=2)
    differences = activations.positive.astype(float) - activations.negative
    first, second = differences[0, 0] - differences[0, 1], differences[1, 0] - differences[1, 1]
    expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)  # the one flip that is not the identity
    assert column(adjacent_similarity(make_run(activations)).tables[0], "sign-flip null") == pytest.approx([expected])


def test_blocks_of_full_attention_that_turn_the_vector_are_named(make_run, make_activations):
    activations = make_activations([9.0] * 12, noise=0.3, layer_types=HYBRID * 3)
    for layer in (3, 7, 11):
        for side in (activations.positive, activations.negative):
            side[layer:] = np.roll(side[layer:], 1, axis=2)
    finding = adjacent_similarity(make_run(activations)).finding
    gap = float(re.search(r"the cosine is (\S+) against", finding).group(1))
    assert gap < -0.8
    assert "(permutation p 0.0" in finding


def test_a_dip_at_full_attention_is_found_and_noise_is_not():
    depth = np.linspace(0, 1, 31)
    full = np.array([layer % 4 == 3 for layer in range(1, 32)])
    trend = 0.8 + 0.1 * depth - 0.2 * depth**2 + 0.005 * np.random.default_rng(0).standard_normal(31)
    gap, p = attention_effect(trend - 0.05 * full, full)
    assert gap == pytest.approx(-0.05, abs=0.01)
    assert p < 0.001
    assert attention_effect(trend, full)[1] > 0.05


def test_one_layer_has_no_neighbor(make_run, make_activations):
    with pytest.raises(AnalysisError, match="at least two layers"):
        adjacent_similarity(make_run(make_activations([1.0])))
