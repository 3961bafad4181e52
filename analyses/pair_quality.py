"""Do the pairs agree on a direction, and which of them pull it?

With ``D_i`` the difference vectors, ``u_i`` their unit vectors and c_w the weighted consistency:

- *consistency*: mean cosine between two different pairs, with jackknife error and exact sign-flip p;
- *stability*: mean cosine between the vectors of two random halves, beside ``m c_w / (1 + (m-1) c_w)``, which
  is what the consistency makes it. High stability with low consistency is that formula, not a discovery;
- *weighted consistency* c_w: the same of the raw differences, share of their energy that is shared;
- *SNR*: ``sqrt(max(0, U) / tr Sigma)``, about 0 in noise; *T* ``n ||mean(D)||^2 / tr Sigma``, 1 in noise, with its
  sign-flip p; and the write-up's ``||mean(D)|| / std(||D_i||)``,
  which in pure noise rises as pairs get fewer;
- *normalization sensitivity*: ``cos(mean D_i, mean u_i)``; 1 when large pairs do not dominate;
- *length correlation*: of ``D_i . v`` with the difference of token counts. Far from 0, the vector is partly length;
- *influence* of a pair: ``1 - cos(mean, mean without it)``.

SNR, weighted consistency and the mean share of :mod:`analyses.explained_variance` rank layers alike:
``SNR^2 = c_w / (1 - c_w)`` and ``mean share = (1 + (n-1) c_w) / n``. They are one heuristic under three names.

What it does not show: that the shared direction is the behavior (pairs agree on any confound they share) or
which layer steers. Consistency predicts steerability across sets of pairs, not across layers of one set.

Source: Braun et al., arXiv:2505.22637 (consistency); Miller, arXiv:2411.00640 (the pair as the unit).
"""

import numpy as np
from jaxtyping import Float

from analyses.command import main
from analyses.gram import (
    Gram,
    consistency,
    consistency_error,
    gram_at,
    norm_variation,
    normalization_sensitivity,
    pairs_needed,
    reliability,
    signal_test,
    snr,
    snr_writeup,
    weighted_consistency,
)
from analyses.measure import Measure, layer_names, show, table_by_layer, top_layers, undefined, values
from analyses.resampling import Stability, influence, sign_flip_p, stability
from analyses.subject import run_pairs, studied_layer
from interp_steer.activations.artifact import Activations, read_activations
from interp_steer.findings import AnalysisResult, Figure, Series, Table
from interp_steer.run import Run

TOP_PAIRS = 5
GAP = 0.05
"""Distance of the stability from what the consistency predicts above which pairs are said to cluster."""

OUTLIER = 3.5
"""Robust z above which a norm is called an outlier (Iglewicz and Hoaglin)."""


def pair_quality(run: Run) -> AnalysisResult:
    """Describe the agreement between pairs by layer, and the pairs that stand out at one layer.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    layers = tuple(range(activations.n_layers))
    grams = [gram_at(activations, layer) for layer in layers]
    columns = _columns(activations, grams)
    layer, why = studied_layer(run, activations.n_layers)
    return AnalysisResult(
        name="pair_quality",
        title="Pair quality",
        question="Do the pairs agree on one direction, and which of them pull it?",
        finding=_finding(columns, grams[layer], layer),
        caveats=(
            "Pairs agree on whatever they share: a confound that runs through all of them looks like quality.",
            "Stability follows from consistency and the number of pairs; only its gap to the expected value is news.",
            "The write-up's SNR grows when pairs are removed; it is shown for comparison only.",
        ),
        tables=(
            table_by_layer("Pair quality by layer", columns),
            _pairs_table(run, grams[layer], f"{layer} ({why})"),
        ),
        figures=_figures(layers, columns),
        scores={"consistency": values(columns["consistency"]), "snr": values(columns["SNR"])},
    )


def norm_outliers(gram: Gram) -> list[Measure]:
    """Return the robust z-score of each difference norm: ``0.6745 (x - median) / MAD``."""
    centered = gram.norms - np.median(gram.norms)
    spread = float(np.median(np.abs(centered)))
    if spread == 0:
        return [undefined("the median absolute deviation of the norms is zero")] * gram.n
    return [Measure(float(0.6745 * value / spread)) for value in centered]


def length_correlation(gram: Gram, length_differences: Float[np.ndarray, " pair"]) -> Measure:
    """Pearson correlation of ``D_i . v`` with the pairs' differences in token count."""
    if gram.mean_is_zero:
        return undefined("the mean difference is zero")
    projections = gram.matrix.mean(axis=1) / np.sqrt(gram.mean_squared)
    if gram.n < 3 or np.ptp(length_differences) == 0 or np.ptp(projections) <= np.sqrt(gram.floor):
        return undefined("projections or lengths do not vary")
    return Measure(float(np.corrcoef(projections, length_differences)[0, 1]))


