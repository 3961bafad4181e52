"""Differences to directions: what each method recovers, and which way it points."""

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.errors import VectorError
from interp_steer.terms import METHODS
from interp_steer.vectors.fit import fit
from interp_steer.vectors.mean_difference import mean_difference
from interp_steer.vectors.pca import pca, pca_centered

AGGREGATES = [mean_difference, pca, pca_centered]


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def random_sides(seed, layers=2, pairs=7, width=16):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, layers, pairs, width)) + np.array([0.5, 0.0])[:, None, None, None]


@pytest.mark.parametrize("aggregate", [mean_difference, pca])
def test_a_planted_direction_is_recovered(aggregate, planted):
    differences, direction, nuisance = planted
    vector = aggregate(differences)
    assert cosine(vector, direction) > 0.99
    assert abs(cosine(vector, nuisance)) < 0.05
    assert np.linalg.norm(vector) == pytest.approx(2, rel=0.01)


def test_centering_removes_the_planted_direction(planted):
    differences, direction, nuisance = planted
    vector = pca_centered(differences)
    assert abs(cosine(vector, direction)) < 0.05
    assert abs(cosine(vector, nuisance)) > 0.99


@pytest.mark.parametrize("method", METHODS)
def test_swapping_the_sides_flips_the_sign(method, activations):
    positive, negative = random_sides(1)
    forward, backward = (
        fit(activations(positive, negative), method=method),
        fit(activations(negative, positive), method=method),
    )
    np.testing.assert_allclose(backward.direction, -forward.direction, atol=1e-6)
    np.testing.assert_allclose(backward.norm, forward.norm, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=20)
def test_directions_are_unit_vectors_and_norms_scale(activations, method, seed, scale):
    positive, negative = random_sides(seed)
    one, scaled = (
        fit(activations(positive, negative), method=method),
        fit(activations(scale * positive, scale * negative), method=method),
    )
    np.testing.assert_allclose(np.linalg.norm(one.direction, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.abs((one.direction * scaled.direction).sum(axis=1)), 1, atol=1e-4)
    np.testing.assert_allclose(scaled.norm, scale * one.norm, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_pairs_changes_nothing(method, activations):
    positive, negative = random_sides(2)
    one = fit(activations(positive, negative), method=method)
    other = fit(activations(positive[:, ::-1], negative[:, ::-1]), method=method)
    np.testing.assert_allclose(other.direction, one.direction, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_rotation_of_the_space_rotates_the_vector(method, activations):
    positive, negative = random_sides(3)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0]
    one = fit(activations(positive, negative), method=method)
    turned = fit(activations(positive @ rotation, negative @ rotation), method=method)
    np.testing.assert_allclose(turned.direction, one.direction @ rotation, atol=1e-5)


def test_the_mean_by_hand(activations):
    vectors = fit(activations([[[3.0, 0.0], [3.0, 8.0]]], [[[0.0, 0.0], [0.0, 0.0]]]))
    np.testing.assert_allclose(vectors.direction, [[0.6, 0.8]], atol=1e-6)
    np.testing.assert_allclose(vectors.norm, [5.0])
    np.testing.assert_allclose(vectors.activation_norm, [10.0])
    np.testing.assert_allclose(vectors.magnitude_ratio, [0.5])
    assert (vectors.card.method, vectors.card.n_pairs) == ("mean_difference", 2)


def test_pca_by_hand():
    # Second moment diag(5, 0): the axis is the first, the mean projection on it (3 + 1) / 2.
    np.testing.assert_allclose(pca(np.array([[3.0, 0.0], [1.0, 0.0]])), [2.0, 0.0])
    # About their mean (2, 0.5) they differ along (1, 0.5) only, and the mean points along it.
    axis = np.array([2.0, 1.0]) / np.sqrt(5)
    found = pca_centered(np.array([[3.0, 1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(found, axis * (np.array([2.0, 0.5]) @ axis))


@pytest.mark.parametrize("aggregate", [mean_difference, pca])
def test_one_pair_is_its_own_vector(aggregate):
    difference = np.array([[1.0, -2.0, 2.0]])
    np.testing.assert_allclose(aggregate(difference), difference[0])


@pytest.mark.parametrize("differences", [np.ones((1, 4)), np.ones((5, 4)), np.zeros((3, 4))])
def test_without_variance_there_is_no_centered_component(differences):
    assert not pca_centered(differences).any()


def test_antiparallel_pairs_have_an_axis_but_no_mean(activations):
    differences = np.array([[0.0, 2.0], [0.0, -2.0]])
    assert not mean_difference(differences).any()
    for aggregate in (pca, pca_centered):
        vector = aggregate(differences)
        assert vector[0] == 0
        assert vector[1] > 0, "a tie points along the largest coordinate"
        assert np.linalg.norm(vector) > 0
    vectors = fit(activations(differences[None], np.zeros((1, 2, 2))), method="pca")
    np.testing.assert_allclose(vectors.direction, [[0.0, 1.0]])


def test_where_the_mean_says_nothing_the_majority_points():
    differences = np.array([[1.0, 0.0], [1.0, 0.0], [-2.0, 0.0]])
    assert pca(differences)[0] > 0
    assert pca(-differences)[0] < 0


@pytest.mark.parametrize("method", METHODS)
def test_sides_that_do_not_differ_give_no_vector(method, activations):
    same = np.ones((2, 3, 16))
    with pytest.raises(VectorError, match=f"the {method} vector of 'test' is zero at every layer"):
        fit(activations(same, same), method=method)


def test_one_zero_layer_keeps_a_zero_row(activations):
    positive, negative = random_sides(4)
    positive[0] = negative[0]
    vectors = fit(activations(positive, negative))
    assert not vectors.direction[0].any()
    assert vectors.norm[0] == 0
    assert vectors.direction[1].any()


def test_an_unknown_method_is_refused(activations):
    positive, negative = random_sides(5)
    with pytest.raises(
        VectorError, match="method 'mode' is not known; expected one of mean_difference, pca, pca_centered"
    ):
        inspect.unwrap(fit)(activations(positive, negative), method="mode")  # past the annotations


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_fitting_leaves_the_differences_alone(aggregate, planted):
    differences = planted[0].copy()
    aggregate(differences)
    assert np.array_equal(differences, planted[0])


def test_vectors_do_not_depend_on_where_both_sides_lie(activations):
    positive, negative = random_sides(6)
    base = 100 * np.random.default_rng(1).standard_normal((2, 7, 16))
    one, moved = fit(activations(positive, negative)), fit(activations(positive + base, negative + base))
    np.testing.assert_allclose(moved.direction, one.direction, atol=1e-4)


def test_the_card_carries_the_card_of_the_activations(activations, model_card):
    positive, negative = random_sides(7)
    made = activations(positive, negative)
    card = fit(made, method="pca").card
    assert card.activations == made.card
    assert card.activations.model == model_card
    assert (card.method, card.n_pairs, card.sign_convention) == ("pca", 7, "from negative to positive")
    assert dataclasses.replace(card, method="pca_centered") != card
