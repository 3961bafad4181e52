"""How large is the steering vector, measured in norms of the stream it is added to?

``ratio_l = ||mean_i D_i|| / M_l``, with ``D_i = positive_i - negative_i`` and M_l the mean norm of the
residual stream over the response tokens of both sides (sink and pads excluded). The ratio is the alpha that
equals one natural class difference.

- *median*: the same over the median of the responses' mean norms, for streams with a few huge tokens.
- *unbiased*: ``sqrt(max(0, U)) / M_l`` with U the mean of ``D_i . D_j`` over i != j; noise in the pairs makes
  the plain ratio too large by about ``tr(Sigma) / n`` under the root.

What it does not show: that steering there changes anything. A direction can be large and unread by the later
blocks. The raw norm mostly follows the growth of the stream, hence the division.

Source: the write-up's first heuristic; CAA, arXiv:2312.06681, for the mean difference.
"""

import numpy as np

from analyses.command import main
from analyses.gram import gram_at, shared_energy
from analyses.measure import Measure, layer_names, show, table_by_layer, top_layers, undefined, values
from interp_steer.activations.artifact import read_activations
from interp_steer.errors import AnalysisError
from interp_steer.findings import AnalysisResult, Figure, Series
from interp_steer.run import Run


def magnitude(run: Run) -> AnalysisResult:
    """Measure the mean difference against the activation norm, layer by layer.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    layers = tuple(range(activations.n_layers))
    grams = [gram_at(activations, layer) for layer in layers]
    norms = [Measure(float(np.sqrt(max(0.0, gram.mean_squared)))) for gram in grams]
    means = [float(norm) for norm in activations.activation_norm]
    responses = np.concatenate([activations.positive_norms, activations.negative_norms], axis=1)
    if (bad := np.argwhere(~np.isfinite(responses))).size:
        layer, row = bad[0]
        raise AnalysisError(
            f"layer {layer}, pair {row % activations.n_pairs}: the activation norm is NaN or Inf; extract again in "
            "float32 or bfloat16"
        )
    medians = [float(norm) for norm in np.median(responses, axis=1)]
    ratio = [_over(norm, scale) for norm, scale in zip(norms, means, strict=True)]
    over_median = [_over(norm, scale) for norm, scale in zip(norms, medians, strict=True)]
    true_norms = [shared_energy(gram).map(lambda energy: float(np.sqrt(max(0.0, energy)))) for gram in grams]
    unbiased = [_over(norm, scale) for norm, scale in zip(true_norms, means, strict=True)]
    largest, raw = top_layers(values(ratio)), top_layers(values(norms))
    return AnalysisResult(
        name="magnitude",
        title="Magnitude",
        question="At which layer is the steering vector largest, raw and relative to the stream?",
        finding=_finding(ratio, largest, raw, layers[-1]),
        caveats=(
            "A large vector is not an effective one: the ratio says how much the sides differ, not what reads it.",
            "With few pairs the ratio is inflated by noise; compare it with the unbiased column.",
        ),
        tables=(
            table_by_layer(
                "Magnitude by layer",
                {
                    "norm": norms,
                    "activation norm": [Measure(norm) for norm in means],
                    "activation norm (median)": [Measure(norm) for norm in medians],
                    "magnitude ratio": ratio,
                    "ratio (median)": over_median,
                    "ratio (unbiased)": unbiased,
                },
            ),
        ),
        figures=(
            Figure(
                kind="lines",
                title="Magnitude ratio by layer",
                x_label="Layer",
                y_label="Norm of the mean difference / activation norm",
                x=layers,
                series=(
                    Series(name="magnitude ratio", y=values(ratio)),
                    Series(name="unbiased", y=values(unbiased), role="other"),
                    Series(name="over the median norm", y=values(over_median), role="other"),
                ),
            ),
            Figure(
                kind="lines",
                title="Raw norms by layer",
                x_label="Layer",
                y_label="L2 norm, residual-stream units",
                x=layers,
                series=(
                    Series(name="mean difference", y=values(norms)),
                    Series(name="activation norm", y=tuple(means), role="reference"),
                ),
            ),
        ),
        scores={"magnitude_ratio": values(ratio), "magnitude_ratio_unbiased": values(unbiased)},
    )


def _over(norm: Measure, scale: float) -> Measure:
    return norm.map(lambda value: value / scale) if scale > 0 else undefined("the activation norm is zero")


def _finding(ratio: list[Measure], largest: list[int], raw: list[int], last: int) -> str:
    if not largest:
        return "The magnitude ratio is undefined at every layer: the activation norm is zero."
    verdict = "so 'highest magnitude' picks the last layer" if raw == [last] else f"not at the last layer ({last})"
    return (
        f"Relative to the stream the vector is largest at {layer_names(largest)} "
        f"(ratio {show(ratio[largest[0]].value)}); its raw norm is largest at {layer_names(raw)}, {verdict}."
    )


if __name__ == "__main__":
    main(magnitude)
