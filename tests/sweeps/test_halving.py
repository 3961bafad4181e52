"""Halving keeps the cells that a whole propensity grid would have put first."""

import numpy as np
import pytest

from interp_steer.errors import SteeringError
from interp_steer.pairs import read_pairs
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.halving import halve
from interp_steer.sweeps.margins import PropensitySpec
from interp_steer.sweeps.propensity import propensity

ALPHAS = (0.05, 0.1, 0.2, 0.4, 0.8)


@pytest.fixture(scope="module")
def vectors(random_vectors, tiny_qwen):
    return random_vectors(tiny_qwen)


@pytest.fixture(scope="module")
def pairs():
    return read_pairs("concise", "dev")[:3]


@pytest.fixture(scope="module")
def spec():
    return SweepSpec(layers=tuple(range(8)), alphas=(-0.3, *ALPHAS), random_alphas=(0.2,), strategy="halving")


@pytest.fixture(scope="module")
def halving(tiny_qwen, vectors, pairs, spec):
    return halve(tiny_qwen, vectors, pairs, spec)


def test_rounds_ask_fewer_layers_at_more_strengths(halving, spec):
    assert [(len(one.layers), one.alphas) for one in halving.rounds] == [(8, (0.2,)), (5, (0.05, 0.2, 0.8))]
    assert set(halving.rounds[1].layers) < set(spec.layers)
    assert halving.spec == spec


def test_each_round_is_a_propensity_grid_and_keeps_its_best(halving, tiny_qwen, vectors, pairs, spec):
    asked = PropensitySpec(layers=spec.layers, alphas=ALPHAS)
    change = propensity(tiny_qwen, vectors, pairs, asked).mean_change()
    first = change[:, ALPHAS.index(0.2)]
    np.testing.assert_allclose(np.array(halving.rounds[0].changes)[:, 0], first, atol=1e-4)
    assert set(halving.rounds[1].layers) == set(np.argsort(-first)[:5].tolist())
    for row, layer in enumerate(halving.rounds[1].layers):
        np.testing.assert_allclose(halving.rounds[1].changes[row], change[layer][[0, 2, 4]], atol=1e-4)
        assert [cell.alpha for cell in halving.cells if cell.layer == layer] == [0.05, 0.2, 0.8]


def test_every_cell_is_of_the_grid_and_controls_go_with_it(halving, spec):
    assert {(cell.layer, cell.alpha) for cell in halving.cells} <= {(la, al) for la in spec.layers for al in ALPHAS}
    assert len(halving.cells) == 15
    cells = spec.dev_cells(halving.cells)
    assert cells[2:17] == list(halving.cells)
    assert [cell.control for cell in (*cells[:2], *cells[17:])] == ["unsteered", "prompted", *["random"] * 5]
    assert {cell.layer for cell in cells[17:]} == {cell.layer for cell in halving.cells}


def test_a_small_grid_stays_whole(tiny_qwen, vectors, pairs):
    small = SweepSpec(layers=(2, 4), alphas=(0.1, 0.3), strategy="halving")
    cells = halve(tiny_qwen, vectors, pairs, small).cells
    assert [(cell.layer, cell.alpha) for cell in cells] == [(2, 0.1), (2, 0.3), (4, 0.1), (4, 0.3)]


def test_a_grid_that_does_not_fit_is_refused(tiny_qwen, vectors, pairs):
    with pytest.raises(SteeringError, match="layer 9 does not exist"):
        halve(tiny_qwen, vectors, pairs, SweepSpec(layers=(9,), alphas=(0.1,)))
