"""Could the layer have been known without the sweep?

The truth ``S(l)`` of a layer is its mean combined score on test prompts at the alpha chosen for it on dev. A
heuristic picks the layer with the highest score; layers that tie share the pick. Then

- *regret* ``S* - S(pick)``, with S* the best swept layer;
- *normalized regret* ``(S* - S(pick)) / (S* - mean_l S)``: 0 is the best layer, 1 what a random layer has in
  expectation, above 1 is worse than chance;
- *Spearman*: rank correlation of heuristic and truth over the swept layers.

Only swept layers have a truth, so only they compete: a heuristic picks among the swept layers, and a fixed depth
is judged at the swept layer within half a step of it, or not at all.

Comes first: is the behavior steerable at all? Where the best cell does not beat a random direction, ranks
order noise.

What it does not show: which heuristic is good. One run is one behavior on one model; neighboring layers
resemble each other, so a Spearman over 30 layers rests on far fewer independent ones, and no p-value is given.
S* is the largest of noisy means, which makes every regret slightly too large.

Source: ``int(0.8 L)`` is the cut-off of Arditi et al., arXiv:2406.11717, often quoted as advice; 40 % is the
depth of CAA's layer 13 of 32, arXiv:2312.06681.
"""

from collections.abc import Sequence

from analyses.command import main
from analyses.measure import show
from analyses.selectors import Selector, baselines, heuristics, sweep_pick
from analyses.truth import Effects, GroundTruth, effects_of, ground_truth
from interp_steer.findings import AnalysisResult, Figure, Mark, Number, Series, Table
from interp_steer.outcomes import UNSTEERED, Outcomes, read_outcomes
from interp_steer.run import Run
from interp_steer.stats import Interval, rank_correlation


def layer_selection(run: Run) -> AnalysisResult:
    """Compare the layer each heuristic picks with the sweep.

    Reads the stored results of the other analyses, so run those first.

    Raises:
        AnalysisError: If there is no judged sweep, or a heuristic has not one score per layer.
    """
    outcomes = read_outcomes(run)
    truth = ground_truth(outcomes)
    n_layers = run.model_card().n_layers
    selectors = sorted(
        [*heuristics(run, n_layers, truth.layers), *baselines(n_layers, truth), *sweep_pick(truth)],
        key=lambda selector: (truth.regret(selector.picks) if selector.picks else float("inf"), selector.name),
    )
    effects = effects_of(outcomes, truth)
    return AnalysisResult(
        name="layer_selection",
        title="Layer selection",
        question="Is there a layer that steers, and could it have been known without the sweep?",
        finding=_finding(effects, selectors, truth),
        caveats=(
            "One behavior on one model: a heuristic that wins here has won once.",
            "The best layer is the largest of noisy means; differences within the intervals mean nothing.",
            "Neighboring layers are alike, so rank correlations rest on fewer layers than they count.",
            *(() if truth.split == "test" else ("Test rows are missing: truth and choice share the dev prompts.",)),
        ),
        tables=(
            _effects_table(effects, truth),
            _selectors_table(selectors, truth),
            _truth_table(outcomes, truth),
        ),
        figures=(_truth_figure(outcomes, selectors, truth), _regret_figure(selectors, truth)),
    )


def _finding(effects: Effects, selectors: Sequence[Selector], truth: GroundTruth) -> str:
    random = effects.random
    control = "no random control was scored" if random is None else f"a random direction by {_interval(random)}"
    gain = _interval(effects.gain)
    evidence = f"on {truth.split} prompts the best cell moves the combined score by {gain}, {control}"
    if not effects.steerable:
        return f"Not shown to be steerable: {evidence}. The picks below rank noise; do not choose a heuristic by them."
    regrets = {
        selector.name: regret
        for selector in selectors
        if selector.scores is not None and selector.picks
        if (regret := truth.normalized_regret(selector.picks)) is not None
    }
    opening = f"Steerable: {evidence}. Of {len(truth.layers)} swept layers, {truth.best} scores highest there. "
    if not regrets:
        return opening + "There is no heuristic to compare, or every layer scores the same."
    name = min(regrets, key=lambda key: regrets[key])
    better = sum(regret < 1 - 1e-9 for regret in regrets.values())
    return opening + (
        f"{better} of {len(regrets)} heuristics pick better than a random layer; closest is {name} "
        f"(normalized regret {show(regrets[name])})."
    )


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "an unknown amount"
    if interval.low == interval.high:  # nothing to resample: no interval, not a certain one
        return f"{interval.mean:+.2f} on every prompt"
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def _effects_table(effects: Effects, truth: GroundTruth) -> Table:
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
            *(f"{name}: undefined, no prompt has both scores" for name, effect in rows.items() if effect is None),
        ),
    )


def _selectors_table(selectors: Sequence[Selector], truth: GroundTruth) -> Table:
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


def _truth_table(outcomes: Outcomes, truth: GroundTruth) -> Table:
    best = truth.by_layer[truth.best].cell
    equals = 0
    for layer in truth.by_layer.values():
        gap = outcomes.effect(truth.split, best, "combined", baseline=layer.cell)
        equals += gap is not None and gap.low <= 0
    flat = "; layer choice hardly matters here" if equals > len(truth.layers) / 2 else ""
    return Table(
        title="Truth by layer",
        columns=("layer", "alpha", truth.split, "low", "high", "prompts", "dev"),
        rows=tuple(
            (layer, at.cell.alpha, at.score.mean, at.score.low, at.score.high, at.score.n, at.dev)
            for layer, at in truth.by_layer.items()
        ),
        notes=(
            "combined score at the alpha chosen on dev; the dev column is too high by that choice",
            f"{equals} of {len(truth.layers)} layers cannot be told from the best one on these prompts{flat}",
            *(f"layer {layer}: no {truth.split} completion has a score" for layer in truth.unscored),
        ),
    )


def _truth_figure(outcomes: Outcomes, selectors: Sequence[Selector], truth: GroundTruth) -> Figure:
    scores = [at.score for at in truth.by_layer.values()]
    unsteered = outcomes.outcome(truth.split, UNSTEERED).combined
    names: dict[int, list[str]] = {}
    for selector in selectors:
        if len(selector.picks) == 1:
            names.setdefault(selector.picks[0], []).append(selector.name)
    return Figure(
        kind="lines",
        title="Where steering works, and where the heuristics point",
        x_label="Layer",
        y_label=f"Combined score on {truth.split} prompts",
        x=truth.layers,
        series=(
            Series(
                name="best alpha of the layer",
                y=tuple(score.mean for score in scores),
                low=tuple(score.low for score in scores),
                high=tuple(score.high for score in scores),
            ),
            Series(name="unsteered", y=(unsteered,) * len(scores), role="reference"),
        ),
        marks=tuple(Mark(x=layer, label=", ".join(found)) for layer, found in sorted(names.items())),
    )


def _regret_figure(selectors: Sequence[Selector], truth: GroundTruth) -> Figure:
    shown = [selector for selector in selectors if selector.picks and selector.name != "random layer"]
    return Figure(
        kind="bars",
        title="Normalized regret of each pick",
        x_label="Selector",
        y_label="Normalized regret (0 best, 1 random)",
        x=tuple(selector.name for selector in shown),
        series=(
            Series(name="normalized regret", y=tuple(truth.normalized_regret(selector.picks) for selector in shown)),
            Series(name="random layer", y=(1.0,) * len(shown), role="reference"),
        ),
    )


if __name__ == "__main__":
    main(layer_selection)
