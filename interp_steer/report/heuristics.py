"""Every heuristic by layer, under what the sweep found there: one row each, on one scale.

The truth is the combined score of each layer on test prompts, at the alpha that dev chose for it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from interp_steer.findings import AnalysisResult, Figure, Number, Series
from interp_steer.report.content import Sweep
from interp_steer.report.curves import combined_by_layer
from interp_steer.report.phrases import count

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
    """Return where the sweep peaks on test prompts, and at which layers the heuristics do."""
    truth, *others = figure.series
    best = next(iter(_peaks(figure, truth)), None)
    if best is None:
        return "On test prompts the combined score is the same at every layer."
    peaks = [found for series in others if (found := _peaks(figure, series))]
    there = sum(best in found for found in peaks)
    places = [
        f"{layer} ({n} of them)" if n > 1 else f"{layer}"
        for layer, n in sorted(Counter(found[0] for found in peaks).items())
    ]
    peak = "peaks" if there < 2 else "peak"
    return (
        f"On test prompts the combined score peaks at layer {best}, of those swept; of "
        f"{count(len(peaks), 'heuristic')}, {there or 'none'} {peak} there. "
        f"Peaks over all layers: {', '.join(places)}."
    )


def _peaks(figure: Figure, series: Series) -> list[int]:
    return [int(x) for x, y in zip(figure.x, series.y, strict=True) if y == 1.0]


def _scaled(values: Sequence[Number]) -> tuple[Number, ...]:
    defined = [value for value in values if value is not None]
    low, high = min(defined, default=0.0), max(defined, default=0.0)
    if high == low:
        return tuple(None if value is None else 0.0 for value in values)
    return tuple(None if value is None else (value - low) / (high - low) for value in values)
