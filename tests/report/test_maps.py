import re
from itertools import pairwise

import pytest

from interp_steer.report.content import Grid
from interp_steer.report.maps import layer_labels, map_data, shades, unscored
from interp_steer.report.strengths import STRENGTHS

GRID = Grid(
    score="behavior", finding="f", layers=(3, 5, 8), alphas=(-0.1, 0.2), values=((0.5, None, None), (0.25, 1.0, 0.5)),
    low=((0.25, None, None), (0.12345, 0.5, 0.4)), high=((0.75, None, None), (0.5, 1.0, 0.6)),
    n=((6, 0, 4), (6, 6, 6)), keys=(("a", "b", "c"), ("d", "e", "f")),
)  # fmt: skip


def squares(path):
    return set(re.findall(r"M(\d+ \d+)h1v1h-1z", path))


def test_each_scored_cell_is_one_square_of_its_color_and_the_strongest_alpha_is_on_top():
    drawn = {color: squares(path) for color, path in shades(GRID)}
    assert drawn == {
        "color-mix(in srgb, var(--heat-1), var(--heat-2) 0%)": {"0 0"},
        "color-mix(in srgb, var(--heat-2), var(--heat-3) 0%)": {"0 1", "2 0"},
        "color-mix(in srgb, var(--heat-3), var(--heat-4) 100%)": {"1 0"},
    }


def test_a_cell_without_a_score_is_told_from_one_that_was_not_swept():
    assert squares(unscored(GRID)) == {"2 1"}


@pytest.mark.parametrize("n", [1, 7, 30, 32, 64, 100])
def test_labels_of_layers_have_room(n):
    labels = layer_labels(range(n))
    assert len(labels) == n
    wide = [label for label, _ in labels if label]
    narrow = [label for label, kind in labels if label and kind != "wide"]
    assert wide[0] == narrow[0] == "0"
    assert len(wide) <= 36
    assert len(narrow) <= 9
    steps = {int(b) - int(a) for a, b in pairwise(narrow)}
    assert len(steps) <= 1


def test_alphas_bear_the_unit_of_their_operation():
    assert map_data([GRID], STRENGTHS["add"])["alphas"] == ["−0.1", "0.2"]
    assert map_data([GRID], STRENGTHS["rotate"])["alphas"] == ["−0.1°", "0.2°"]
    data = map_data([GRID], STRENGTHS["add"])
    assert data["scores"]["behavior"]["low"] == [[0.25, None, None], [0.123, 0.5, 0.4]]
    assert (data["keys"][1][0], data["n"][0][1]) == ("d", 0)
