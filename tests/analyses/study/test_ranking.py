"""Rankings against brute force over every order of the tied layers."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import pearsonr

from analyses.study.ranking import (
    auc,
    circular_shift_p,
    depth_partialled,
    evaluations,
    hit,
    kendall,
    normalized_regret,
)

small = arrays(np.float64, 6, elements=st.integers(0, 3).map(float))


def orders(scores: np.ndarray) -> list[tuple[int, ...]]:
    """Every order in which a heuristic may visit the layers."""
    return [order for order in permutations(range(len(scores))) if (np.diff(scores[list(order)]) <= 0).all()]


@given(small, small, st.integers(1, 6))
def test_regret_is_the_expectation_over_the_orders_of_tied_layers(
    scores: np.ndarray, truth: np.ndarray, k: int
) -> None:
    found = normalized_regret(scores, truth, k)
    if np.ptp(truth) == 0:
        assert found is None
        return
    regrets = [truth.max() - truth[list(order[:k])].max() for order in orders(scores)]
    assert found == pytest.approx(np.mean(regrets) / (truth.max() - truth.mean()))


@given(small, small, st.integers(1, 6))
def test_a_hit_is_the_chance_of_a_best_layer_among_the_first(scores: np.ndarray, truth: np.ndarray, k: int) -> None:
    hits = [(truth[list(order[:k])] == truth.max()).any() for order in orders(scores)]
    assert hit(scores, truth, k) == pytest.approx(np.mean(hits))


@given(small, small)
def test_evaluations_are_the_mean_number_of_layers_tried(scores: np.ndarray, truth: np.ndarray) -> None:
    found = evaluations(scores, truth)
    if np.ptp(truth) == 0:
        assert found is None
        return
    enough = truth >= truth.max() - 0.1 * (truth.max() - truth.mean())
    tried = [1 + int(np.argmax(enough[list(order)])) for order in orders(scores)]
    assert found == pytest.approx(np.mean(tried))


def test_constant_scores_are_a_random_layer() -> None:
    truth = np.array([0.0, 1.0, 4.0, 2.0])
    assert normalized_regret(np.zeros(4), truth) == pytest.approx(1.0)
    assert normalized_regret(truth, truth) == 0.0
    assert normalized_regret(-truth, truth) == pytest.approx(4 / 2.25)


def test_auc_counts_the_pairs_in_order() -> None:
    scores, good = np.array([3.0, 1.0, 2.0, 2.0]), np.array([True, False, True, False])
    assert auc(scores, good) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert auc(scores, np.zeros(4, dtype=bool)) is None


def test_what_only_follows_depth_has_nothing_left_without_it() -> None:
    rng = np.random.default_rng(0)
    depth = np.arange(20.0)
    middle = -((depth - 9.5) ** 2)
    noise = middle + 30 * rng.standard_normal(20)
    layers = range(20)
    assert abs(depth_partialled(middle + 1e-3 * rng.standard_normal(20), noise, layers) or 0.0) < 0.6
    assert depth_partialled(depth, noise, layers) is None  # its ranks are a function of depth
    assert depth_partialled(noise, noise, layers) == pytest.approx(1.0)
    assert depth_partialled(noise[:4], noise[:4], layers[:4]) is None


def test_depth_is_that_of_the_layers_not_their_places() -> None:
    layers = (0, 1, 2, 3, 20, 29)
    by_depth = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    other = np.array([2.0, 1.0, 4.0, 3.0, 6.0, 5.0])
    depth = np.array(layers, dtype=float)
    design = np.stack([np.ones(6), depth, depth**2], axis=1)
    left = [one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in (by_depth, other)]
    expected = left[0] @ left[1] / np.prod([np.linalg.norm(one) for one in left])
    assert depth_partialled(by_depth, other, layers) == pytest.approx(expected)
    assert depth_partialled(by_depth, other, range(6)) is None


def test_a_shift_keeps_neighbors_alike_so_it_is_the_honest_null() -> None:
    """Two smooth curves that have nothing to do with each other: the textbook p-value is far too sure."""
    rng = np.random.default_rng(1)
    kernel = np.exp(-(np.minimum(np.arange(30), 30 - np.arange(30)) ** 2) / 18)

    def smooth() -> np.ndarray:
        return np.fft.ifft(np.fft.fft(kernel) * np.fft.fft(rng.standard_normal(30))).real

    pairs = [(smooth(), smooth()) for _ in range(400)]
    layers = range(30)
    shifted = np.mean([(circular_shift_p(a, b, layers) or 1.0) <= 0.05 for a, b in pairs])
    textbook = np.mean([pearsonr(a, b, alternative="greater").pvalue <= 0.05 for a, b in pairs])
    assert textbook > 0.12
    assert shifted < 0.09
    assert circular_shift_p(pairs[0][0], pairs[0][0], layers) == pytest.approx(1 / 30)
    assert circular_shift_p(np.zeros(30), pairs[0][0], layers) is None
    assert circular_shift_p(pairs[0][0][:19], pairs[0][0][:19], range(19)) is None  # no shift could reach 0.05


def test_kendall_is_undefined_for_a_constant() -> None:
    assert kendall(np.zeros(4), np.arange(4.0)) is None
    assert kendall(np.arange(4.0), np.arange(4.0)) == pytest.approx(1.0)
