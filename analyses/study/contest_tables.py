"""The first picks of a contest, selector by selector: against chance, against fixed depths, and without a family."""

from collections.abc import Mapping, Sequence

from analyses.measure import interval_cells, with_ends
from analyses.study.chances import Chances, pick_p, shift_p
from analyses.study.contest import Contest
from analyses.study.nulls import noise_lead, stretched
from analyses.study.selectors import MIDDLE, OTHERS, kind_of
from interp_steer.findings import Table
from interp_steer.outcomes import mean
from interp_steer.stats import Interval


def selector_table(one: Contest, regrets: Mapping[str, Interval | None], p_values: Mapping[str, Chances]) -> Table:
    """Lay out the regret of every selector's first pick, smallest first, against chance and against fixed depths."""
    lead = mean([noise_lead(truth.values) for truth in one.truths])
    rows = []
    for name in one.by_regret(regrets):
        chance = p_values[name]
        rows.append(
            (
                " = ".join((name, *one.same.get(name, ()))),
                kind_of(name),
                *interval_cells(regrets[name]),
                None if (regret := regrets[name]) is None or lead is None else stretched(regret.mean, lead),
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
            *with_ends("regret at 1"),
            "cross-fitted",
            "p",
            "p (Holm)",
            "p (shared shift)",
            *with_ends(f"minus {MIDDLE}"),
            *with_ends("minus others' depth"),
        ),
        rows=tuple(rows),
        notes=(
            f"means over {len(one.truths)} behaviors: {', '.join(truth.behavior for truth in one.truths)}{silent}",
            "normalized regret: 0 is the best layer, 1 a random one; its interval resamples behaviors, then prompts",
            "cross-fitted: in units of the lead of a best layer that one half of the prompts chose and the other "
            f"measured ({_percent(lead)} of the leads is noise by that measure); noise pulls a regret toward 1 and "
            "this pushes it away from 1, so without noise it lies between the two",
            "p: a random layer for each behavior is as good; Holm corrects for the number of heuristics",
            "shared shift: the same scores, shifted by as many layers for all behaviors, are as good",
            "minus: paired differences of regret, below 0 better than that fixed depth",
            "control: a heuristic's number along a random direction; one cell: reads dev pairs under one push a layer",
        ),
    )


def family_table(one: Contest, name: str, families: Mapping[str, Sequence[str]]) -> Table:
    """Lay out the regret of one selector with each family of alike behaviors left out in turn."""
    rows = []
    for family, members in families.items():
        rest = one.without(members)
        if len(rest.truths) < 2 or len(rest.truths) == len(one.truths):
            continue
        rows.append(
            (
                family,
                ", ".join(members),
                len(rest.truths),
                *interval_cells(rest.regret(name)),
                pick_p(rest, name),
                shift_p(rest, name),
            )
        )
    return Table(
        title=f"{name} by {one.kind}, without a family",
        columns=("family", "left out", "behaviors left", *with_ends("regret at 1"), "p", "p (shared shift)"),
        rows=tuple(rows),
        notes=(
            "behaviors of one scorer are alike (two languages, two obsessions), so they are no independent evidence: "
            "what holds only with a family in it, holds for that family; the other tables take them for independent",
        ),
    )


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{share:.0%}"
