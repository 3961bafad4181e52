"""The write-up's claims about the geometry of pairs, each beside the same number where there is nothing to find."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from analyses.adjacent_similarity import adjacent_cosines
from analyses.gram import Gram, consistency, gram_at, normalization_sensitivity
from analyses.measure import Measure
from analyses.resampling import stability
from analyses.spectrum import centered_shares, components_for, isotropic_null
from analyses.study.claim import Claim, claim_of, share_claim
from interp_steer.activations.artifact import read_activations
from interp_steer.findings import Number
from interp_steer.run import Run
from interp_steer.stats import spearman

FLIPS = 10


def geometry_claims(runs: Sequence[Run]) -> list[Claim]:
    """The claims about the pairs' activations alone, each beside the same number for pairs whose signs are flipped."""
    every = [read_activations(run.activations_path) for run in runs]
    grams = [[gram_at(one, layer) for layer in range(one.n_layers)] for one in every]
    flipped = [[flip(layers, seed) for seed in range(FLIPS)] for layers in grams]
    norms = [one.activation_norm for one in every]
    adjacent = [adjacent_cosines(one) for one in every]

    def medians(measure: Callable[[Gram], Number]) -> list[Number]:
        return [_median([measure(gram) for gram in layers]) for layers in grams]

    def by_chance(measure: Callable[[Gram], Number]) -> list[Number]:
        return [_median([measure(gram) for gram in layers]) for each in flipped for layers in each]

    def k80(gram: Gram) -> float | None:
        shares = centered_shares(gram)
        return None if shares is None else float(components_for(shares))

    def sensitivity(gram: Gram) -> Number:
        return normalization_sensitivity(gram).value

    def stable(gram: Gram) -> Number:
        return stability(gram).mean.value

    def consistent(gram: Gram) -> Number:
        return consistency(gram).value

    accuracy = [run.analysis("probe_accuracy").scores["probe_accuracy"] for run in runs]
    saturated = [
        float(np.mean([score >= 0.95 for score in scores if score is not None])) if any(scores) else None
        for scores in accuracy
    ]
    return [
        share_claim("magnitude picks the last layer", "share of behaviors whose raw norm is largest there",
                  [_peaks_last(layers) for layers in grams], least=0.5,
                  chance=[float(_peaks_last(layers)) for each in flipped for layers in each]),
        share_claim("... and so does the ratio to the stream", "share whose magnitude ratio is largest there",
                  [_peaks_last(layers, norm) for layers, norm in zip(grams, norms, strict=True)], least=0.5,
                  chance=[float(_peaks_last(layers, norm)) for each, norm in zip(flipped, norms, strict=True)
                          for layers in each]),
        claim_of("5 or 6 components to 80 % of the variance", "median over layers, centered", medians(k80),
               least=4.5, most=6.5,
               chance=[isotropic_null(one.n_pairs, one.card.model.d_model)[2] for one in every]),
        claim_of("probe accuracy saturates", "share of layers with grouped accuracy of 0.95 or more", saturated,
               least=0.8),
        claim_of("normalization sensitivity is near 1", "median over layers", medians(sensitivity), least=0.95,
               chance=by_chance(sensitivity)),
        claim_of("stability is high", "median over layers", medians(stable), least=0.8, chance=by_chance(stable)),
        claim_of("consistency is low", "median over layers", medians(consistent), most=0.5,
               chance=by_chance(consistent)),
        claim_of("adjacent similarity rises with depth", "rank correlation of the cosine with depth",
               [_rise(cosines) for cosines, _ in adjacent], least=0.0, chance=[_rise(nulls) for _, nulls in adjacent]),
    ]  # fmt: skip


def flip(layers: Sequence[Gram], seed: int) -> list[Gram]:
    """Return the Gram matrices of the same pairs with their sides swapped at random, alike at every layer."""
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=layers[0].n)
    return [replace(gram, matrix=gram.matrix * np.outer(signs, signs)) for gram in layers]


def _peaks_last(layers: Sequence[Gram], norms: Float[np.ndarray, " layer"] | None = None) -> bool:
    """Whether the mean difference is longest at the last layer, or longest in units of the residual's norm."""
    lengths = np.sqrt([gram.mean_squared for gram in layers])
    return int(np.argmax(lengths if norms is None else lengths / norms)) == len(layers) - 1


def _rise(cosines: Sequence[Measure]) -> float | None:
    known = [(i, one.value) for i, one in enumerate(cosines) if one.value is not None]
    return spearman(*np.array(known, dtype=float).T) if len(known) > 2 else None


def _median(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.median(defined)) if defined else None
