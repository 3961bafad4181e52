"""Does the steering vector turn from one layer to the next?

``a_l = v_l . v_{l+1}`` for l = 0 .. L-2, v_l the unit mean difference at the *output of block l*. With
``hidden_states`` indexing, where index 0 is the embedding, every label is one higher.

A residual stream carries everything along, so any vector resembles its successor. The null flips the labels
within pairs with the same random signs at both layers, ``v^s_l = sum_i s_i D_{l,i}``; only the excess
``a_l - mean_s a^s_l`` belongs to the behavior.

Hybrid models (blocks of linear and of full attention) are tested for dips at the blocks of full attention:
the mean residual of a_l about a quadratic trend in depth, transitions into full attention against the rest,
under random relabeling of the transitions.

What it does not show: where to steer. A stable vector may be stably ignored. The permutation treats the
residuals as exchangeable although neighbors resemble each other, so its p-value is a hint.

Its score for choosing a layer, 1 - a_{l-1}, belongs to the block that turned the vector: layer l; layer 0 has none.

Source: the write-up's question; the null is this toolkit's.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from analyses.command import main
from analyses.gram import ZERO_MEAN, gram_at
from analyses.measure import Measure, show, undefined, values
from analyses.resampling import sign_flips
from interp_steer.activations.artifact import Activations, read_activations
from interp_steer.errors import AnalysisError
from interp_steer.findings import AnalysisResult, Figure, Number, Series, Table
from interp_steer.run import Run

FULL = "full_attention"
FLIPS = 200
PERMUTATIONS = 4999


def adjacent_similarity(run: Run) -> AnalysisResult:
    """Compare the vectors of neighboring layers with one another and with the sign-flip null.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If there is a single layer, or an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    if activations.n_layers < 2:
        raise AnalysisError("adjacent layers need a model with at least two layers")
    cosines, nulls = adjacent_cosines(activations)
    excess = tuple(
        None if cosine is None or null is None else cosine - null
        for cosine, null in zip(values(cosines), values(nulls), strict=True)
    )
    kinds = activations.card.model.layer_types
    arrivals = tuple(range(1, activations.n_layers))
    hybrid = len(set(kinds)) > 1 and FULL in kinds
    return AnalysisResult(
        name="adjacent_similarity",
        title="Adjacent layers",
        question="Where does the steering vector turn, and is that where the model attends?",
        finding=_finding(values(cosines), excess, kinds),
        caveats=(
            "Layers are block outputs: the value at l compares the stream after block l with the stream before it. A "
            "dip reported with hidden_states indexing is labeled one higher.",
            "Residual streams are inert: similarity that the sign-flipped vectors share is not about the behavior.",
            "Similarity says nothing about the effect of steering.",
        ),
        tables=(
            Table(
                title="Cosine of neighboring vectors",
                columns=("from layer", "to layer", "kind of the block", "cosine", "sign-flip null", "excess"),
                rows=tuple(
                    (layer - 1, layer, kinds[layer], cosine, null, gap)
                    for layer, cosine, null, gap in zip(arrivals, values(cosines), values(nulls), excess, strict=True)
                ),
                notes=tuple(
                    f"layers {layer - 1} and {layer}: undefined, {measure.reason}"
                    for layer, measure in zip(arrivals, cosines, strict=True)
                    if measure.value is None
                ),
            ),
        ),
        figures=(
            Figure(
                kind="lines",
                title="Cosine with the vector of the layer before",
                x_label="Layer",
                y_label="Cosine",
                x=arrivals,
                series=(
                    Series(name="steering vector", y=values(cosines)),
                    Series(name="excess over the null", y=excess, role="other"),
                    Series(name="sign-flipped pairs", y=values(nulls), role="reference"),
                ),
                shaded=tuple(layer for layer in arrivals if hybrid and kinds[layer] == FULL),
                shaded_label="full attention" if hybrid else "",
            ),
        ),
        scores={"adjacent_change": (None, *values(cosine.map(lambda a: 1 - a) for cosine in cosines))},
    )


