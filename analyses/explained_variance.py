"""How many directions does the difference between the sides take?

Eigenvalues of the difference vectors D [pair, d_model] as shares of their sum:

- *centered* (scikit-learn's convention): of ``D - mean(D)``. The mean is the steering vector, so these
  components describe what is left *after* the shared direction was taken out.
- *uncentered*: of D itself. The first component is the least-squares common axis; its share is at least
  the *mean share* ``||sum_i D_i||^2 / (n sum_i ||D_i||^2)``.

k80 is the smallest number of components with 80 % of the total, the participation ratio
``(sum lambda)^2 / sum lambda^2``. Beside them stands what independent isotropic noise shows with as many
pairs in as many dimensions: "6 components to 80 %" is what 8 pairs of pure noise give.

What it does not show: that a concentrated layer steers well. Real noise is not isotropic, so the null is
the lowest a first share can be expected to be, not proof of a signal above it.

Source: the write-up's second heuristic; parallel analysis after Horn, "A rationale and test for the number
of factors in factor analysis" (1965).
"""

from collections.abc import Callable, Sequence

import numpy as np

from analyses.command import main
from analyses.gram import gram_at
from analyses.measure import Measure, layer_names, show, table_by_layer, top_layers, undefined, values
from analyses.spectrum import (
    centered_shares,
    components_for,
    isotropic_null,
    mean_share,
    participation_ratio,
    uncentered_shares,
)
from interp_steer.activations.artifact import read_activations
from interp_steer.findings import AnalysisResult, Figure, Number, Series
from interp_steer.run import Run

COMPONENTS = 10

Shares = np.ndarray | None


def explained_variance(run: Run) -> AnalysisResult:
    """Describe the spectrum of the difference vectors, layer by layer, with and without centering.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    layers = tuple(range(activations.n_layers))
    grams = [gram_at(activations, layer) for layer in layers]
    null_centered, null_uncentered, null_k80 = isotropic_null(activations.n_pairs, activations.positive.shape[2])
    centered = [centered_shares(gram) for gram in grams]
    uncentered = [uncentered_shares(gram) for gram in grams]
    columns = {
        "PC1 share (centered)": _each(centered, lambda shares: float(shares[0])),
        "PC1 share above the null": _above(_each(centered, lambda shares: float(shares[0])), null_centered),
        "PC1 share (uncentered)": _each(uncentered, lambda shares: float(shares[0])),
        "mean share": [mean_share(gram) for gram in grams],
        "k80 (centered)": _each(centered, components_for),
        "k80 (uncentered)": _each(uncentered, components_for),
        "participation ratio (centered)": _each(centered, participation_ratio),
        "participation ratio (uncentered)": _each(uncentered, participation_ratio),
    }
    null = (
        f"isotropic noise with {activations.n_pairs} pairs: PC1 share {show(null_centered)} centered, "
        f"{show(null_uncentered)} uncentered; {show(null_k80, 0)} centered components to 80 %"
    )
    trivial = ("with two pairs the centered PC1 share is 1 whatever they are",) if activations.n_pairs == 2 else ()
    return AnalysisResult(
        name="explained_variance",
        title="Explained variance",
        question="How concentrated are the differences between the sides, and is that more than noise shows?",
        finding=_finding(columns, null_centered, null_k80),
        caveats=(
            "Centered components leave the mean difference, the steering vector itself, out: a high share there "
            "speaks of variation around the vector, not of the vector.",
            "The number of components to 80 % is bounded by the number of pairs; read it beside its null.",
            "The null is isotropic; activations are not, so some excess is there without any behavior.",
        ),
        tables=(table_by_layer("Explained variance by layer", columns, (null, *trivial)),),
        figures=(
            _heat_map("Variance around the mean by component (centered)", layers, centered),
            _heat_map("Energy by component (uncentered)", layers, uncentered),
            Figure(
                kind="lines",
                title="Share of the first component by layer",
                x_label="Layer",
                y_label="Share",
                x=layers,
                series=(
                    Series(name="centered", y=values(columns["PC1 share (centered)"])),
                    Series(name="uncentered", y=values(columns["PC1 share (uncentered)"]), role="other"),
                    Series(name="mean difference", y=values(columns["mean share"]), role="other"),
                    _flat("isotropic noise (centered)", null_centered, layers),
                    _flat("isotropic noise (uncentered)", null_uncentered, layers),
                ),
            ),
            Figure(
                kind="lines",
                title="Components that hold 80 %",
                x_label="Layer",
                y_label="Components",
                x=layers,
                series=(
                    Series(name="centered", y=values(columns["k80 (centered)"])),
                    Series(name="uncentered", y=values(columns["k80 (uncentered)"]), role="other"),
                    _flat("isotropic noise (centered)", null_k80, layers),
                ),
            ),
        ),
        scores={
            "pc1_share": values(columns["PC1 share (centered)"]),
            "pc1_share_uncentered": values(columns["PC1 share (uncentered)"]),
            "mean_share": values(columns["mean share"]),
        },
    )


def _each(spectra: Sequence[Shares], statistic: Callable[[np.ndarray], float]) -> list[Measure]:
    reason = "nothing varies (a single pair, equal pairs, or differences of zero)"
    return [undefined(reason) if shares is None else Measure(statistic(shares)) for shares in spectra]


def _above(shares: Sequence[Measure], null: Number) -> list[Measure]:
    # Without a null there is a single pair, and no share is defined either.
    return [share if null is None else share.map(lambda value: value - null) for share in shares]


def _flat(name: str, value: Number, layers: Sequence[int]) -> Series:
    return Series(name=name, y=(value,) * len(layers), role="reference")


def _heat_map(title: str, layers: tuple[int, ...], spectra: Sequence[Shares]) -> Figure:
    def row(component: int) -> tuple[Number, ...]:
        return tuple(
            None if shares is None or component >= shares.size else float(shares[component]) for shares in spectra
        )

    return Figure(
        kind="heatmap",
        title=title,
        x_label="Layer",
        y_label="Share",
        x=layers,
        series=tuple(Series(name=f"PC{component + 1}", y=row(component)) for component in range(COMPONENTS)),
    )


def _finding(columns: dict[str, list[Measure]], null_share: Number, null_k80: Number) -> str:
    share, k80 = values(columns["PC1 share (centered)"]), values(columns["k80 (centered)"])
    counts = [count for count in k80 if count is not None]
    if not counts:
        return "Nothing varies around the mean difference at any layer: the centered spectrum is undefined."
    top = top_layers(share)
    span = f"{min(counts):.0f}" if min(counts) == max(counts) else f"{min(counts):.0f} to {max(counts):.0f}"
    return (
        f"The centered first component is most concentrated at {layer_names(top)} "
        f"({show(share[top[0]])}; isotropic noise: {show(null_share)}). {span} components hold 80 % of the "
        f"variance, depending on the layer; isotropic noise with as many pairs needs {show(null_k80, 0)}."
    )


if __name__ == "__main__":
    main(explained_variance)
