"""Could you have known without the sweep? Every heuristic against every ground truth, over all behaviors.

Metrics: :mod:`analyses.study.ranking`; truths: :mod:`analyses.study.truths`; intervals and ceilings:
:mod:`analyses.study.nulls`. Fixed beforehand: what counts is the mean normalized regret at 1 by the truth at equal KL,
and the one hypothesis that a pilot suggested is that the KL of a small push (``kl small push``, larger is better) does
better than a random layer. The other rows are looked at as well, with p-values corrected for that (Holm).

The p-value of a row is that of an exact sign-flip test over behaviors of ``1 - regret``: with n behaviors it
cannot be smaller than 2^-n.

What it does not show: that a heuristic which loses here loses elsewhere. It is one model, and behaviors are few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analyses.study import ranking
from analyses.study.nulls import good_layers, holm, nested_bootstrap, noise_ceiling, sign_flip_p
from analyses.study.selectors import BASELINES, RANDOM, Scores, rankings
from analyses.study.truths import KINDS, Kind, Subject, Truth, subjects, truth_of
from interp_steer.findings import AnalysisResult, Figure, Number, Series, Table
from interp_steer.run import Run
from interp_steer.stats import Interval, spearman

REGISTERED: tuple[str, Kind] = ("kl small push", "equal KL")
RESAMPLES = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """One ground truth: the steerable behaviors, and every selector's ranking of their layers."""

    kind: Kind
    truths: tuple[Truth, ...]
    aside: tuple[str, ...]
    scores: tuple[Scores, ...]

    @property
    def names(self) -> list[str]:
        """Every selector that ranks the layers of at least two behaviors."""
        counted = [name for scores in self.scores for name in scores]
        return [name for name in dict.fromkeys(counted) if counted.count(name) >= 2]

    def each(self, name: str, metric: Any) -> list[float | None]:
        """Return a metric of a selector for every behavior; None where it ranks nothing or is undefined."""
        return [
            metric(scores[name], truth) if name in scores else None
            for scores, truth in zip(self.scores, self.truths, strict=True)
        ]

    def regret(self, name: str) -> Interval | None:
        """Return the mean normalized regret at 1 of a selector, with a nested bootstrap interval."""

        def statistic(i: int, values: Float[np.ndarray, "layer prompt"]) -> float | None:
            scores = self.scores[i].get(name)
            return None if scores is None else ranking.normalized_regret(scores, values.mean(axis=1))

        return nested_bootstrap([truth.values for truth in self.truths], statistic, resamples=RESAMPLES)


def heuristics(runs: Sequence[Run]) -> AnalysisResult:
    """Compare every heuristic with every truth.

    Raises:
        RunError: If a run lacks a stage of the study.
    """
    return heuristics_of(subjects(runs), KINDS)


def heuristics_of(found: Sequence[Subject], kinds: Sequence[Kind]) -> AnalysisResult:
    """Compare every heuristic with truths of these kinds."""
    contests = [contest(found, kind) for kind in kinds]
    played = [one for one in contests if len(one.truths) >= 2]
    regrets = {one.kind: {name: one.regret(name) for name in one.names} for one in played}
    return AnalysisResult(
        name="heuristics",
        title="Heuristics against the sweep",
        question="Could the layer have been known without the sweep?",
        finding=_finding(played, regrets, len(found)),
        caveats=(
            "One model. A ranking of heuristics needs more behaviors and more models than one study has.",
            "The best layer is the largest of noisy means, which makes every regret slightly too large.",
            "By likelihood, truth and the one-cell heuristic share their measure, though not their pairs.",
            "Layers were generated at that likelihood prefers, so by generation the field is smaller and stronger.",
        ),
        tables=(
            *(_selector_table(one, regrets[one.kind]) for one in played),
            *(_behavior_table(one) for one in played),
            _aside_table(contests),
        ),
        figures=tuple(
            figure
            for one in played
            for figure in (_regret_figure(one, regrets[one.kind]), _regret_map(one), _truth_map(one))
        ),
    )


def contest(found: Sequence[Subject], kind: Kind) -> Contest:
    """Set aside the behaviors that are not shown to be steered, and let every selector rank the layers of the rest."""
    pairs = [(subject, truth_of(subject, kind)) for subject in found]
    kept = [(subject, truth) for subject, truth in pairs if truth.steerable]
    return Contest(
        kind=kind,
        truths=tuple(truth for _, truth in kept),
        aside=tuple(truth.behavior for _, truth in pairs if not truth.steerable),
        scores=tuple(
            rankings(subject, truth, [other for _, other in kept if other is not truth]) for subject, truth in kept
        ),
    )


