import json
import re

import pytest

from interp_steer.findings import Figure, Mark, Series
from interp_steer.report.figures import figure_json
from interp_steer.report.render import template_text


def lines(**changes) -> Figure:
    given = {
        "kind": "lines",
        "title": "t",
        "x_label": "layer",
        "y_label": "score",
        "x": (0, 1, 2, 3),
        "series": (Series(name="a", y=(1, 2, 3, 4)),),
    }
    return Figure(**{**given, **changes})


def drawn(figure: Figure) -> dict:
    return json.loads(figure_json(figure))


def test_a_gap_in_the_interval_is_a_gap_in_the_band():
    series = Series(name="a", y=(1, 2, 3, 4), low=(0, None, 2, 3), high=(2, None, 4, 5))
    *bands, line = drawn(lines(series=(series,)))["data"]
    assert [(band["x"], band["y"]) for band in bands] == [([0, 0], [0, 2]), ([2, 3, 3, 2], [2, 3, 5, 4])]
    # The point at 0 stands alone, so its band has no width: it gets an error bar instead.
    assert line["error_y"]["array"] == [1, None, None, None]
    assert line["error_y"]["arrayminus"] == [1, None, None, None]
    assert line["y"] == [1, 2, 3, 4]


def test_an_undefined_value_stays_undefined():
    (line,) = drawn(lines(series=(Series(name="a", y=(1, None, 3, 4)),)))["data"]
    assert line["y"] == [1, None, 3, 4]
    assert line["hovertext"][1] == "–"
    assert not line["connectgaps"]


def test_a_reference_is_grey_and_takes_no_color_from_the_others():
    series = tuple(Series(name=role, y=(1, 2, 3, 4), role=role) for role in ("main", "reference", "other"))
    colors = [trace["line"]["color"] for trace in drawn(lines(series=series))["data"]]
    assert colors == ["var(--series-1)", "var(--reference)", "var(--series-2)"]


def test_more_series_than_colors_differ_in_dash():
    traces = drawn(lines(series=tuple(Series(name=str(i), y=(1, 2, 3, 4)) for i in range(10))))["data"]
    looks = {(trace["line"]["color"], trace["line"]["dash"]) for trace in traces}
    assert len(looks) == 10


def test_marks_are_lines_and_shaded_positions_rectangles_around_them():
    layout = drawn(lines(marks=(Mark(x=2.0, label="best"),), shaded=(1, 3)))["layout"]
    shapes = sorted((shape["type"], shape["x0"], shape["x1"]) for shape in layout["shapes"])
    assert shapes == [("line", 2, 2), ("rect", 0.5, 1.5), ("rect", 2.5, 3.5)]
    assert [note["text"] for note in layout["annotations"]] == ["best"]


def test_a_constant_reference_of_bars_is_one_line():
    bars = Series(name="regret", y=(0.5, 1.5))
    level = Series(name="random layer", y=(1.0, 1.0), role="reference")
    for x, axis in ((("one", "two"), "x0"), ((1, 2), "y0")):
        figure = drawn(lines(kind="bars", x=x, series=(bars, level)))
        assert [trace["name"] for trace in figure["data"]] == ["regret"]
        assert [shape[axis] for shape in figure["layout"]["shapes"]] == [1.0]
        assert [note["text"] for note in figure["layout"]["annotations"]] == ["random layer"]


def test_lines_over_named_bars_neither_widen_the_axis_nor_write_over_each_other():
    bars = Series(name="regret", y=(0.5, 2.0), low=(-0.1, 1.0), high=(1.0, 2.5))
    levels = [Series(name=name, y=(at, at), role="reference") for name, at in (("random layer", 1.0), ("asked", 1.4))]
    layout = drawn(lines(kind="bars", x=("one", "two"), series=(bars, *levels)))["layout"]
    low, high = layout["xaxis"]["range"]
    assert -0.5 < low < -0.1
    assert 2.5 < high < 3.0
    assert len({note["yshift"] for note in layout["annotations"]}) == 2


def test_named_bars_lie_so_that_names_can_be_read():
    series = Series(name="a", y=(0.5, None), low=(0.25, None), high=(1.0, None))
    (bar,) = drawn(lines(kind="bars", x=("one", "two"), series=(series,)))["data"]
    assert (bar["orientation"], bar["x"], bar["y"]) == ("h", [0.5, None], ["one", "two"])
    assert (bar["error_x"]["array"], bar["error_x"]["arrayminus"]) == ([0.5, None], [0.25, None])


@pytest.mark.parametrize(("values", "name"), [((-1, 0, 1, 1), "diverging"), ((0, 0, 1, 1), "heat")])
def test_a_heat_map_diverges_only_around_zero(values, name):
    (heat,) = drawn(lines(kind="heatmap", series=(Series(name="a", y=values),)))["data"]
    assert [color for _, color in heat["colorscale"]] == [f"var(--{name}-{step})" for step in range(5)]
    assert heat.get("zmid") == (0 if name == "diverging" else None)


def test_every_color_variable_is_defined_by_the_stylesheet():
    series = Series(name="a", y=(-1, 2, 3, 4), low=(0, 1, 2, 3), high=(2, 3, 4, 5))
    reference = Series(name="r", y=(1, 2, 3, 4), low=(0, 1, 2, 3), high=(2, 3, 4, 5), role="reference")
    figures = [
        lines(series=(series,) * 5 + (reference,), marks=(Mark(x=1.0, label="m"),), shaded=(1,)),
        lines(kind="heatmap"),
        lines(kind="heatmap", series=(series,)),
    ]
    used = {name for figure in figures for name in re.findall(r"var\((--[\w-]+)\)", figure_json(figure))}
    assert used <= set(re.findall(r"^\s*(--[\w-]+):", template_text("style.css"), flags=re.MULTILINE))
