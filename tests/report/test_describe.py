import pytest

from interp_steer.findings import Figure, Series
from interp_steer.report.describe import figure_finding


def figure(*series, **changes):
    given = {"kind": "lines", "title": "t", "x_label": "Layer", "y_label": "Cosine (0 to 1)", "x": (0, 1, 2)}
    return Figure(**{**given, **changes}, series=series)


def test_one_curve_is_told_by_its_highest_and_lowest_point():
    found = figure_finding(figure(Series(name="a", y=(0.2, None, 0.7))))
    assert found == "Cosine is highest at layer 2 (0.70), lowest at layer 0 (0.20)."


def test_a_reference_is_not_the_finding():
    grey = Series(name="null", y=(9, 9, 9), role="reference")
    found = figure_finding(figure(Series(name="a", y=(1, 2, 3)), Series(name="PC 2", y=(5, 5, 5), role="other"), grey))
    assert found == "A is highest at layer 2 (3), lowest at layer 0 (1); PC 2 is 5 throughout."


def test_named_bars_are_told_by_name_and_alphas_without_zeros():
    found = figure_finding(figure(Series(name="a", y=(1.5, 0.0, 1.0)), kind="bars", x=("one", "two", "three")))
    assert found == "Cosine is highest at “one” (1.50), lowest at “two” (0.00)."
    found = figure_finding(figure(Series(name="a", y=(1, 0, 1)), x=(0.0, 0.25, 0.3), x_label="alpha (0 is unsteered)"))
    assert found == "Cosine is highest at alpha 0 (1), lowest at alpha 0.25 (0)."


def test_a_unit_stays_on_the_axis_and_many_things_are_counted():
    given = figure(Series(name="a", y=(1, 2, 3)), y_label="d', in sd of a side", x_label="Pairs", x=(2, 4, 72))
    assert figure_finding(given) == "d' is highest at 72 pairs (3), lowest at 2 pairs (1)."


def test_a_curve_beside_its_reference_is_named():
    series = (Series(name="mean difference", y=(1, 2, 3)), Series(name="null", y=(9, 9, 9), role="reference"))
    found = figure_finding(figure(*series, y_label="L2 norm, residual-stream units"))
    assert found == "L2 norm (mean difference) is highest at layer 2 (3), lowest at layer 0 (1)."


def test_a_heat_map_is_told_by_row_and_position():
    rows = (Series(name="PC1", y=(0.1, 0.9, None)), Series(name="PC2", y=(0.2, 0.05, 0.3)))
    assert figure_finding(figure(*rows, kind="heatmap")) == (
        "Cosine is highest at layer 1, PC1 (0.90) and lowest at layer 1, PC2 (0.05)."
    )


@pytest.mark.parametrize("kind", ["lines", "bars", "heatmap"])
def test_what_is_undefined_is_said_to_be(kind):
    assert figure_finding(figure(Series(name="a", y=(None,) * 3), kind=kind)) == "Cosine is undefined throughout."


def test_many_curves_are_not_all_told():
    curves = [Series(name=f"c{i}", y=(1, 2, 3), role="other") for i in range(5)]
    assert figure_finding(figure(*curves)).endswith("2 more curves are in the table.")
