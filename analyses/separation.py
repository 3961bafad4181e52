"""How far apart are the sides along the steering vector, in units of their own spread?

With x the projections of single responses on a direction, ``d' = (mu+ - mu-) / sqrt((var+ + var-) / 2)``,
population variances:

- *in sample*, on the mean difference of all pairs: with more dimensions than pairs it is large whatever the pairs say;
- *leave-one-out*: pair i is projected on the mean difference of the others, as a distance from the others' mean
  response. What varies between prompts counts as spread here, unlike in the paired margin.

*LayerNavigator* is ``D + C`` of activations z-scored per dimension: D the share of the projections' variance that
lies between the sides, C the mean cosine of the pairs' z-scored differences with the vector. As in the authors'
code the vector is the unit mean difference of the *raw* activations; whether variances divide by n or n - 1
changes neither term.

What it does not show: that the direction is used. Both predict steerability across sets of pairs at one layer; that
they rank layers is a hypothesis the layer selection tests.

Source: Braun et al., arXiv:2505.22637 (d'); LayerNavigator, NeurIPS 2025 (openreview wj4lM45xQR). D is computed
from projections, which is exact, instead of from two scatter matrices.
"""

import numpy as np
from jaxtyping import Float

from analyses.command import main
from analyses.gram import EPS, ZERO_MEAN, Gram, gram_at
from analyses.measure import Measure, layer_names, show, table_by_layer, top_layers, undefined, values
from interp_steer.activations.artifact import read_activations
from interp_steer.findings import AnalysisResult, Figure, Series
from interp_steer.run import Run

Side = Float[np.ndarray, "pair d_model"]


def separation(run: Run) -> AnalysisResult:
    """Measure the distance between the sides along the vector, layer by layer.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    layers = tuple(range(activations.n_layers))
    columns: dict[str, list[Measure]] = {
        name: [] for name in ("d' (in sample)", "d' (leave one out)", "D", "C", "D + C")
    }
    for layer in layers:
        gram = gram_at(activations, layer)
        sides = activations.positive[layer].astype(np.float64), activations.negative[layer].astype(np.float64)
        between, agreement = layer_navigator(*sides, gram)
        found = (in_sample(*sides, gram), left_out(*sides, gram), between, agreement, _sum(between, agreement))
        for column, measure in zip(columns.values(), found, strict=True):
            column.append(measure)
    return AnalysisResult(
        name="separation",
        title="Separation",
        question="How far apart are the sides along the steering vector, measured by their spread?",
        finding=_finding(columns),
        caveats=(
            "In sample, few pairs in many dimensions are always far apart; only the left-out distance is evidence.",
            "Topics that differ between prompts widen both sides and lower d', though they do not disturb steering.",
            "A separable layer need not steer.",
        ),
        tables=(table_by_layer("Separation by layer", columns),),
        figures=(
            Figure(
                kind="lines",
                title="Distance between the sides by layer",
                x_label="Layer",
                y_label="d', in standard deviations of a side",
                x=layers,
                series=(
                    Series(name="leave one out", y=values(columns["d' (leave one out)"])),
                    Series(name="in sample", y=values(columns["d' (in sample)"]), role="reference"),
                ),
            ),
            Figure(
                kind="lines",
                title="LayerNavigator by layer",
                x_label="Layer",
                y_label="Score",
                x=layers,
                series=(
                    Series(name="D + C", y=values(columns["D + C"])),
                    Series(name="D", y=values(columns["D"]), role="other"),
                    Series(name="C", y=values(columns["C"]), role="other"),
                ),
            ),
        ),
        scores={
            "d_prime_loo": values(columns["d' (leave one out)"]),
            "layer_navigator": values(columns["D + C"]),
        },
    )


def in_sample(positive: Side, negative: Side, gram: Gram) -> Measure:
    """Return d' along the mean difference of all pairs."""
    if gram.mean_is_zero:
        return undefined(ZERO_MEAN)
    mean = (positive - negative).mean(axis=0)
    return d_prime(positive @ mean, negative @ mean)


def left_out(positive: Side, negative: Side, gram: Gram) -> Measure:
    """Return d' with each pair projected on the mean difference of the other pairs, from their mean response.

    In closed form: about the grand mean, the others' mean response is ``-1/(n-1)`` times that of the pair.
    """
    if gram.n < 2:
        return undefined("fewer than two pairs")
    squares = gram.matrix.sum() - 2 * gram.matrix.sum(axis=1) + gram.squared_norms
    if (squares <= gram.floor * (gram.n - 1) ** 2).any():
        return undefined("without some pair the others cancel out")
    center = (positive.mean(axis=0) + negative.mean(axis=0)) / 2
    differences = positive - negative
    total = differences.sum(axis=0)

    def along(side: Side) -> Float[np.ndarray, " pair"]:
        about = side - center
        return about @ total - np.einsum("ij,ij->i", about, differences)

    up, down = along(positive), along(negative)
    others = -(up + down) / 2 / (gram.n - 1)
    return d_prime((up - others) / np.sqrt(squares), (down - others) / np.sqrt(squares))


def d_prime(positive: Float[np.ndarray, " pair"], negative: Float[np.ndarray, " pair"]) -> Measure:
    """Return the distance of the means in units of the pooled population deviation."""
    spread = float(np.sqrt((positive.var() + negative.var()) / 2))
    if spread <= EPS * float(max(np.abs(positive).max(), np.abs(negative).max())):
        return undefined("the projections of each side are equal")
    return Measure(float(positive.mean() - negative.mean()) / spread)


def layer_navigator(positive: Side, negative: Side, gram: Gram) -> tuple[Measure, Measure]:
    """Return LayerNavigator's discriminability D and consistency C; a dimension that does not vary counts as zero."""
    if gram.mean_is_zero:
        return undefined(ZERO_MEAN), undefined(ZERO_MEAN)
    differences = positive - negative
    vector = differences.mean(axis=0) / np.sqrt(gram.mean_squared)
    rows = np.concatenate([positive, negative])
    deviation = rows.std(axis=0)
    varies = deviation > 1e-12 * np.abs(rows).max()
    inverse = np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
    # Projecting on v / deviation is projecting the z-scored rows on v, without ever making them.
    projected = (rows @ (inverse * vector)).reshape(2, -1)
    total = float(((projected - projected.mean()) ** 2).sum())
    between = float(projected.shape[1] * ((projected.mean(axis=1) - projected.mean()) ** 2).sum())
    kept = differences[gram.kept]
    cosines = kept @ (inverse * vector) / np.sqrt(kept**2 @ inverse**2)
    return Measure(between / total), Measure(float(cosines.mean()))


def _sum(first: Measure, second: Measure) -> Measure:
    if first.value is None or second.value is None:
        return first if first.value is None else second
    return Measure(first.value + second.value)


def _finding(columns: dict[str, list[Measure]]) -> str:
    distance = values(columns["d' (leave one out)"])
    top = top_layers(distance)
    if not top:
        return "The distance between the sides is undefined at every layer."
    navigator, fitted = top_layers(values(columns["D + C"])), columns["d' (in sample)"][top[0]].value
    return (
        f"Left-out pairs lie farthest apart at {layer_names(top)} (d' {show(distance[top[0]])}, in sample "
        f"{show(fitted)}); LayerNavigator points at {layer_names(navigator)}."
    )


if __name__ == "__main__":
    main(separation)
