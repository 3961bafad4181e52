import numpy as np
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analyses.probe import RIDGE, grouped_probe


def noise(n=40, d_model=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d_model)), rng.standard_normal((n, d_model))


def test_same_as_the_whole_width():
    positive, negative = noise(20, 60)
    positive[:, 0] += 2
    rows, labels, groups = np.vstack([positive, negative]), np.repeat([1, -1], 20), np.tile(np.arange(20), 2)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE / 60, max_iter=1000))
    hits = []
    for train, test in GroupKFold(5).split(rows, groups=groups):
        hits.extend(pipeline.fit(rows[train], labels[train]).predict(rows[test]) == labels[test])
    assert grouped_probe(positive, negative).accuracy == pytest.approx(np.mean(hits))


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
