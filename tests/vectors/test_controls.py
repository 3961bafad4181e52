"""Directions that should not steer: same norm, repeatable, no label in them."""

import numpy as np
import pytest

from interp_steer.vectors.controls import random_direction, sign_flipped_direction
from interp_steer.vectors.mean_difference import mean_difference


def test_controls_have_the_norm_of_a_direction(planted):
    assert np.linalg.norm(random_direction(64, layer=3)) == pytest.approx(1)
    assert np.linalg.norm(sign_flipped_direction(planted[0], layer=3)) == pytest.approx(1)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_layer_and_a_seed_give_one_direction(planted, seed):
    assert np.array_equal(random_direction(64, layer=3, seed=seed), random_direction(64, layer=3, seed=seed))
    flipped = sign_flipped_direction(planted[0], layer=3, seed=seed)
    assert np.array_equal(flipped, sign_flipped_direction(planted[0], layer=3, seed=seed))


def test_other_layers_and_seeds_give_other_directions(planted):
    randoms = [random_direction(64, layer=layer, seed=seed) for layer in range(4) for seed in range(4)]
    flipped = [sign_flipped_direction(planted[0], layer=layer, seed=seed) for layer in range(4) for seed in range(4)]
    for directions in (randoms, flipped):
        overlaps = np.abs(np.triu(np.array(directions) @ np.array(directions).T, 1))
        assert overlaps.max() < 0.999


def test_random_directions_are_isotropic():
    sample = np.array([random_direction(64, layer=0, seed=seed) for seed in range(2000)])
    np.testing.assert_allclose(sample.mean(axis=0), 0, atol=0.015)
    np.testing.assert_allclose(sample.T @ sample / 2000, np.eye(64) / 64, atol=0.004)


def test_random_directions_hold_next_to_nothing_of_the_steering_vector(planted):
    overlaps = [random_direction(64, layer=layer) @ planted[1] for layer in range(30)]
    assert np.abs(overlaps).max() < 0.5
    assert np.sqrt(np.mean(np.square(overlaps))) == pytest.approx(1 / 8, rel=0.5)


def test_sign_flipped_lies_in_the_span_of_the_differences(planted):
    differences = planted[0]
    basis = np.linalg.qr(differences.T)[0]
    flipped = sign_flipped_direction(differences, layer=0)
    np.testing.assert_allclose(basis @ (basis.T @ flipped), flipped, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_sign_flipped_has_lost_the_shared_direction(planted, seed):
    differences, direction, _ = planted
    assert abs(sign_flipped_direction(differences, layer=5, seed=seed) @ direction) < 0.2
    mean = mean_difference(differences)
    assert mean @ direction / np.linalg.norm(mean) > 0.99


@pytest.mark.parametrize("n", [2, 3, 10, 11])
def test_half_of_the_pairs_swap_sides(n):
    """With one axis per pair, the coordinates of the control are the signs."""
    flipped = sign_flipped_direction(np.eye(n), layer=0)
    np.testing.assert_allclose(np.abs(flipped), 1 / np.sqrt(n))
    assert (flipped < 0).sum() == n // 2


def test_differences_that_cancel_give_zero():
    assert not sign_flipped_direction(np.ones((4, 3)), layer=0).any()
