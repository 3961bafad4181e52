import numpy as np
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analyses.gram import gram
from analyses.probe import RIDGE, area_under_curve, grouped_probe, ridge_logistic, transfer_accuracy


def noise(n=40, d_model=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d_model)), rng.standard_normal((n, d_model))


def test_same_as_scikit_learn_in_the_whole_width():
    positive, negative = noise(20, 60)
    positive[:, 0] += 2
    rows, labels, folds = np.vstack([positive, negative]), np.repeat([1, -1], 20), np.tile(np.arange(20) % 5, 2)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE / 60, max_iter=1000, tol=1e-10))
    margins, aucs = np.zeros(40), []
    for train, test in LeaveOneGroupOut().split(rows, groups=folds):
        logits = pipeline.fit(rows[train], labels[train]).decision_function(rows[test])
        margins[test] = logits * labels[test]
        aucs.append(roc_auc_score(labels[test], logits))
    found = grouped_probe(positive, negative)
    assert found.accuracy == np.mean(margins > 0)
    assert found.auc == pytest.approx(np.mean(aucs))
    assert found.margin == pytest.approx(margins.mean() / margins.std(ddof=1), rel=1e-4)


@pytest.mark.parametrize("inverse_penalty", [1e-4, 1e-2, 1.0])
def test_the_fit_is_the_optimum_that_scikit_learn_finds(inverse_penalty):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 80))
    rows -= rows.mean(axis=0)
    labels = np.where(rng.standard_normal((50, 3)) + rows[:, :1] > 0.5, 1.0, -1.0)  # uneven: the intercept matters
    weights, intercepts = ridge_logistic(rows @ rows.T, labels, inverse_penalty)
    for column in range(3):
        expected = LogisticRegression(C=inverse_penalty, max_iter=10000, tol=1e-12).fit(rows, labels[:, column])
        np.testing.assert_allclose(rows.T @ weights[:, column], expected.coef_[0], rtol=1e-3, atol=1e-5)
        assert intercepts[column] == pytest.approx(expected.intercept_[0], abs=1e-4)
        assert abs(intercepts[column]) > 0.05


def test_area_under_the_curve_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4  # with ties
    assert area_under_curve(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_transfer_leaves_the_whole_topic_out():
    rng = np.random.default_rng(0)
    topics = ["a"] * 4 + ["b"] * 5 + ["c"] * 3
    differences = rng.standard_normal((12, 30)) + 0.5
    hits = []
    for i, topic in enumerate(topics):
        others = sum(differences[j] for j in range(12) if topics[j] != topic)
        hits.append(differences[i] @ others > 0)
    assert transfer_accuracy(gram(differences, 5.0), topics).value == np.mean(hits)


def test_what_holds_within_a_topic_only_does_not_transfer():
    topics = ["a"] * 4 + ["b"] * 4
    differences = np.repeat(np.eye(2), 4, axis=0) + 0.1 * np.random.default_rng(0).standard_normal((8, 2))
    differences[:, 1] -= 0.3 * differences[:, 0]  # each topic has a direction of its own, a little against the other
    assert transfer_accuracy(gram(differences, 5.0), topics).value < 0.3
    assert transfer_accuracy(gram(differences, 5.0), ["a"] * 8).reason == "the pairs name fewer than two topics"
    assert transfer_accuracy(gram(differences, 5.0), [""] * 8).value is None


def test_centering_on_the_midpoint_leaks_and_ours_does_not():
    positive, negative = noise(42)
    middle = (positive + negative) / 2
    rows, labels = np.vstack([positive - middle, negative - middle]), np.repeat([1, -1], 42)
    folds = KFold(5, shuffle=True, random_state=0)
    leaky = cross_val_score(LogisticRegression(max_iter=1000), rows, labels, cv=folds).mean()
    assert leaky > 0.8
    assert abs(grouped_probe(positive, negative).accuracy - 0.5) < 0.15
    assert grouped_probe(positive - middle, negative - middle).accuracy < 0.65  # whole pairs: nothing to leak


def test_choosing_features_on_all_rows_leaks_and_ours_does_not():
    found = []
    for seed in range(5):
        positive, negative = noise(d_model=2000, seed=seed)
        rows, labels = np.vstack([positive, negative]), np.repeat([1, -1], 40)
        chosen = SelectKBest(k=20).fit_transform(rows, labels)
        leaky = cross_val_score(
            LogisticRegression(max_iter=1000), chosen, labels, cv=KFold(5, shuffle=True, random_state=0)
        )
        assert leaky.mean() > 0.8
        found.append(grouped_probe(positive, negative).accuracy)
    assert abs(np.mean(found) - 0.5) < 0.08


def test_a_planted_direction_is_found():
    positive, negative = noise(30, 20)
    positive += 1.5
    found = grouped_probe(positive, negative)
    assert found.accuracy > 0.95
    assert found.auc > 0.95
    assert found.margin > 1
    assert found.selectivity > 0.3


def test_sides_that_do_not_differ_are_ties():
    same, _ = noise(10, 20)
    found = grouped_probe(same * 0, same * 0)
    assert found.accuracy == 0.5
    assert found.margin is None


def test_reproducible():
    assert grouped_probe(*noise(12, 30)) == grouped_probe(*noise(12, 30))
