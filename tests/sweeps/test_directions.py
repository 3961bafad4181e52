from dataclasses import replace

import numpy as np
import pytest

from interp_steer.activations.artifact import read_activations
from interp_steer.errors import SteeringError
from interp_steer.records import Cell
from interp_steer.sweeps.directions import cell_interventions
from interp_steer.vectors.vector import read_vectors


@pytest.fixture
def push(run):
    """Function from a cell to what it adds."""
    vectors, activations = read_vectors(run.vectors_path), read_activations(run.activations_path)
    return lambda cell, seed=0: cell_interventions(cell, vectors, activations, seed)


@pytest.mark.parametrize("control", ["unsteered", "prompted"])
def test_nothing_is_added_without_a_layer(control, push):
    assert push(Cell(control=control)) == ()


def test_steered_is_the_vector_itself(push, run):
    (one,) = push(Cell(control="steered", layer=2, alpha=-0.3))
    assert (one.layer, one.alpha) == (2, -0.3)
    assert np.array_equal(one.direction, read_vectors(run.vectors_path).at(2))


@pytest.mark.parametrize("control", ["steered", "random", "sign_flipped"])
def test_every_direction_is_a_unit_vector_and_that_of_its_seed_and_layer(control, push):
    cell, elsewhere = (Cell(control=control, layer=layer, alpha=0.3) for layer in (2, 1))
    first, again, other, moved = (
        push(one, seed)[0].direction for one, seed in ((cell, 0), (cell, 0), (cell, 1), (elsewhere, 0))
    )
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (control == "steered")
    assert abs(first @ moved) < 0.5


def test_controls_point_elsewhere(push):
    steered, random, flipped = (
        push(Cell(control=control, layer=2, alpha=0.3))[0].direction
        for control in ("steered", "random", "sign_flipped")
    )
    assert abs(steered @ random) < 0.5
    assert abs(steered @ flipped) < 0.7
    assert abs(random @ flipped) < 0.5


def test_flips_that_cancel_add_nothing(run):
    vectors, activations = read_vectors(run.vectors_path), read_activations(run.activations_path)
    of_each = ("positive", "negative", "positive_norms", "negative_norms")
    of_all = ("positive_tokens", "negative_tokens")
    alone = replace(
        activations,
        **{name: getattr(activations, name)[:, :1] for name in of_each},
        **{name: getattr(activations, name)[:1] for name in of_all},
    )
    assert cell_interventions(Cell(control="sign_flipped", layer=2, alpha=0.3), vectors, alone, 0) == ()


def test_several_layers_are_pushed_along_their_own_directions(push):
    both = push(Cell(control="steered", layer=1, alpha=0.3, more_layers=(3,)))
    alone = [push(Cell(control="steered", layer=layer, alpha=0.3))[0] for layer in (1, 3)]
    assert [(one.layer, one.alpha) for one in both] == [(1, 0.3), (3, 0.3)]
    assert all(np.array_equal(one.direction, other.direction) for one, other in zip(both, alone, strict=True))


def test_sign_flipped_needs_activations(run):
    vectors = read_vectors(run.vectors_path)
    with pytest.raises(SteeringError, match="needs the activations"):
        cell_interventions(Cell(control="sign_flipped", layer=2, alpha=0.3), vectors, None, 0)


def test_a_layer_that_does_not_exist_is_refused(push):
    with pytest.raises(SteeringError, match="layer 4 does not exist: 'tiny-llama' has layers 0 to 3"):
        push(Cell(control="random", layer=4, alpha=0.3))
