"""A contest in tables: selector by selector, behavior by behavior, and who was set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analyses.measure import interval_cells
from analyses.study import ranking
from analyses.study.contest import Contest, Metric
from analyses.study.nulls import (
    cross_fitted_best,
    good_layers,
    holm,
    noise_ceiling,
    random_pick_p,
    shared_shift_p,
)
from analyses.study.selectors import MIDDLE, OTHERS, kind_of
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
        "Spearman, depth out": lambda scores, truth: ranking.depth_partialled(scores, truth.mean, truth.layers),
    }


@dataclass(frozen=True, kw_only=True)
class Chances:
    """P-values of a selector's mean regret at 1.

    Attributes:
        random: Against a layer drawn at random for each behavior.
        shift: Against the same scores shifted by as many layers for all behaviors.
        holm: ``random``, corrected for the number of heuristics; None for what is no heuristic.
    """

    random: float | None
    shift: float | None
    holm: float | None


def chances(one: Contest) -> dict[str, Chances]:
    """Return the p-values of every selector."""
    means, names = [truth.mean for truth in one.truths], one.names
    random = {
        name: None if (observed := mean(one.regrets(name))) is None else random_pick_p(means, observed)
        for name in names
    }
    compared = [name for name in names if kind_of(name) == "heuristic"]
    corrected = dict(zip(compared, holm([random[name] for name in compared]), strict=True))
    return {
        name: Chances(
            random=random[name],
            shift=shared_shift_p([scores[name] for scores in one.scores], means),
            holm=corrected.get(name),
        )
        for name in names
    }


def selector_table(one: Contest, regrets: Mapping[str, Interval | None], p_values: Mapping[str, Chances]) -> Table:
    """Lay out the regret of every selector's first pick, smallest first, against chance and against fixed depths."""
    best = [cross_fitted_best(truth.values) for truth in one.truths]
    cross = {
        name: mean(
            [
                _regret_below(scores[name], truth.mean, top)
                for scores, truth, top in zip(one.scores, one.truths, best, strict=True)
            ]
        )
        for name in one.names
    }
    rows = []
    for name in sorted(one.names, key=lambda name: _mean(regrets[name])):
        chance = p_values[name]
        rows.append(
            (
                " = ".join((name, *one.same.get(name, ()))),
                kind_of(name),
                *interval_cells(regrets[name]),
                cross[name],
                chance.random,
                chance.holm,
                chance.shift,
                *interval_cells(one.difference(name, MIDDLE)),
                *interval_cells(one.difference(name, OTHERS)),
            )
        )
    silent = f"; left out, since they say nothing of some behavior: {', '.join(one.partial)}" if one.partial else ""
    return Table(
        title=f"Selectors by {one.kind}",
        columns=(
            "selector",
            "is a",
            "regret at 1",
            "low",
            "high",
            "cross-fitted",
            "p",
            "p (Holm)",
            "p (shared shift)",
            f"minus {MIDDLE}",
            "low ",
            "high ",
            "minus others' depth",
            " low",
            " high",
        ),
        rows=tuple(rows),
        notes=(
            f"means over {len(one.truths)} behaviors: {', '.join(truth.behavior for truth in one.truths)}{silent}",
            "normalized regret: 0 is the best layer, 1 a random one; its interval resamples behaviors, then prompts",
            "cross-fitted: the same, in the same unit, against a best layer that one half of the prompts chose and the "
            "other measured; without noise a regret would lie between the two",
            "p: a random layer for each behavior is as good; Holm corrects for the number of heuristics",
            "shared shift: the same scores, shifted by as many layers for all behaviors, are as good",
            "minus: paired differences of regret, below 0 better than that fixed depth",
            "control: a heuristic's number along a random direction; one cell: reads dev pairs under one push a layer",
        ),
    )


def agreement_table(one: Contest, regrets: Mapping[str, Interval | None]) -> Table:
    """Lay out every other metric of every selector, in the order of the regrets."""
    metrics = _metrics()
    rows = []
    for name in sorted(one.names, key=lambda name: _mean(regrets[name])):
        shifts = [
            p
            for p in one.each(name, lambda s, truth: ranking.circular_shift_p(s, truth.mean, truth.layers))
            if p is not None
        ]
        beaten = sum(p <= 0.05 for p in shifts) if shifts else None
        rows.append((name, *(mean(one.each(name, metric)) for metric in metrics.values()), beaten, len(shifts)))
    return Table(
        title=f"Whole rankings by {one.kind}",
        columns=("selector", *metrics, "shift p <= 0.05", "of"),
        rows=tuple(rows),
        notes=(
            f"means over {len(one.truths)} behaviors",
            "depth out: rank correlation freed of depth and its square; the last columns count the behaviors in which "
            "it beats 95 % of its circular shifts (undefined below 20 layers)",
        ),
    )


def _regret_below(scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], best: float) -> float | None:
    """Return the regret at 1 against another best than the largest of the truth, in the same unit."""
    plain, top, middle = ranking.normalized_regret(scores, truth), float(truth.max()), float(truth.mean())
    return None if plain is None else plain - (top - best) / (top - middle)


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
    """List the behaviors that leave nothing to choose, by each truth."""
    return Table(
        title="Set aside",
        columns=("truth", "not shown to be steered", "which", "all layers alike", "which "),
        rows=tuple(
            (one.kind, len(one.aside), ", ".join(one.aside) or "none", len(one.flat), ", ".join(one.flat) or "none")
            for one in contests
        ),
        notes=(
            "on the test split the cell that dev chose must beat the unsteered model and random directions: by "
            "likelihood the strongest of all there, by generation the one that was generated",
            "layers are alike where Friedman's test over prompts does not tell them apart at 0.05",
        ),
    )


def _mean(interval: Interval | None) -> float:
    return np.inf if interval is None else interval.mean