def _metrics() -> Mapping[str, Any]:
    def on_mean(metric: Any, **options: Any) -> Any:
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


def _selector_table(one: Contest, regrets: Mapping[str, Interval | None]) -> Table:
    metrics = _metrics()
    names = sorted(one.names, key=lambda name: _mean(regrets[name]))
    compared = [name for name in names if name not in BASELINES]
    p_values = [sign_flip_p([1 - r for r in _regrets(one, name) if r is not None]) for name in compared]
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
                *(_average(one.each(name, metric)) for metric in metrics.values()),
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


def _behavior_table(one: Contest) -> Table:
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


def _aside_table(contests: Sequence[Contest]) -> Table:
    return Table(
        title="Set aside: not shown to be steered",
        columns=("truth", "behaviors", "which"),
        rows=tuple((one.kind, len(one.aside), ", ".join(one.aside) or "none") for one in contests),
        notes=("on the test split, the cell that dev chose must beat the unsteered model and random directions",),
    )


def _regret_figure(one: Contest, regrets: Mapping[str, Interval | None]) -> Figure:
    known = {name: interval for name, interval in regrets.items() if interval is not None and name != RANDOM}
    names = sorted(known, key=lambda name: known[name].mean)
    return Figure(
        kind="bars",
        title=f"Mean normalized regret of the first pick, by {one.kind}",
        x_label="Selector",
        y_label="Normalized regret (0 best, 1 random)",
        x=tuple(names),
        series=(
            Series(
                name="regret",
                y=tuple(known[name].mean for name in names),
                low=tuple(known[name].low for name in names),
                high=tuple(known[name].high for name in names),
            ),
            Series(name=RANDOM, y=(1.0,) * len(names), role="reference"),
        ),
    )


def _regret_map(one: Contest) -> Figure:
    names = sorted(one.names, key=lambda name: _average(_regrets(one, name)) or 0.0)
    return Figure(
        kind="heatmap",
        title=f"Regret of each first pick, behavior by behavior, by {one.kind}",
        x_label="Behavior",
        y_label="Normalized regret",
        x=tuple(truth.behavior for truth in one.truths),
        series=tuple(Series(name=name, y=tuple(_regrets(one, name))) for name in names),
    )


def _truth_map(one: Contest) -> Figure:
    layers = sorted({layer for truth in one.truths for layer in truth.layers})
    rows = []
    for truth in one.truths:
        scaled = (truth.mean - truth.mean.min()) / max(float(np.ptp(truth.mean)), 1e-12)
        by_layer = dict(zip(truth.layers, scaled.tolist(), strict=True))
        rows.append(Series(name=truth.behavior, y=tuple(by_layer.get(layer) for layer in layers)))
    return Figure(
        kind="heatmap",
        title=f"Where each behavior is steered, by {one.kind}: each row from its worst layer (0) to its best (1)",
        x_label="Layer",
        y_label="Scaled truth",
        x=tuple(layers),
        series=tuple(rows),
    )


def _regrets(one: Contest, name: str) -> list[float | None]:
    return one.each(name, lambda scores, truth: ranking.normalized_regret(scores, truth.mean))


def _average(values: Sequence[float | None]) -> Number:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _mean(interval: Interval | None) -> float:
    return np.inf if interval is None else interval.mean


def _finding(played: Sequence[Contest], regrets: Mapping[Kind, Mapping[str, Interval | None]], n: int) -> str:
    if not played:
        return f"Of {n} behaviors fewer than two are shown to be steered, so no heuristic can be compared."
    said = []
    for one in played:
        known = {name: i for name, i in regrets[one.kind].items() if i is not None and name not in BASELINES}
        if not known:
            continue
        better = [name for name, interval in known.items() if interval.high < 1]
        name = min(known, key=lambda key: known[key].mean)
        said.append(
            f"By {one.kind} ({len(one.truths)} of {n} behaviors), {len(better)} of {len(known)} heuristics pick better "
            f"than a random layer beyond doubt; closest is {name}, regret {_shown(known[name])}."
        )
    name, kind = REGISTERED
    registered = regrets.get(kind, {}).get(name)
    if registered is not None:
        verdict = "confirmed" if registered.high < 1 else "refuted" if registered.low > 1 else "not confirmed"
        said.append(
            f"The hypothesis fixed beforehand, that {name} beats a random layer, is {verdict}: {_shown(registered)}."
        )
    return " ".join(said)


def _shown(interval: Interval) -> str:
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
