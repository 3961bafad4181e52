"""Can the sides be told apart at a layer, on pairs that were not looked at?

1. *Paired leave-one-out* (primary; no settings): pair i counts as right if ``D_i . sum_{j != i} D_j > 0``. What
   the prompt adds to both sides cancels within the pair. The margin is ``mean / sd`` over pairs of
   ``D_i . w_i / ||w_i||`` with ``w_i = sum_{j != i} D_j``.
2. *Grouped probe*: ridge-penalized logistic regression on single responses, cross-validated over whole
   pairs, scaler and rotation fitted inside the fold. Its *selectivity* is its accuracy above that of the same
   probe on labels flipped at random within pairs.
3. *Transfer* (where pairs name their topic): as the first, with the pair's whole topic left out.

Intervals are Wilson's with the pair as the unit: the two sides of a pair are not independent.

What it does not show: that steering works. Under a hundred pairs in thousands of dimensions, accuracy is near
1 at most layers, which makes it a poor way to choose one; look at the margin. If layer 0 is already as good as
the middle, single words give the sides away.

Source: the write-up's third heuristic; Hewitt and Liang, arXiv:1909.03368 (selectivity).
"""

from analyses.command import main
from analyses.gram import gram_at
from analyses.measure import Measure, layer_names, show, table_by_layer, top_layers, undefined, values
from analyses.probe import FOLDS, ProbeScores, grouped_probe, transfer_accuracy
from analyses.resampling import leave_one_out
from analyses.subject import run_pairs
from interp_steer.activations.artifact import Activations, read_activations
from interp_steer.findings import AnalysisResult, Figure, Series
from interp_steer.run import Run
from interp_steer.stats import wilson_interval


def probe_accuracy(run: Run) -> AnalysisResult:
    """Score leave-one-out and grouped probes, layer by layer.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    layers = tuple(range(activations.n_layers))
    grams = [gram_at(activations, layer) for layer in layers]
    loo = [leave_one_out(gram) for gram in grams]
    accuracy, margin = [pair[0] for pair in loo], [pair[1] for pair in loo]
    probes = _probes(activations)
    n = activations.n_pairs
    topics = [pair.topic for pair in run_pairs(run, n) or ()] or [""] * n
    columns = {
        "leave-one-out accuracy": accuracy,
        "low": [_wilson(measure, n, "low") for measure in accuracy],
        "high": [_wilson(measure, n, "high") for measure in accuracy],
        "leave-one-out margin": margin,
        "transfer between topics": [transfer_accuracy(gram, topics) for gram in grams],
        **probes,
        "probe low": [_wilson(measure, n, "low") for measure in probes["probe accuracy"]],
        "probe high": [_wilson(measure, n, "high") for measure in probes["probe accuracy"]],
    }
    return AnalysisResult(
        name="probe_accuracy",
        title="Probe accuracy",
        question="Can the two sides be told apart on pairs the probe has not seen?",
        finding=_finding(accuracy, margin),
        caveats=(
            "Information that can be read is not information the model uses: a separable layer may not steer.",
            "Accuracies at 1 do not rank layers; margins do.",
            "A cue in single words (length, a keyword) is enough for a perfect probe: compare with layer 0.",
        ),
        tables=(table_by_layer("Probes by layer", columns, ("intervals: 95 %, Wilson, over pairs",)),),
        figures=(
            Figure(
                kind="lines",
                title="Held-out accuracy by layer",
                x_label="Layer",
                y_label="Accuracy",
                x=layers,
                series=(
                    Series(
                        name="paired leave-one-out",
                        y=values(accuracy),
                        low=values(columns["low"]),
                        high=values(columns["high"]),
                    ),
                    Series(name="grouped probe", y=values(columns["probe accuracy"]), role="other"),
                    Series(name="flipped labels", y=values(columns["flipped-label accuracy"]), role="reference"),
                ),
            ),
            Figure(
                kind="lines",
                title="Leave-one-out margin by layer",
                x_label="Layer",
                y_label="Mean / sd of the projections",
                x=layers,
                series=(Series(name="leave-one-out margin", y=values(margin)),),
            ),
        ),
        scores={"probe_accuracy": values(columns["probe accuracy"]), "loo_margin": values(margin)},
    )


def _probes(activations: Activations) -> dict[str, list[Measure]]:
    """Return the columns of the grouped probe; undefined with fewer pairs than folds."""
    names = ("probe accuracy", "flipped-label accuracy", "selectivity", "AUC", "probe margin")
    if activations.n_pairs < FOLDS:
        reason = f"a grouped probe needs at least {FOLDS} pairs"
        return {name: [undefined(reason)] * activations.n_layers for name in names}
    found = [
        _measures(grouped_probe(positive, negative))
        for positive, negative in zip(activations.positive, activations.negative, strict=True)
    ]
    return dict(zip(names, (list(column) for column in zip(*found, strict=True)), strict=True))


def _measures(scores: ProbeScores) -> tuple[Measure, ...]:
    margin = undefined("every row has the same logit") if scores.margin is None else Measure(scores.margin)
    numbers = (scores.accuracy, scores.null_accuracy, scores.selectivity, scores.auc)
    return (*(Measure(number) for number in numbers), margin)


def _wilson(accuracy: Measure, n: int, end: str) -> Measure:
    return accuracy.map(lambda share: float(getattr(wilson_interval(share * n, n), end)))


def _finding(accuracy: list[Measure], margin: list[Measure]) -> str:
    shares = [measure.value for measure in accuracy if measure.value is not None]
    if not shares:
        return "With a single pair nothing can be held out."
    perfect = sum(share == 1.0 for share in shares)
    best = top_layers(values(margin))
    peak = f"; the margin is largest at {layer_names(best)} ({show(margin[best[0]].value)})" if best else ""
    lexical = " Layer 0 is already within 0.05 of the best layer: single words may give the sides away."
    return (
        f"Left-out pairs are told apart with accuracy {show(min(shares))} to {show(max(shares))}, "
        f"without error at {perfect} of {len(shares)} layers{peak}."
        f"{lexical if shares[0] >= max(shares) - 0.05 > 0.6 else ''}"
    )


if __name__ == "__main__":
    main(probe_accuracy)
