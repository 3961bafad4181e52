"""How a push is spread over depth: weights of equal length, each layer its own direction."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.errors import SteeringError
from interp_steer.sweeps.schedules import gaussian, single, top


def length(schedule):
    return math.sqrt(sum(weight**2 for weight in schedule.weights.values()))


@given(k=st.integers(1, 6))
def test_the_first_layers_of_a_ranking_share_the_push(k):
    schedule = top([7, 3, 9, 1, 4, 8], k)
    assert set(schedule.weights) == set([7, 3, 9, 1, 4, 8][:k])
    assert set(schedule.weights.values()) == {1 / math.sqrt(k)}
    assert length(schedule) == pytest.approx(1)


@given(center=st.floats(0, 29), width=st.floats(0.3, 8))
def test_a_gaussian_has_its_shape_and_the_same_length(center, width):
    schedule = gaussian(range(30), center, width)
    layers = sorted(schedule.weights)
    assert length(schedule) == pytest.approx(1)
    assert layers == list(range(layers[0], layers[-1] + 1))
    nearest = min(range(30), key=lambda layer: abs(layer - center))
    assert schedule.weights[nearest] == max(schedule.weights.values())
    for one, other in itertools.pairwise(layers):
        ratio = math.exp(((one - center) ** 2 - (other - center) ** 2) / (2 * width**2))
        assert schedule.weights[other] / schedule.weights[one] == pytest.approx(ratio)


def test_every_layer_goes_its_own_way_by_its_part_of_the_scale(tiny_llama, random_vectors):
    vectors = random_vectors(tiny_llama)
    found = top([2, 0], 2).interventions(vectors, 0.6)
    assert [one.layer for one in found] == [0, 2]
    for one in found:
        assert one.alpha == pytest.approx(0.6 / math.sqrt(2))
        assert np.array_equal(one.direction, vectors.at(one.layer))
    (turned,) = single(1, "rotate").interventions(vectors, 1.0)
    assert (turned.operation, turned.alpha) == ("rotate", pytest.approx(45.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: top([1, 2], 3), "top-3 needs 3 layers"),
        (lambda: gaussian([1, 2], 1, 0.0), "a width above 0; got width 0"),
        (lambda: gaussian([], 1, 1.0), "needs layers"),
    ],
)
def test_what_cannot_be_spread_is_refused(make, message):
    with pytest.raises(SteeringError, match=message):
        make()