def adjacent_cosines(activations: Activations) -> tuple[list[Measure], list[Measure]]:
    """Return the cosine of each layer's mean difference with the next one's, and its mean over sign flips."""
    signs, complete = sign_flips(activations.n_pairs, draws=FLIPS)
    if complete:
        signs = signs[1:]  # the first keeps every sign: it is the vector itself
    grams = [gram_at(activations, layer) for layer in range(activations.n_layers)]
    cosines, nulls = [], []
    here = activations.differences(0)
    for layer in range(activations.n_layers - 1):
        there = activations.differences(layer + 1)
        cross = here @ there.T
        first, second = grams[layer].matrix, grams[layer + 1].matrix
        if grams[layer].mean_is_zero or grams[layer + 1].mean_is_zero:
            cosines.append(undefined(ZERO_MEAN))
        else:
            cosines.append(Measure(float(cross.sum() / np.sqrt(first.sum() * second.sum()))))
        floor = activations.n_pairs**2 * np.array([[grams[layer].floor], [grams[layer + 1].floor]])
        squares = np.array([((signs @ matrix) * signs).sum(axis=1) for matrix in (first, second)])
        usable = (squares > floor).all(axis=0)
        flipped = ((signs @ cross) * signs).sum(axis=1)[usable] / np.sqrt(squares[:, usable].prod(axis=0))
        nulls.append(Measure(float(flipped.mean())) if flipped.size else undefined("no sign flip leaves a vector"))
        here = there
    return cosines, nulls


def attention_effect(
    cosines: Float[np.ndarray, " transition"], into_full: Bool[np.ndarray, " transition"], *, seed: int = 0
) -> tuple[float, float]:
    """Compare transitions into full attention with the others, about a quadratic trend in depth.

    Returns:
        Difference of the mean residuals (negative: the vector turns more at full attention), and its
        two-sided permutation p-value.
    """
    depth = np.linspace(-1, 1, cosines.size)
    residuals = cosines - np.polynomial.Polynomial.fit(depth, cosines, 2)(depth)

    def gap(full: Bool[np.ndarray, " transition"]) -> float:
        return float(residuals[full].mean() - residuals[~full].mean())

    rng = np.random.default_rng(seed)
    observed = gap(into_full)
    draws = np.array([gap(rng.permutation(into_full)) for _ in range(PERMUTATIONS)])
    extreme = int((np.abs(draws) >= abs(observed) - 1e-12).sum())
    return observed, (1 + extreme) / (1 + PERMUTATIONS)


def _finding(cosines: Sequence[Number], excess: Sequence[Number], kinds: Sequence[str]) -> str:
    defined = [(cosine, layer) for layer, cosine in enumerate(cosines) if cosine is not None]
    if not defined:
        return "No two neighboring layers both have a steering vector."
    lowest, at = min(defined)
    gaps = [gap for gap in excess if gap is not None]
    shared = f"mean excess over the sign-flip null {show(float(np.mean(gaps)))}" if gaps else "no null is defined"
    turning = f"The vector turns most from layer {at} to {at + 1} (cosine {show(lowest)}); {shared}. "
    if len(set(kinds)) < 2 or FULL not in kinds:
        return (
            turning + f"The model is not hybrid: every block is of one kind ({kinds[0]}), so there is no dip to test."
        )
    full = np.array([kind == FULL for kind in kinds[1:]])
    if len(defined) < len(cosines) or len(cosines) < 8 or min(full.sum(), (~full).sum()) < 2:
        return turning + "There are too few transitions to test whether full attention turns it."
    gap, p = attention_effect(np.array([cosine for cosine, _ in defined]), full)
    return (
        turning + f"Into full attention the cosine is {gap:+.3f} against the other blocks (permutation p {show(p, 3)})."
    )


if __name__ == "__main__":
    main(adjacent_similarity)