def _columns(activations: Activations, grams: list[Gram]) -> dict[str, list[Measure]]:
    halves = [stability(gram) for gram in grams]
    lengths = activations.positive_tokens.astype(np.float64) - activations.negative_tokens.astype(np.float64)
    return {
        "consistency": [consistency(gram) for gram in grams],
        "standard error": [consistency_error(gram) for gram in grams],
        "p (sign flip)": [sign_flip_p(gram.unit) for gram in grams],
        "weighted consistency": [weighted_consistency(gram) for gram in grams],
        "stability": [half.mean for half in halves],
        "expected stability": [half.expected for half in halves],
        "gap": [_gap(half) for half in halves],
        "lowest split": [half.low for half in halves],
        "sd of splits": [half.sd for half in halves],
        "SNR": [snr(gram) for gram in grams],
        "T": [signal_test(gram) for gram in grams],
        "p of T": [sign_flip_p(gram.matrix) for gram in grams],
        "SNR (write-up)": [snr_writeup(gram) for gram in grams],
        "CV of norms": [norm_variation(gram) for gram in grams],
        "normalization sensitivity": [normalization_sensitivity(gram) for gram in grams],
        "length correlation": [length_correlation(gram, lengths) for gram in grams],
        "degenerate pairs": [Measure(gram.n - gram.n_kept) for gram in grams],
    }


def _gap(half: Stability) -> Measure:
    if half.mean.value is None or half.expected.value is None:
        return half.mean if half.mean.value is None else half.expected
    return Measure(half.mean.value - half.expected.value)


def _pairs_table(run: Run, gram: Gram, layer: str) -> Table:
    pulls, outliers = values(influence(gram)), values(norm_outliers(gram))
    pairs = run_pairs(run, gram.n)
    prompts = [pair.prompt for pair in pairs] if pairs else [None] * gram.n
    order = sorted(range(gram.n), key=lambda pair: -(pulls[pair] or 0.0))
    far = [pair for pair in order if abs(outliers[pair] or 0.0) > OUTLIER]
    shown = order[:TOP_PAIRS] + [pair for pair in far if pair not in order[:TOP_PAIRS]]
    return Table(
        title=f"Pairs that pull the vector most at layer {layer}",
        columns=("pair", "prompt", "influence", "norm of the difference", "robust z of the norm"),
        rows=tuple((pair, prompts[pair], pulls[pair], float(gram.norms[pair]), outliers[pair]) for pair in shown),
        notes=(
            "influence: 1 - cosine between the vectors with and without the pair",
            f"{len(far)} of {gram.n} norms are outliers (robust z beyond {OUTLIER}); all of them are listed",
            *(() if pairs else ("prompts are not shown: the file of the pairs is gone or has changed",)),
        ),
    )


def _figures(layers: tuple[int, ...], columns: dict[str, list[Measure]]) -> tuple[Figure, ...]:
    consistent, errors = values(columns["consistency"]), values(columns["standard error"])
    bounds = [
        (None, None) if value is None or error is None else (value - 1.96 * error, value + 1.96 * error)
        for value, error in zip(consistent, errors, strict=True)
    ]
    agreement = Figure(
        kind="lines",
        title="Agreement between pairs by layer",
        x_label="Layer",
        y_label="Cosine",
        x=layers,
        series=(
            Series(
                name="consistency",
                y=consistent,
                low=tuple(low for low, _ in bounds),
                high=tuple(high for _, high in bounds),
            ),
            Series(name="stability", y=values(columns["stability"]), role="other"),
            Series(name="normalization sensitivity", y=values(columns["normalization sensitivity"]), role="other"),
            Series(
                name="stability expected from consistency", y=values(columns["expected stability"]), role="reference"
            ),
        ),
    )
    signal = Figure(
        kind="lines",
        title="Signal-to-noise ratio of one pair by layer",
        x_label="Layer",
        y_label="SNR (0 in noise)",
        x=layers,
        series=(Series(name="SNR", y=values(columns["SNR"])),),
    )
    return agreement, signal


def _finding(columns: dict[str, list[Measure]], gram: Gram, layer: int) -> str:
    consistent = values(columns["consistency"])
    top = top_layers(consistent)
    if not top:
        return "Agreement is undefined at every layer: fewer than two pairs differ."
    at = {name: column[layer].value for name, column in columns.items()}
    shared = weighted_consistency(gram).value
    needed = pairs_needed(shared, 0.95) if shared is not None and shared < 1 else None
    clustered = (
        " The stability is not what the consistency predicts: look for clusters of pairs or outliers."
        if abs(at["gap"] or 0.0) > GAP
        else ""
    )
    plan = "" if needed is None else f" A stability of 0.95 takes about {needed} pairs; there are {gram.n}."
    return (
        f"Pairs agree most at {layer_names(top)} (consistency {show(consistent[top[0]])}). At layer {layer} "
        f"consistency is {show(at['consistency'])} (sign-flip p {show(at['p (sign flip)'], 4)}), "
        f"stability {show(at['stability'])} where {show(at['expected stability'])} is expected, reliability of "
        f"the vector {show(reliability(gram).value)}, correlation with length {show(at['length correlation'])}."
        f"{clustered}{plan}"
    )


if __name__ == "__main__":
    main(pair_quality)
