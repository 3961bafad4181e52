import pytest

from interp_steer.errors import SteeringError
from interp_steer.records import Cell
from interp_steer.sweeps.grid import SweepSpec, confirmation_cells


def spec(**changes):
    return SweepSpec(**{"layers": (0, 3), "alphas": (0.2, -0.4), "random_alphas": (0.2,), **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": (3, 40)}, "layer 40 does not exist: 'tiny' has layers 0 to 3"),
        ({"layers": (-1,)}, "layer -1 does not exist"),
        ({"layers": ()}, "at least one layer and one alpha"),
        ({"alphas": ()}, "at least one layer and one alpha"),
        ({"alphas": (0.3, 0.0)}, "alpha 0 is out of range"),
        ({"random_alphas": (0.0,)}, "alpha 0 is out of range"),
        ({"alphas": (10.5,)}, "alpha 10.5 is out of range"),
        ({"alphas": (float("nan"),)}, "alpha nan is out of range"),
        ({"alphas": (float("-inf"),)}, "alpha -inf is out of range"),
        ({"alphas": (-0.2, -0.4)}, "every alpha is negative"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"samples": 2}, "2 samples at temperature 0 would be the same text"),
        ({"samples": 0}, "samples is 0"),
        ({"temperature": -1.0}, "temperature is -1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
    ],
)
def test_what_does_not_fit_is_named(changes, said):
    with pytest.raises(SteeringError, match=said):
        spec(**changes).check(4, "tiny")


@pytest.mark.parametrize("changes", [{}, {"samples": 2, "temperature": 0.7, "top_p": 0.9}, {"alphas": (-10.0, 10.0)}])
def test_what_fits_is_accepted(changes):
    spec(**changes).check(4, "tiny")


def test_the_grid_and_its_controls():
    assert [cell.key for cell in spec().dev_cells()] == [
        "unsteered",
        "prompted",
        "steered@0:+0.2",
        "steered@0:-0.4",
        "steered@3:+0.2",
        "steered@3:-0.4",
        "random@0:+0.2",
        "random@3:+0.2",
    ]


def test_the_best_cell_gets_three_controls():
    by_layer = [Cell(control="steered", layer=0, alpha=0.4), Cell(control="steered", layer=3, alpha=0.2)]
    cells = [cell.key for cell in confirmation_cells(by_layer, by_layer[0], n_pairs=2)]
    assert cells == [
        "unsteered",
        "prompted",
        "steered@0:+0.4",
        "steered@3:+0.2",
        "random@0:+0.4",
        "steered@0:-0.4",
        "sign_flipped@0:+0.4",
    ]
    assert [cell.key for cell in confirmation_cells(by_layer, by_layer[0], n_pairs=1)] == cells[:-1]
