"""The first picks of a contest, selector by selector: against chance, against fixed depths, and without a family."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from analyses.measure import interval_cells, with_ends
from analyses.study import ranking
from analyses.study.chances import Chances
from analyses.study.contest import Contest
from analyses.study.nulls import cross_fitted_best, random_pick_p
from analyses.study.selectors import MIDDLE, OTHERS, kind_of
from interp_steer.findings import Table
from interp_steer.outcomes import mean
from interp_steer.stats import Interval


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
            "cross-fitted: the same, in the same unit, against a best layer that one half of the prompts chose and the "
            "other measured; without noise a regret would lie between the two",
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
        observed = mean(rest.regrets(name))
        p = None if observed is None else random_pick_p([truth.mean for truth in rest.truths], observed)
        rows.append((family, ", ".join(members), len(rest.truths), *interval_cells(rest.regret(name)), p))
    return Table(
        title=f"{name} by {one.kind}, without a family",
        columns=("family", "left out", "behaviors left", *with_ends("regret at 1"), "p"),
        rows=tuple(rows),
        notes=(
            "behaviors of one scorer are alike (two languages, two obsessions), so they are no independent evidence: "
            "what holds only with a family in it, holds for that family",
        ),
    )


def _regret_below(scores: Float[np.ndarray, " layer"], truth: Float[np.ndarray, " layer"], best: float) -> float | None:
    """Return the regret at 1 against another best than the largest of the truth, in the same unit."""
    plain, top, middle = ranking.normalized_regret(scores, truth), float(truth.max()), float(truth.mean())
    return None if plain is None else plain - (top - best) / (top - middle)


def _mean(interval: Interval | None) -> float:
    return np.inf if interval is None else interval.mean
