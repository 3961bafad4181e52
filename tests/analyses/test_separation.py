"""d' and LayerNavigator in closed form against the plain formulas, and where they are undefined."""

import numpy as np
import pytest

from analyses.gram import gram
from analyses.separation import d_prime, in_sample, layer_navigator, left_out, separation


def sides(n=12, d_model=30, strength=1.5, seed=0):
    rng = np.random.default_rng(seed)
    positive, negative = rng.standard_normal((2, n, d_model)) * np.linspace(0.5, 3, d_model) + 10
    positive[:, 0] += strength
    return positive, negative


def of(positive, negative):
    return positive, negative, gram(positive - negative, float(np.abs(positive).max() + np.abs(negative).max()))


def test_left_out_d_prime_agrees_with_fitting_without_each_pair():
    positive, negative = sides()
    x, y = [], []
    for i in range(12):
        others = [np.delete(side, i, axis=0) for side in (positive, negative)]
        direction = (others[0] - others[1]).mean(axis=0)
        direction /= np.linalg.norm(direction)
        middle = np.concatenate(others).mean(axis=0)
        x.append((positive[i] - middle) @ direction)
        y.append((negative[i] - middle) @ direction)
    expected = (np.mean(x) - np.mean(y)) / np.sqrt((np.var(x) + np.var(y)) / 2)
    assert left_out(*of(positive, negative)).value == pytest.approx(expected, abs=1e-10)


def test_in_sample_d_prime_finds_a_difference_in_noise_and_the_left_out_one_does_not():
    found = [of(*sides(n=10, d_model=500, strength=0, seed=seed)) for seed in range(20)]
    assert np.mean([in_sample(*one).value for one in found]) > 3
    assert abs(np.mean([left_out(*one).value for one in found])) < 0.3


def test_layer_navigator_agrees_with_the_scatter_matrices():
    positive, negative = sides()
    rows = np.concatenate([positive, negative])
    for ddof in (0, 1):  # which of the two does not matter
        scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0, ddof=ddof)
        mean = (positive - negative).mean(axis=0)
        v = mean / np.linalg.norm(mean)
        within, between = np.zeros((30, 30)), np.zeros((30, 30))
        for side in (scaled[:12], scaled[12:]):
            centered = side - side.mean(axis=0)
            within += centered.T @ centered
            gap = side.mean(axis=0) - scaled.mean(axis=0)
            between += 12 * np.outer(gap, gap)
        d = v @ between @ v / (v @ (within + between) @ v)
        differences = scaled[:12] - scaled[12:]
        c = np.mean(differences @ v / np.linalg.norm(differences, axis=1))
        found = layer_navigator(*of(positive, negative))
        assert [one.value for one in found] == pytest.approx([d, c], abs=1e-10)


def test_a_dimension_that_never_varies_is_left_out_of_layer_navigator():
    positive, negative = sides()
    before = layer_navigator(*of(positive, negative))
    constant = [np.hstack([side, np.full((12, 1), 7.0)]) for side in (positive, negative)]
    assert [one.value for one in layer_navigator(*of(*constant))] == pytest.approx([one.value for one in before])


def test_swapping_the_sides_and_the_order_of_pairs_change_nothing():
    positive, negative = sides()
    order = np.random.default_rng(1).permutation(12)
    for statistic in (
        in_sample,
        left_out,
        lambda *one: layer_navigator(*one)[0],
        lambda *one: layer_navigator(*one)[1],
    ):
        before = statistic(*of(positive, negative)).value
        assert statistic(*of(negative, positive)).value == pytest.approx(before, abs=1e-10)
        assert statistic(*of(positive[order], negative[order])).value == pytest.approx(before, abs=1e-10)


@pytest.mark.parametrize(
    ("positive", "negative", "said"),
    [
        ([[1.0, 0.0]], [[0.0, 0.0]], "fewer than two pairs"),
        ([[2.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]], ""),  # antiparallel: each pair against the other
        ([[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]], "the projections of each side are equal"),
        ([[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [2.0, 0.0]], "without some pair the others cancel out"),
    ],
)
def test_edge_cases_of_the_left_out_distance(positive, negative, said):
    found = left_out(*of(np.array(positive), np.array(negative)))
    assert found.reason == said
    assert (found.value is None) == bool(said)


def test_no_mean_difference_leaves_the_rest_undefined():
    opposed = of(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros((2, 2)))
    assert in_sample(*opposed).reason == "the mean difference is zero"
    assert [one.value for one in layer_navigator(*opposed)] == [None, None]


def test_d_prime_by_hand():
    assert d_prime(np.array([2.0, 4.0]), np.array([-1.0, 1.0])).value == pytest.approx(3.0)  # deviations of 1


def test_the_planted_layer_is_picked(make_run, make_activations):
    result = separation(make_run(make_activations([0.0, 2.0, 12.0, 1.0], n=24)))
    assert np.argmax(result.scores["d_prime_loo"]) == 2
    assert np.argmax(result.scores["layer_navigator"]) == 2
    assert "farthest apart at layer 2" in result.finding
