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
from analyses.selection_tables import effects_table, selectors_table, truth_table
from analyses.selectors import Selector, baselines, heuristics, sweep_pick
from analyses.truth import Effects, GroundTruth, effects_of, ground_truth
from interp_steer.findings import AnalysisResult, Figure, Mark, Series
from interp_steer.outcomes import UNSTEERED, Outcomes, read_outcomes
from interp_steer.run import Run
from interp_steer.stats import Interval


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
            effects_table(effects, truth),
            selectors_table(selectors, truth),
            truth_table(outcomes, truth, effects),
        ),
        figures=(_truth_figure(outcomes, selectors, truth, effects), _regret_figure(selectors, truth)),
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


def _truth_figure(outcomes: Outcomes, selectors: Sequence[Selector], truth: GroundTruth, effects: Effects) -> Figure:
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
            *((_level("system prompt", effects.prompted_score, len(scores)),) if effects.prompted_score else ()),
        ),
        marks=tuple(Mark(x=layer, label=", ".join(found)) for layer, found in sorted(names.items())),
    )


def _level(name: str, interval: Interval, n: int) -> Series:
    """Return a reference that is the same at every layer, with its band."""
    return Series(
        name=name, y=(interval.mean,) * n, low=(interval.low,) * n, high=(interval.high,) * n, role="reference"
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
