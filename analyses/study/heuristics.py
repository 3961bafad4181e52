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

from analyses.study.contest import Contest, contest
from analyses.study.contest_figures import regret_figure, regret_map, truth_map
from analyses.study.contest_tables import aside_table, behavior_table, selector_table
from analyses.study.selectors import BASELINES
from analyses.study.truths import KINDS, Kind, Subject, subjects
from interp_steer.findings import AnalysisResult
from interp_steer.run import Run
from interp_steer.stats import Interval

REGISTERED: tuple[str, Kind] = ("kl small push", "equal KL")


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
            *(selector_table(one, regrets[one.kind]) for one in played),
            *(behavior_table(one) for one in played),
            aside_table(contests),
        ),
        figures=tuple(
            figure
            for one in played
            for figure in (regret_figure(one, regrets[one.kind]), regret_map(one), truth_map(one))
        ),
    )


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
