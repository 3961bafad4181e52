"""The tables of :mod:`analyses.layer_selection`: is it steerable, who picks what, and the truth by layer."""

from collections.abc import Sequence

from analyses.measure import show
from analyses.selectors import Selector
from analyses.truth import Effects, GroundTruth
from interp_steer.findings import Number, Table
from interp_steer.outcomes import Outcomes
from interp_steer.stats import detectable, rank_correlation


def effects_table(effects: Effects, truth: GroundTruth) -> Table:
    """Lay out what the best cell does, beside its controls."""
    rows = {
        f"best cell ({truth.chosen.key}) - unsteered": effects.gain,
        "random direction there - unsteered": effects.random,
        "best cell - random direction": effects.over_random,
        "prompted - unsteered": effects.prompted,
    }
    return Table(
        title="Steerable at all?",
        columns=("comparison", "mean difference", "low", "high", "prompts"),
        rows=tuple(
            (name, None, None, None, 0) if effect is None else (name, effect.mean, effect.low, effect.high, effect.n)
            for name, effect in rows.items()
        ),
        notes=(
            f"combined score on {truth.split} prompts; 95 % bootstrap over prompts, paired",
            *(
                (f"a true gain of {show(effects.detectable)} would be shown on so many prompts four times in five",)
                if effects.detectable is not None
                else ()
            ),
            *(f"{name}: undefined, no prompt has both scores" for name, effect in rows.items() if effect is None),
        ),
    )


def selectors_table(selectors: Sequence[Selector], truth: GroundTruth) -> Table:
    """Lay out what every selector picks, and what that costs."""
    return Table(
        title="Picks against the sweep",
        columns=(
            "selector",
            "of all layers",
            "of the swept",
            "truth at pick",
            "regret",
            "normalized regret",
            "Spearman",
        ),
        rows=tuple(_selector_row(selector, truth) for selector in selectors),
        notes=(
            "normalized regret: 0 is the best swept layer, 1 a random one in expectation",
            "only swept layers compete; a fixed depth is judged at the swept layer within half a step of it",
            *(
                ("normalized regret is undefined: every swept layer scores the same",)
                if truth.normalized_regret(truth.layers) is None
                else ()
            ),
            *(_no_pick(selector) for selector in selectors if not selector.picks),
            "Spearman is undefined for fixed depths, constant scores, and fewer than three swept layers",
        ),
    )


def _selector_row(selector: Selector, truth: GroundTruth) -> tuple[str | Number, ...]:
    if not selector.picks:
        return (selector.name, _listed(selector.wanted) or None, None, None, None, None, None)
    scores = selector.scores
    correlation = None
    if scores is not None:
        means = [truth.by_layer[layer].score.mean for layer in truth.layers]
        correlation = rank_correlation([scores[layer] for layer in truth.layers], means)
    return (
        selector.name,
        _listed(selector.wanted),
        _listed(selector.picks),
        truth.expected(selector.picks),
        truth.regret(selector.picks),
        truth.normalized_regret(selector.picks),
        correlation,
    )


def _no_pick(selector: Selector) -> str:
    if selector.wanted:
        return f"{selector.name}: layer {_listed(selector.wanted)} was not swept, nor any layer near it"
    return f"{selector.name}: no layer has a defined score"


def _listed(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers)) if len(layers) <= 3 else f"{len(layers)} layers tied"


def truth_table(outcomes: Outcomes, truth: GroundTruth, effects: Effects) -> Table:
    """Lay out the truth of every swept layer, and how well it is known."""
    best = truth.by_layer[truth.best].cell
    equals = 0
    for layer in truth.by_layer.values():
        gap = outcomes.effect(truth.split, best, "combined", baseline=layer.cell)
        equals += gap is not None and gap.low <= 0
    prompted = None if effects.prompted_score is None else effects.prompted_score.mean
    flat = "; layer choice hardly matters here" if equals > len(truth.layers) / 2 else ""
    return Table(
        title="Truth by layer",
        columns=("layer", "alpha", truth.split, "low", "high", "prompts", "detectable", "system prompt", "dev"),
        rows=tuple(
            (
                layer,
                at.cell.alpha,
                at.score.mean,
                at.score.low,
                at.score.high,
                at.score.n,
                detectable(outcomes.differences(truth.split, at.cell, "combined")),
                prompted,
                at.dev,
            )
            for layer, at in truth.by_layer.items()
        ),
        notes=(
            "combined score at the alpha chosen on dev; the dev column is too high by that choice",
            "detectable: the smallest true difference from the unsteered model that so many prompts show at "
            "80 % power; system prompt: the score of asking for the behavior without a push",
            f"{equals} of {len(truth.layers)} layers cannot be told from the best one on these prompts{flat}",
            *(f"layer {layer}: no {truth.split} completion has a score" for layer in truth.unscored),
        ),
    )
