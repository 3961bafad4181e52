"""Could you have known without the sweep? Every heuristic against every ground truth, over all behaviors.

Metrics: :mod:`analyses.study.ranking`; truths: :mod:`analyses.study.truths`; intervals, nulls and ceilings:
:mod:`analyses.study.nulls`. Fixed beforehand: what counts is the mean normalized regret at 1 by the truth at equal KL,
and the one hypothesis that a pilot suggested is that the KL of a small push (``kl small push``, larger is better) does
better than a random layer; being one, it is tested uncorrected. It is also held against its own control, the same
number along a random direction, and against fixed depths: avoiding the first and last blocks beats a random layer too.
The other heuristics are looked at as well, with p-values corrected for that (Holm).

The truth at equal KL is not blind to it: the dose at a layer falls with the KL of a small push there, by construction.
The truth by generation is. Both are told.

What it does not show: that a heuristic which loses here loses elsewhere. It is one model, and behaviors are few.
"""

from collections.abc import Mapping, Sequence

from analyses.measure import interval_cells, with_ends
from analyses.study.behavior_tables import aside_table, behavior_table
from analyses.study.chances import Chances, chances
from analyses.study.contest import Contest, contest
from analyses.study.contest_figures import regret_figure, regret_map, truth_map
from analyses.study.contest_tables import family_table, selector_table
from analyses.study.ranking_tables import ranking_table, shortlist_table
from analyses.study.selectors import CONTROLS, MIDDLE, OTHERS, kind_of
from analyses.study.truths import KINDS, Kind, Subject, subjects
from interp_steer.findings import AnalysisResult, Table
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
    p_values = {one.kind: chances(one) for one in played}
    return AnalysisResult(
        name="heuristics",
        title="Heuristics against the sweep",
        question="Could the layer have been known without the sweep?",
        finding=_finding(played, regrets, p_values, len(found)),
        caveats=(
            "One model. A ranking of heuristics needs more behaviors and more models than one study has.",
            "The best layer is the largest of noisy means, which pulls regrets toward 1; cross-fitting pushes back.",
            "At equal KL the dose falls with the KL of a small push, so this truth shares data with that heuristic.",
            "By likelihood, truth and the one-cell heuristic share their measure, though not their pairs.",
            "Layers were generated at that likelihood prefers, so by generation the field is smaller and stronger.",
        ),
        tables=(
            *((_registered_table(played, regrets, p_values),) if played else ()),
            *(
                family_table(one, REGISTERED[0], _families(found, one))
                for one in played
                if one.kind == REGISTERED[1] and REGISTERED[0] in one.names
            ),
            *(selector_table(one, regrets[one.kind], p_values[one.kind]) for one in played),
            *(shortlist_table(one, regrets[one.kind]) for one in played),
            *(ranking_table(one, regrets[one.kind]) for one in played),
            *(behavior_table(one) for one in played),
            aside_table(contests),
        ),
        figures=tuple(
            figure
            for one in played
            for figure in (regret_figure(one, regrets[one.kind]), regret_map(one), truth_map(one))
        ),
    )


def _families(found: Sequence[Subject], one: Contest) -> dict[str, list[str]]:
    """Group the behaviors of a contest by what scores them: those of one scorer are the same idea in another dress."""
    families: dict[str, list[str]] = {}
    competing = {truth.behavior for truth in one.truths}
    for subject in (each for each in found if each.name in competing):
        families.setdefault(subject.family, []).append(subject.name)
    return families


def _finding(
    played: Sequence[Contest],
    regrets: Mapping[Kind, Mapping[str, Interval | None]],
    p_values: Mapping[Kind, Mapping[str, Chances]],
    n: int,
) -> str:
    if not played:
        return (
            f"Of {n} behaviors fewer than two have a layer that is shown to be best, so no heuristic can be compared."
        )
    said = []
    for one in played:
        compared = [name for name in one.names if kind_of(name) == "heuristic"]
        corrected = [p_values[one.kind][name].holm for name in compared]
        better = sum(p is not None and p <= 0.05 for p in corrected)
        said.append(f"{better} of {len(compared)} by {one.kind} ({len(one.truths)} of {n} behaviors)")
    name, kind = REGISTERED
    text = f"Heuristics that pick a better layer than chance, corrected for their number: {', '.join(said)}."
    interval, chance = regrets.get(kind, {}).get(name), p_values.get(kind, {}).get(name)
    if interval is None or chance is None or chance.random is None:
        return text
    verdict = "confirmed" if chance.random <= 0.05 else "refuted" if interval.low > 1 else "not confirmed"
    return (
        f"{text} The hypothesis fixed beforehand, that {name} does by {kind}, is {verdict}: its regret is "
        f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}], a random layer's 1 (p = {chance.random:.2g}; "
        f"{'undefined' if chance.shift is None else f'{chance.shift:.2g}'} against shifts that behaviors share)."
    )


def _registered_table(
    played: Sequence[Contest],
    regrets: Mapping[Kind, Mapping[str, Interval | None]],
    p_values: Mapping[Kind, Mapping[str, Chances]],
) -> Table:
    """Lay out what became of the hypothesis that was fixed beforehand, by every truth."""
    name, kind = REGISTERED
    rows = []
    for one in played:
        if name not in one.names:
            continue
        rows.append(
            (
                f"{one.kind}{' (fixed beforehand)' if one.kind == kind else ''}",
                *interval_cells(regrets[one.kind][name]),
                p_values[one.kind][name].random,
                p_values[one.kind][name].shift,
                *interval_cells(one.difference(name, CONTROLS[name])),
                *interval_cells(one.difference(name, MIDDLE)),
                *interval_cells(one.difference(name, OTHERS)),
            )
        )
    return Table(
        title=f"The hypothesis: {name} beats a random layer",
        columns=(
            "truth", *with_ends("regret at 1"), "p", "p (shared shift)", *with_ends("minus its control"),
            *with_ends(f"minus {MIDDLE}"),
            *with_ends("minus others' depth"),
        ),
        rows=tuple(rows),
        notes=(
            "p against a random layer for each behavior, as fixed beforehand; uncorrected, for it is one hypothesis. "
            "It takes the picks for different behaviors for independent, which they are not where all share a depth",
            "p (shared shift) does not: the same scores, shifted by as many layers for all behaviors, are as good",
            "its control is the same number along a random direction; differences are paired, below 0 better",
        ),
    )  # fmt: skip
