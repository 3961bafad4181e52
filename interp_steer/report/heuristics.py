"""Every heuristic by layer, under what the sweep found there: one row each, on one scale.

The truth is the one that cells are chosen by: the combined score, here of each layer on test prompts at the alpha that
dev chose for it.
"""

from collections.abc import Mapping, Sequence

from interp_steer.findings import AnalysisResult, Figure, Number, Series
from interp_steer.report.content import Sweep
from interp_steer.report.curves import combined_by_layer

TRUTH = "sweep: combined score on test"


def heuristic_map(analyses: Sequence[AnalysisResult], sweep: Sweep | None) -> Figure | None:
    """Return the scores of all heuristics over layers, the sweep's own in the first row; None without either.

    Each row is scaled from its lowest value (0) to its highest (1), for heuristics have no unit in common. A heuristic
    picks the layer where its row is 1.
    """
    rows = {
        name.replace("_", " "): scores for result in analyses for name, scores in result.scores.items() if any(scores)
    }
    if not rows or sweep is None or sweep.depth is None:
        return None
    n = max(len(scores) for scores in rows.values())
    depth = dict(zip(sweep.depth.x, combined_by_layer(sweep.depth), strict=True))
    truth: Mapping[str, Sequence[Number]] = {TRUTH: [depth.get(layer) for layer in range(n)]}
    series = tuple(
        Series(name=name, y=_scaled(values))
        for name, values in {**truth, **{name: scores for name, scores in rows.items() if len(scores) == n}}.items()
    )
    return Figure(
        kind="heatmap",
        title="Each row from its lowest (0) to its highest (1); layers that were not swept are empty in the first",
        x_label="layer",
        y_label="scaled score",
        x=tuple(range(n)),
        series=series,
    )


def heuristic_finding(figure: Figure) -> str:
    """Return where the sweep peaks, and where each heuristic does."""
    truth, *others = figure.series
    (best, *_) = _peaks(figure, truth)
    parts = [f"{series.name} at {', '.join(map(str, _peaks(figure, series)[:3]))}" for series in others]
    return f"The combined score of the sweep, by which cells are chosen, peaks at layer {best}; {'; '.join(parts)}."


def _peaks(figure: Figure, series: Series) -> list[float | int | str]:
    found = [x for x, y in zip(figure.x, series.y, strict=True) if y == 1.0]
    return found or ["no layer"]


def _scaled(values: Sequence[Number]) -> tuple[Number, ...]:
    defined = [value for value in values if value is not None]
    low, high = min(defined, default=0.0), max(defined, default=0.0)
    if high == low:
        return tuple(None if value is None else 0.0 for value in values)
    return tuple(None if value is None else (value - low) / (high - low) for value in values)
