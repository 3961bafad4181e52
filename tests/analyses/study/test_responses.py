from analyses.study.responses import Point, dose_figure
from interp_steer.stats import Interval
from interp_steer.sweeps.doses import Dose


def point(alpha: float, kl: float, change: float) -> Point:
    return Point(
        dose=Dose(layer=1, alpha=alpha, median=kl / 2, p95=kl),
        positions=96,
        natural=2 * alpha,
        change=Interval(mean=change, low=change - 1, high=change + 1, n=12),
    )


def test_a_curve_starts_at_nothing_however_small_its_doses_are():
    curves = {"faint": [point(-0.1, 0.5, -2.0), point(0.1, 0.0021, 1.0), point(0.2, 0.0042, 3.0)]}
    figure = dose_figure(curves, "KL", "over the KL", lambda one: one.dose.p95 if one.dose.alpha > 0 else None)
    assert figure.x == (0.0, 0.0021, 0.0042)
    assert figure.series[0].y == (0.0, 1.0, 3.0)


def test_behaviors_share_an_axis_and_each_line_runs_on_over_the_others_doses():
    curves = {"one": [point(0.1, 1.0, 1.0)], "other": [point(0.3, 4.0, 2.0)]}
    figure = dose_figure(curves, "Natural doses", "over alpha", lambda one: one.natural)
    assert figure.x == (0.0, 0.2, 0.6)
    assert [series.y for series in figure.series] == [(0.0, 1.0, None), (0.0, None, 2.0)]
    assert all(series.joined for series in figure.series)
