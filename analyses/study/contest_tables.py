"""A contest in tables: selector by selector, behavior by behavior, and who was set aside."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analyses.study import ranking
from analyses.study.contest import Contest, Metric
from analyses.study.nulls import good_layers, holm, noise_ceiling, sign_flip_p
from analyses.study.selectors import BASELINES
from interp_steer.findings import Table
from interp_steer.outcomes import mean
from interp_steer.stats import Interval, spearman


def _metrics() -> Mapping[str, Metric]:
    def on_mean(metric: Any, **options: int) -> Metric:
        return lambda scores, truth: metric(scores, truth.mean, **options)

    return {
        "regret at 3": on_mean(ranking.normalized_regret, k=3),
        "regret at 5": on_mean(ranking.normalized_regret, k=5),
        "hit at 1": on_mean(ranking.hit, k=1),
        "hit at 5": on_mean(ranking.hit, k=5),
        "layers to 0.1 regret": on_mean(ranking.evaluations),
        "AUC": lambda scores, truth: ranking.auc(scores, good_layers(truth.values)),
        "Spearman": on_mean(spearman),
        "Kendall": on_mean(ranking.kendall),
        "Spearman, depth out": on_mean(ranking.depth_partialled),
    }


def selector_table(one: Contest, regrets: Mapping[str, Interval | None]) -> Table:
    """Lay out every metric of every selector, by mean regret."""
    metrics = _metrics()
    names = sorted(one.names, key=lambda name: _mean(regrets[name]))
    compared = [name for name in names if name not in BASELINES]
    p_values = [sign_flip_p([1 - r for r in one.regrets(name) if r is not None]) for name in compared]
    corrected = dict(zip(compared, holm(p_values), strict=True))
    shifts = {
        name: one.each(name, lambda scores, truth: ranking.circular_shift_p(scores, truth.mean)) for name in names
    }
    rows = []
    for name in names:
        interval = regrets[name]
        rows.append(
            (
                name,
                "baseline" if name in BASELINES else "heuristic",
                *(
                    (None, None, None, 0)
                    if interval is None
                    else (interval.mean, interval.low, interval.high, interval.n)
                ),
                corrected.get(name),
                *(mean(one.each(name, metric)) for metric in metrics.values()),
                sum(p is not None and p <= 0.05 for p in shifts[name]),
            )
        )
    return Table(
        title=f"Selectors by {one.kind}",
        columns=(
            "selector",
            "is a",
            "regret at 1",
            "low",
            "high",
            "behaviors",
            "p (Holm)",
            *metrics,
            "shift p <= 0.05",
        ),
        rows=tuple(rows),
        notes=(
            f"means over {len(one.truths)} steerable behaviors: {', '.join(truth.behavior for truth in one.truths)}",
            "normalized regret: 0 is the best layer, 1 a random one; its interval resamples behaviors, then prompts",
            "p: better than a random layer, exact sign flips over behaviors, corrected for the number of heuristics",
            "the last column counts behaviors in which the rank correlation beats 95 % of its circular shifts",
        ),
    )


def behavior_table(one: Contest) -> Table:
    """Say where each behavior is steered best, and how well that is known."""
    rows = []
    for truth in one.truths:
        reliability, good = noise_ceiling(truth.values), int(good_layers(truth.values).sum())
        best = truth.layers[int(truth.mean.argmax())]
        rows.append(
            (
                truth.behavior,
                best,
                best / truth.n_layers,
                float(truth.mean.max()),
                float(truth.mean.mean()),
                good,
                len(truth.layers),
                truth.values.shape[1],
                reliability,
                None if reliability is None else max(0.0, reliability) ** 0.5,
            )
        )
    return Table(
        title=f"Behaviors by {one.kind}",
        columns=(
            "behavior",
            "best layer",
            "depth",
            "there",
            "mean of layers",
            "good layers",
            "of",
            "prompts",
            "reliability",
            "ceiling",
        ),
        rows=tuple(rows),
        notes=(
            "good layers cannot be told from the best one; where they are most of all, choosing hardly matters",
            "no heuristic can be expected to correlate with the truth by more than the ceiling",
        ),
    )


def aside_table(contests: Sequence[Contest]) -> Table:
    """List the behaviors that are not shown to be steered, by each truth."""
    return Table(
        title="Set aside: not shown to be steered",
        columns=("truth", "behaviors", "which"),
        rows=tuple((one.kind, len(one.aside), ", ".join(one.aside) or "none") for one in contests),
        notes=("on the test split, the cell that dev chose must beat the unsteered model and random directions",),
    )


def _mean(interval: Interval | None) -> float:
    return np.inf if interval is None else interval.mean
