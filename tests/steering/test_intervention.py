"""What may be added to a residual stream."""

import numpy as np
import pytest

from interp_steer.errors import SteeringError
from interp_steer.steering.intervention import Intervention, amount_like, check_operation, interventions

UNIT = np.array([0.6, 0.8])


@pytest.mark.parametrize("alpha", [float("nan"), float("inf")])
def test_alpha_is_a_finite_number(alpha):
    with pytest.raises(SteeringError, match=r"expected a finite number"):
        Intervention(layer=0, alpha=alpha, direction=UNIT)


@pytest.mark.parametrize("direction", [0 * UNIT, 2 * UNIT, np.nan * UNIT])
def test_the_direction_is_a_unit_vector(direction):
    with pytest.raises(SteeringError, match=r"layer 3 has norm .*; expected a unit vector"):
        Intervention(layer=3, alpha=0.1, direction=direction)


def test_each_layer_is_pushed_along_its_own_direction(tiny_llama, vectors_of):
    vectors = vectors_of(tiny_llama)
    made = interventions(vectors, (2, 0), -0.3)
    assert [(one.layer, one.alpha) for one in made] == [(2, -0.3), (0, -0.3)]
    assert np.array_equal(made[0].direction, vectors.direction[2])
    assert np.array_equal(made[1].direction, vectors.direction[0])
    with pytest.raises(SteeringError, match="layer 9 does not exist"):
        interventions(vectors, (9,), 0.3)


@pytest.mark.parametrize("alpha", [181.0, -200.0])
def test_a_rotation_is_at_most_half_a_turn(alpha):
    with pytest.raises(SteeringError, match="degrees between -180 and 180"):
        Intervention(layer=0, alpha=alpha, direction=UNIT, operation="rotate")


def test_an_unknown_operation_is_refused_by_name():
    with pytest.raises(SteeringError, match="operation 'turn' is not known; expected one of add, add_norm_preserving"):
        check_operation("turn")


def test_amounts_like_an_addition():
    assert amount_like("rotate", 1.0) == pytest.approx(45.0)
    assert amount_like("rotate", -(3**0.5)) == pytest.approx(-60.0)
    assert amount_like("project", 0.3) == 0.3
    with pytest.raises(SteeringError, match="'ablate' has no amount like adding"):
        amount_like("ablate", 0.3)
