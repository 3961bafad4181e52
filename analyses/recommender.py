"""Which five layers would we try first, without a sweep?

Every layer gets its mean rank, from 1/k for the lowest of the k layers to 1 for the highest (ties share), over

- the leave-one-out margin (:mod:`analyses.probe_accuracy`),
- the consistency of the pairs (:mod:`analyses.pair_quality`),
- the logit-lens alignment and ``-log KL`` at the natural dose (:mod:`analyses.small_push`), where pushes were measured,

times the *depth prior* ``exp(-(l / L - 0.5)^2 / (2 * 0.15^2))``: published best layers lie between 0.4 and 0.65 of
the depth. A layer is out of the question (it gets no score) if

- it lies in the last tenth, ``l >= 0.9 L``;
- the natural dose moves the first token of neutral answers by more than one nat of KL, where pushes were measured;
- the natural dose does not favor the positive side, where the propensity was measured.

It proposes the five highest layers, since one is too few for what these numbers know.

What it does not show: that its layers steer. The ingredients were chosen before the study, from the literature;
its record against the sweep is in the layer selection, beside fixed depths, which it has to beat to be of use.

Source: rank averaging after Borda; the gates after Arditi et al., arXiv:2406.11717 (KL, depth, sign of the effect).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats as scipy_stats

from analyses.artifacts import usable_propensity, usable_pushes
from analyses.command import main
from analyses.gram import consistency, gram_at
from analyses.measure import Measure, layer_names, table_by_layer, undefined, values
from analyses.one_cell import natural_changes
from analyses.resampling import leave_one_out
from analyses.small_push import minus_log, push_columns
from interp_steer.activations.artifact import read_activations
from interp_steer.findings import AnalysisResult, Figure, Mark, Number, Series
from interp_steer.run import Run

PROPOSED = 5
DEEPEST = 0.9
MOST_KL = 1.0
CENTER, WIDTH = 0.5, 0.15

Columns = dict[str, list[Measure]]


def recommender(run: Run) -> AnalysisResult:
    """Propose five layers from what can be known without a sweep.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    n_layers = activations.n_layers
    grams = [gram_at(activations, layer) for layer in range(n_layers)]
    ingredients: Columns = {
        "LOO margin": [leave_one_out(gram)[1] for gram in grams],
        "consistency": [consistency(gram) for gram in grams],
    }
    gates: Columns = {}
    notes = []
    pushes, propensity = usable_pushes(run), usable_propensity(run)
    if isinstance(pushes, str):
        notes.append(f"without logit-lens alignment and KL: {pushes}")
    else:
        found = push_columns(pushes, n_layers)
        ingredients["alignment"] = found["alignment"]
        ingredients["-log KL"] = minus_log(found["KL, natural dose"])
        gates["first-token KL"] = found["first token"]
    if isinstance(propensity, str):
        notes.append(f"without the gate by propensity: {propensity}")
    else:
        gates["propensity"] = natural_changes(run, propensity)[0]
    prior = depth_prior(n_layers)
    average = rank_average([values(column) for column in ingredients.values()])
    out = [
        ruled_out(layer, n_layers, {name: column[layer].value for name, column in gates.items()})
        for layer in range(n_layers)
    ]
    scores = [
        undefined(why) if why else undefined("no ingredient is defined") if mean is None else Measure(mean * weight)
        for why, mean, weight in zip(out, average, prior, strict=True)
    ]
    proposed = shortlist(values(scores))
    return AnalysisResult(
        name="recommender",
        title="Recommended layers",
        question="Which layers should be tried first, before any sweep?",
        finding=_finding(proposed, len(ingredients), [why for why in out if why]),
        caveats=(
            "A proposal to test, not a result: hold its regret in the layer selection against fixed depths.",
            "The depth prior carries much of it; the ingredients alone did no better than chance in a pilot.",
            *(f"Computed {note}." for note in notes),
        ),
        tables=(
            table_by_layer(
                "Recommendation by layer",
                {
                    **ingredients,
                    **gates,
                    "mean rank": [
                        undefined("no ingredient is defined") if one is None else Measure(one) for one in average
                    ],
                    "depth prior": [Measure(weight) for weight in prior],
                    "score": scores,
                },
                (f"proposed, best first: {', '.join(map(str, proposed)) or 'none'}", *notes),
            ),
        ),
        figures=(
            Figure(
                kind="lines",
                title="Recommendation by layer",
                x_label="Layer",
                y_label="Mean rank times depth prior",
                x=tuple(range(n_layers)),
                series=(
                    Series(name="score", y=values(scores)),
                    Series(name="mean rank", y=tuple(average), role="other"),
                    Series(name="depth prior", y=tuple(prior), role="reference"),
                ),
                marks=tuple(Mark(x=layer, label=f"#{place}") for place, layer in enumerate(proposed, start=1)),
            ),
        ),
        scores={"recommender": values(scores), "depth_prior": tuple(prior)},
    )


def depth_prior(n_layers: int) -> list[float]:
    """Return ``exp(-(l / L - 0.5)^2 / (2 * 0.15^2))`` of every layer."""
    return [math.exp(-((layer / n_layers - CENTER) ** 2) / (2 * WIDTH**2)) for layer in range(n_layers)]


def rank_average(columns: Sequence[Sequence[Number]]) -> list[Number]:
    """Average the ranks of layers over columns, each scaled to at most 1; undefined values are left out.

    Returns:
        One number per layer, None where no column is defined.
    """
    ranks = np.full((len(columns), len(columns[0])), np.nan)
    for row, column in zip(ranks, columns, strict=True):
        defined = [i for i, value in enumerate(column) if value is not None]
        if defined:
            row[defined] = scipy_stats.rankdata([column[i] for i in defined]) / len(defined)
    return [float(np.nanmean(column)) if np.isfinite(column).any() else None for column in ranks.T]


def ruled_out(layer: int, n_layers: int, gates: Mapping[str, Number]) -> str:
    """Return why a layer is out of the question; empty if it is not. A gate that was not measured lets it pass."""
    kl, propensity = gates.get("first-token KL"), gates.get("propensity")
    if layer >= DEEPEST * n_layers:
        return f"in the last tenth of {n_layers} layers"
    if kl is not None and kl > MOST_KL:
        return f"the natural dose moves the first token by more than {MOST_KL:g} nat"
    if propensity is not None and propensity <= 0:
        return "the natural dose does not favor the positive side"
    return ""


def shortlist(scores: Sequence[Number]) -> list[int]:
    """Return the layers with the highest scores, at most five, best first; the earlier of two equals."""
    defined = [(-score, layer) for layer, score in enumerate(scores) if score is not None]
    return [layer for _, layer in sorted(defined)[:PROPOSED]]


def _finding(proposed: Sequence[int], n_ingredients: int, out: Sequence[str]) -> str:
    if not proposed:
        return "No layer can be proposed: none passes the gates with a defined score."
    reasons = "; ".join(f"{out.count(why)} {why}" for why in dict.fromkeys(out))
    gated = f" Out of the question are {len(out)} layers: {reasons}." if out else ""
    rest = ", ".join(map(str, proposed[1:])) or "no other"
    return (
        f"Try {layer_names(proposed[:1])} first, then {rest}, by the mean rank over {n_ingredients} numbers and the "
        f"depth.{gated}"
    )


if __name__ == "__main__":
    main(recommender)
