"""Kappa against scikit-learn, and the bootstrap over clusters against what is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from interp_steer.stats import cluster_bootstrap, cohen_kappa, rank_correlation

ratings = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=60)


@given(ratings)
@pytest.mark.filterwarnings("ignore:invalid value encountered", "ignore:A single label")
def test_kappa_is_that_of_scikit_learn(pairs):
    a, b = map(list, zip(*pairs, strict=True))
    for weighted, weights in ((False, None), (True, "quadratic")):
        found = cohen_kappa(a, b, weighted=weighted)
        if found is None:
            assert len({*a, *b}) == 1
        else:
            assert found == pytest.approx(cohen_kappa_score(a, b, weights=weights, labels=range(11)))


def test_kappa_where_it_is_known():
    assert cohen_kappa([0, 0, 1, 1], [0, 0, 1, 1]) == 1
    assert cohen_kappa([0, 0, 1, 1], [0, 1, 0, 1]) == 0
    assert cohen_kappa([0, 0, 1, 1], [1, 1, 0, 0]) == -1
    assert cohen_kappa([], []) is None
    assert cohen_kappa([1, 1], [1, 1]) is None
    assert cohen_kappa([1, 1], [0, 0]) == 0


def test_a_large_disagreement_weighs_more_than_a_small_one():
    truth = [0, 2, 4, 6, 8, 10]
    near, far = [0, 2, 4, 6, 8, 9], [0, 2, 4, 6, 8, 0]
    assert cohen_kappa(truth, near) == pytest.approx(cohen_kappa(truth, far), abs=0.05)
    assert cohen_kappa(truth, near, weighted=True) > cohen_kappa(truth, far, weighted=True) + 0.3


def difference(a, b):
    return float(np.mean(a - b))


def test_whole_clusters_are_resampled():
    rng = np.random.default_rng(0)
    shifts = rng.normal(size=20)
    clusters = [i // 10 for i in range(200)]
    a, b = np.repeat(shifts, 10), np.zeros(200)
    low, high = cluster_bootstrap(difference, a, b, clusters)
    alone_low, alone_high = cluster_bootstrap(difference, a, b, list(range(200)))
    spread = shifts.std() / np.sqrt(20)  # the ten items of a cluster say one thing
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.15)
    assert alone_high - alone_low < 0.5 * (high - low)


def test_the_interval_covers_the_truth():
    rng = np.random.default_rng(1)
    covered = 0
    for draw in range(200):
        noise = np.repeat(rng.normal(size=30), 3) + rng.normal(size=90)
        ends = cluster_bootstrap(difference, noise, np.zeros(90), [i // 3 for i in range(90)], resamples=300, seed=draw)
        covered += ends[0] <= 0 <= ends[1]
    assert 0.87 <= covered / 200 <= 0.99


def test_where_there_is_no_interval():
    a, b = np.arange(4.0), np.arange(4.0)
    assert cluster_bootstrap(difference, a, b, ["p"] * 4) is None
    constant = np.array([0.0] * 9 + [1.0])
    rank = lambda x, y: rank_correlation(x.tolist(), y.tolist())  # noqa: E731
    assert cluster_bootstrap(rank, constant, np.arange(10.0), list(range(10))) is None  # undefined in a third of them


def test_the_same_seed_draws_the_same():
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 40))
    assert cluster_bootstrap(difference, a, b, [i % 8 for i in range(40)]) == cluster_bootstrap(
        difference, a, b, [i % 8 for i in range(40)]
    )
