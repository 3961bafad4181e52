import pytest

from interp_steer.findings import Figure, Mark, Series
from interp_steer.outcomes import UNSTEERED, read_outcomes
from interp_steer.records import Cell
from interp_steer.report.curves import depth_finding
from interp_steer.report.drawings import curve_dots, curve_path
from interp_steer.report.heuristics import heuristic_finding


def test_every_layer_has_its_curves(finished_run, report):
    outcomes = read_outcomes(finished_run)
    curves = report.sweep.by_layer
    assert curves.alphas == (0.0, 0.15, 0.3, 0.45)
    assert [panel.layer for panel in curves.panels] == list(range(30))
    panel = curves.panels[14]
    assert panel.behavior[0] == outcomes.outcome("dev", UNSTEERED).behavior
    assert panel.coherence[3] == outcomes.outcome("dev", Cell(control="steered", layer=14, alpha=0.45)).coherence
    assert panel.best == 2


def test_layers_count_only_where_both_scores_reach_a_half(report):
    curves = report.sweep.by_layer
    usable = [
        panel.layer
        for panel in curves.panels
        if any(min(b, c) >= 0.5 for b, c in zip(panel.behavior, panel.coherence, strict=True))
    ]
    assert 14 in usable
    assert 0 not in usable
    assert f"layers {usable[0]}–" in curves.finding
    assert str(usable[-1]) in curves.finding


def test_a_curve_fills_its_panel_and_breaks_at_gaps():
    assert curve_path((0.0, 0.5, 1.0), (0.0, 1.0, 0.5)) == "M4.0 56.0L50.0 4.0L96.0 30.0"
    assert curve_path((0.0, 0.5, 1.0), (0.0, None, 0.5)) == "M4.0 56.0M96.0 30.0"
    assert curve_dots((0.0, 0.5, 1.0), (0.0, None, 0.5)) == [(4.0, 56.0), (96.0, 30.0)]


def test_the_map_of_heuristics_puts_the_sweep_first_and_each_row_on_one_scale(report):
    figure = report.heuristics
    assert [series.name for series in figure.series] == ["sweep: combined score on test", "magnitude ratio"]
    for series in figure.series:
        defined = [value for value in series.y if value is not None]
        assert (min(defined), max(defined)) == pytest.approx((0.0, 1.0))
    assert figure.series[1].y[29] == 1.0  # the ratio grows with depth
    combined = next(series.y for series in report.sweep.depth.series if series.name == "combined")
    assert figure.series[0].y.index(1.0) == combined.index(max(combined))
    found = heuristic_finding(figure)
    assert found.startswith(f"On test prompts the combined score peaks at layer {combined.index(max(combined))}, of")
    assert found.endswith("of 1 heuristic, none peaks there. Peaks over all layers: 29.")


def test_heuristics_that_peak_at_one_layer_are_counted():
    rows = (("sweep", (0.2, 1.0, None)), ("a", (0.0, 1.0, 1.0)), ("b", (0.0, 0.0, 1.0)), ("c", (0.0, 0.5, 1.0)))
    figure = Figure(
        kind="heatmap",
        title="t",
        x_label="layer",
        y_label="s",
        x=(0, 1, 2),
        series=tuple(Series(name=n, y=y) for n, y in rows),
    )
    assert heuristic_finding(figure) == (
        "On test prompts the combined score peaks at layer 1, of those swept; of 3 heuristics, 1 peaks there. "
        "Peaks over all layers: 1, 2 (2 of them)."
    )


def test_depth_tells_the_peak_beside_the_layer_that_dev_chose():
    def depth(y, chosen):
        combined = Series(name="combined", y=y, low=(0.1, 0.6, 0.5), high=(0.3, 0.9, 0.8))
        return Figure(
            kind="lines", title="t", x_label="layer", y_label="s", x=(2, 10, 14), series=(combined,),
            marks=(Mark(x=chosen, label="chosen"),),
        )  # fmt: skip

    assert depth_finding(depth((0.2, 0.8, 0.7), 14.0)) == (
        "On held-out prompts the combined score peaks at layer 10 with 0.80 [0.60, 0.90]; "
        "layer 14, which dev chose, has 0.70 [0.50, 0.80]; the median layer reaches 0.70"
    )
    assert depth_finding(depth((0.2, 0.8, None), 10.0)) == (
        "On held-out prompts the combined score peaks at layer 10 with 0.80 [0.60, 0.90], the one that dev chose; "
        "the median layer reaches 0.50"
    )
