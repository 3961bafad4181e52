"""Would one cell per layer have been enough? The propensity at the natural dose.

The change of ``log p(positive) - log p(negative)`` per token, averaged over the dev pairs, at the measured alpha
nearest the layer's magnitude ratio (in the logarithm, alphas above 0): the alpha that equals one natural class
difference.

This is a sweep, of one cell per layer, by likelihood: unlike the geometric heuristics it needs labelled held-out
pairs and one steered forward pass per layer. It is listed among the heuristics for what it saves, not as one that
knows without looking.

What it does not show: what the model would write. Source: Tan et al., arXiv:2407.12404 (propensity).
"""

import math
from collections.abc import Sequence

from analyses.artifacts import usable_propensity
from analyses.command import main
from analyses.measure import Measure, layer_names, show, table_by_layer, top_layers, undefined, values
from interp_steer.findings import AnalysisResult, Figure, Series
from interp_steer.run import Run
from interp_steer.sweeps.margins import Propensity
from interp_steer.vectors.vector import read_vectors

QUESTION = "Does one cell per layer, at the natural dose, find the layer that the whole sweep finds?"


def one_cell(run: Run) -> AnalysisResult:
    """Read one cell per layer off the measured propensity; without it, say why there is no score.

    Raises:
        RunError: If the propensity or the vectors of the run cannot be read.
    """
    found = usable_propensity(run)
    if isinstance(found, str):
        return AnalysisResult(
            name="one_cell",
            title="One cell per layer",
            question=QUESTION,
            finding=f"Absent: {found}.",
            caveats=("Its heuristic is absent from the layer selection.",),
        )
    changes, alphas, natural = natural_changes(run, found)
    columns = {"natural alpha": natural, "measured alpha": alphas, "change of the margin": changes}
    top = top_layers(values(changes))
    return AnalysisResult(
        name="one_cell",
        title="One cell per layer",
        question=QUESTION,
        finding="No cell near a natural dose was measured."
        if not top
        else f"The natural dose favors the positive side most at {layer_names(top)} "
        f"({show(changes[top[0]].value)} nats per token at alpha {show(alphas[top[0]].value)}).",
        caveats=(
            "This is a sweep of one cell per layer: it uses labelled pairs that made no vector.",
            "Alphas stand on a grid: the nearest one may be far from the natural dose; the table shows both.",
        ),
        tables=(
            table_by_layer("Propensity at the natural dose", columns, ("change: nats per token, mean over pairs",)),
        ),
        figures=(
            Figure(
                kind="lines",
                title="Propensity at the natural dose by layer",
                x_label="Layer",
                y_label="Change of the margin, nats per token",
                x=tuple(range(len(changes))),
                series=(Series(name="one cell", y=values(changes)),),
            ),
        ),
        scores={"propensity_one_cell": values(changes)},
    )


def natural_changes(run: Run, found: Propensity) -> tuple[list[Measure], list[Measure], list[Measure]]:
    """Return the mean change of the margin at the alpha nearest the natural one, that alpha, and the natural one.

    Raises:
        RunError: If the vectors of the run cannot be read.
    """
    vectors = read_vectors(run.vectors_path)
    rows = {layer: row for row, layer in enumerate(found.card.spec.layers)}
    means = found.mean_change()
    changes, alphas, naturals = [], [], []
    for layer in range(vectors.n_layers):
        defined = vectors.direction[layer].any() and vectors.activation_norm[layer] > 0
        natural = Measure(float(vectors.magnitude_ratio[layer])) if defined else undefined("there is no vector")
        column = nearest(found.card.spec.alphas, natural.value) if natural.value else None
        naturals.append(natural)
        if layer not in rows or column is None:
            missing = undefined("no positive alpha was measured there" if natural.value else "there is no vector")
            changes.append(missing)
            alphas.append(missing)
        else:
            changes.append(Measure(float(means[rows[layer], column])))
            alphas.append(Measure(found.card.spec.alphas[column]))
    return changes, alphas, naturals


def nearest(alphas: Sequence[float], natural: float) -> int | None:
    """Return the position of the positive alpha nearest ``natural`` by ratio; the weaker of two; None without one."""
    positive = [i for i, alpha in enumerate(alphas) if alpha > 0]
    return min(positive, key=lambda i: (abs(math.log(alphas[i] / natural)), alphas[i]), default=None)


if __name__ == "__main__":
    main(one_cell)
