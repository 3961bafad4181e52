"""Whole rankings and shortlists of a contest, selector by selector: every metric with its interval over behaviors."""

from collections.abc import Mapping
from typing import Any

from analyses.measure import interval_cells, with_ends
from analyses.study import ranking
from analyses.study.contest import Contest, Metric
from analyses.study.nulls import good_layers, over_behaviors
from interp_steer.findings import Number, Table
from interp_steer.stats import Interval, spearman, wilson_interval


def _on_mean(metric: Any, **options: int) -> Metric:
    return lambda scores, truth: metric(scores, truth.mean, **options)


SHORTLISTS: Mapping[str, Metric] = {
    "regret at 3": _on_mean(ranking.normalized_regret, k=3),
    "regret at 5": _on_mean(ranking.normalized_regret, k=5),
    "hit at 1": _on_mean(ranking.hit, k=1),
    "hit at 5": _on_mean(ranking.hit, k=5),
    "layers to 0.1 regret": _on_mean(ranking.evaluations),
}
RANKINGS: Mapping[str, Metric] = {
    "AUC": lambda scores, truth: ranking.auc(scores, good_layers(truth.values)),
    "Spearman": _on_mean(spearman),
    "Kendall": _on_mean(ranking.kendall),
    "Spearman, depth out": lambda scores, truth: ranking.depth_partialled(scores, truth.mean, truth.layers),
}
HITS = ("hit at 1", "hit at 5")
INTERVALS = (
    "each with a 95 % interval over behaviors (Student's, of hits Wilson's; the noise of the prompts is in their "
    "spread); a behavior in which one is undefined is left out of it"
)


def shortlist_table(one: Contest, regrets: Mapping[str, Interval | None]) -> Table:
    """Lay out what a few picks of every selector are worth, in the order of the regrets at 1."""
    return Table(
        title=f"Shortlists by {one.kind}",
        columns=("selector", *_columns(SHORTLISTS)),
        rows=tuple((name, *_cells(one, name, SHORTLISTS)) for name in one.by_regret(regrets)),
        notes=(
            f"means over {len(one.truths)} behaviors, {INTERVALS}",
            "hits: the chance that a best layer is among the first; layers to 0.1 regret: tried in that order",
        ),
    )


def ranking_table(one: Contest, regrets: Mapping[str, Interval | None]) -> Table:
    """Lay out how every selector's whole ranking agrees with the truth's, in the order of the regrets at 1."""
    rows = []
    for name in one.by_regret(regrets):
        shifts = [
            p
            for p in one.each(name, lambda s, truth: ranking.circular_shift_p(s, truth.mean, truth.layers))
            if p is not None
        ]
        beaten = sum(p <= 0.05 for p in shifts) if shifts else None
        rows.append((name, *_cells(one, name, RANKINGS), beaten, len(shifts)))
    return Table(
        title=f"Whole rankings by {one.kind}",
        columns=("selector", *_columns(RANKINGS), "shift p <= 0.05", "of"),
        rows=tuple(rows),
        notes=(
            f"means over {len(one.truths)} behaviors, {INTERVALS}",
            "depth out: rank correlation freed of depth and its square; the last columns count the behaviors in which "
            "it beats 95 % of its circular shifts (undefined below 20 layers)",
        ),
    )


def _columns(metrics: Mapping[str, Metric]) -> list[str]:
    return [column for name in metrics for column in with_ends(name)]


def _cells(one: Contest, name: str, metrics: Mapping[str, Metric]) -> list[Number]:
    cells: list[Number] = []
    for title, metric in metrics.items():
        values = [value for value in one.each(name, metric) if value is not None]
        interval = wilson_interval(sum(values), len(values)) if title in HITS and values else over_behaviors(values)
        cells += interval_cells(interval) if interval is not None else (values[0] if values else None, None, None)
    return cells
