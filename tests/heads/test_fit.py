"""A planted direction is found, its probabilities are right, and noise stays at chance."""

import numpy as np
import pytest
from scipy.special import expit

from interp_steer.errors import AnalysisError, RunError, SteeringError, VectorError
from interp_steer.heads.fit import fit_head, scores
from interp_steer.heads.head import head_path, held_heads, read_head, save_head
from interp_steer.run import Run


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_a_planted_direction_is_recovered_and_transfers(planted):
    activations, direction = planted(n=200, effect=4.0)
    head = fit_head(activations, 1, unseen=planted(n=50, effect=4.0, seed=1)[0])
    assert cosine(head.weight, direction) > 0.8
    assert head.card.out_of_fold.auc > 0.98
    assert head.card.unseen.auc > 0.98
    assert head.card.unseen.n == 100


def test_probabilities_are_calibrated_on_responses_that_fitted_nothing(planted):
    activations, _ = planted(n=300, effect=1.5)
    head, fresh = fit_head(activations, 0), planted(n=3000, effect=1.5, seed=2)[0]
    logits = head.logits(np.concatenate([fresh.positive[0], fresh.negative[0]]))
    found = scores(logits, np.repeat([1, 0], 3000))
    assert 0.6 < found.auc < 0.95, "the sides overlap, or calibration would be trivial"
    assert found.ece < 0.04
    assert found.brier < 0.25
    assert head.card.out_of_fold.brier == pytest.approx(found.brier, abs=0.03)


def test_noise_stays_at_chance_even_where_topics_are_loud(planted):
    groups = [str(i % 6) for i in range(60)]
    noise = [planted(n=60, effect=0.0, topics=6, topic_scale=5.0, seed=seed)[0] for seed in range(8)]
    found = [fit_head(one, 0, groups=groups) for one in noise]
    assert np.mean([head.card.out_of_fold.auc for head in found]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([head.card.out_of_fold.brier for head in found]) > 0.23


def test_separable_sides_give_finite_weights(planted):
    head = fit_head(planted(n=12, effect=100.0)[0], 0)
    assert np.isfinite(head.weight).all()
    assert head.card.out_of_fold.auc == 1.0
    assert head.card.out_of_fold.brier < 0.1


def test_swapping_the_sides_mirrors_the_probability(planted):
    from dataclasses import replace

    activations, _ = planted(n=40)
    swapped = replace(activations, positive=activations.negative, negative=activations.positive)
    one, other = fit_head(activations, 2), fit_head(swapped, 2)
    h = activations.positive[2]
    np.testing.assert_allclose(one.logits(h), -other.logits(h), atol=0.05)


def test_scores_by_hand():
    logits, labels = np.log(np.array([9.0, 1 / 9, 4.0, 1 / 4])), np.array([1, 0, 0, 1])
    found = scores(logits, labels)
    assert found.auc == 0.75
    assert found.accuracy == 0.5
    assert found.brier == pytest.approx((0.01 + 0.01 + 0.64 + 0.64) / 4)
    assert found.ece == pytest.approx((0.1 + 0.1 + 0.8 + 0.8) / 4)
    np.testing.assert_allclose(expit(logits), [0.9, 0.1, 0.8, 0.2])


def test_what_cannot_be_fitted_is_refused(planted):
    activations, _ = planted(n=6)
    with pytest.raises(SteeringError, match="layer 9 does not exist"):
        fit_head(activations, 9)
    with pytest.raises(AnalysisError, match="at least two groups"):
        fit_head(activations, 0, groups=["a"] * 6)
    with pytest.raises(AnalysisError, match="2 groups for 6 pairs"):
        fit_head(activations, 0, groups=["a", "b"])
    activations.positive[0, 3] = np.nan
    with pytest.raises(AnalysisError, match="layer 0, pair 3"):
        fit_head(activations, 0)


def test_a_head_is_kept_with_its_card_and_refused_elsewhere(planted, tiny_llama, tiny_qwen, tmp_path):
    run = Run(tmp_path)
    with pytest.raises(RunError, match="has no heads; fit one"):
        held_heads(run)
    for layer in (2, 1):
        head = fit_head(planted(n=20)[0], layer)
        save_head(head, head_path(run, layer))
    assert [one.layer for one in held_heads(run)] == [1, 2]
    back = read_head(head_path(run, 1))
    assert back.card == head.card
    h = planted(n=3)[0].positive[1]
    np.testing.assert_allclose(back.logits(h), head.logits(h))
    back.check_model(tiny_llama.card)
    with pytest.raises(VectorError, match=r"'joy' head belongs to 'tiny-llama' .* not to 'tiny-qwen'"):
        back.check_model(tiny_qwen.card)
