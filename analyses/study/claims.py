"""What a write-up of steering Qwen3.5-9B found, held against what this study measured, claim by claim.

Each claim becomes one number per behavior, whose mean over behaviors has a 95 % interval (nested bootstrap where it is
a truth over prompts, Student's over behaviors else). It *holds* if the whole interval lies within what is
claimed, *does not hold* if all of it lies outside, and *cannot be told* otherwise, or with fewer than three behaviors
(of each kind, where two kinds are compared). What is claimed, as numbers, is in the table. Shares have Wilson's
interval, a difference between two kinds of behaviors Welch's.

By likelihood, ways to make a vector are compared at layers spread over depth, at one strength: at cells that none of
them chose. By generation they meet at the cell that was best for the mean difference, which favors it.

What it does not show: that the write-up was right or wrong about its own model. This is another one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from analyses.adjacent_similarity import adjacent_cosines
from analyses.gram import Gram, consistency, gram_at, normalization_sensitivity
from analyses.measure import Measure, interval_cells
from analyses.resampling import stability
from analyses.spectrum import centered_shares, components_for, isotropic_null
from analyses.study.claim import Claim, claim_of, difference_claim, share_claim
from analyses.study.nulls import nested_bootstrap
from analyses.study.truths import Kind, Subject, Truth, subjects, truth_of
from interp_steer.activations.artifact import read_activations
from interp_steer.findings import AnalysisResult, Table
from interp_steer.outcomes import Outcomes, read_outcomes
from interp_steer.records import Cell
from interp_steer.run import Run
from interp_steer.stats import spearman
from interp_steer.terms import Control

EARLY = (7 / 32, 13 / 32)
ENTITY = "mentions"  # the scorer of behaviors that are about one thing


def claims(runs: Sequence[Run]) -> AnalysisResult:
    """Hold every claim against the study.

    Raises:
        RunError: If a run lacks a stage of the study.
    """
    found = [*_geometry(runs), *_steering(subjects(runs))]
    count = {
        verdict: sum(one.verdict == verdict for one in found) for verdict in ("holds", "does not hold", "cannot tell")
    }
    return AnalysisResult(
        name="claims",
        title="The write-up's claims",
        question="Which findings of the write-up are also found here?",
        finding=(
            f"Claims that hold on this model: {count['holds']} of {len(found)}; that do not: {count['does not hold']}; "
            f"that these behaviors cannot tell: {count['cannot tell']}."
        ),
        caveats=(
            "Another model than the write-up's, 70 times smaller: what does not hold here may hold there.",
            "Geometry is that of these pairs; steering is that of behaviors that are steered at all.",
        ),
        tables=(
            Table(
                title="Claim by claim",
                columns=(
                    "claim",
                    "measured here",
                    "claimed",
                    "mean",
                    "low",
                    "high",
                    "by chance",
                    "behaviors",
                    "verdict",
                ),
                rows=tuple(
                    (
                        one.text,
                        one.measure,
                        one.claimed,
                        *interval_cells(one.evidence),
                        one.chance,
                        one.n,
                        one.verdict,
                    )
                    for one in found
                ),
                notes=(
                    "mean over behaviors with its 95 % interval; it must lie within what is claimed, or outside",
                    "where the layer at 80 % of the depth was not generated at, the nearest one stands for it",
                    "by chance: the same mean for as many pairs of pure noise (components), or for the same pairs with "
                    "their signs flipped at random (adjacent similarity); where that fits the claim too, the claim "
                    "says nothing about behaviors",
                ),
            ),
        ),
    )


def _geometry(runs: Sequence[Run]) -> list[Claim]:
    """The claims about the pairs' activations alone."""
    every = [read_activations(run.activations_path) for run in runs]
    grams = [[gram_at(one, layer) for layer in range(one.n_layers)] for one in every]

    def medians(measure: Callable[[Gram], float | None]) -> list[float | None]:
        return [_median([measure(gram) for gram in layers]) for layers in grams]

    def k80(gram: Gram) -> float | None:
        shares = centered_shares(gram)
        return None if shares is None else float(components_for(shares))

    accuracy = [run.analysis("probe_accuracy").scores["probe_accuracy"] for run in runs]
    saturated = [
        float(np.mean([score >= 0.95 for score in scores if score is not None])) if any(scores) else None
        for scores in accuracy
    ]
    last = [bool(np.argmax([gram.mean_squared for gram in layers]) == len(layers) - 1) for layers in grams]
    ratio_last = [
        bool(np.argmax([gram.mean_squared**0.5 / norm for gram, norm in zip(layers, one.activation_norm, strict=True)])
             == len(layers) - 1)
        for layers, one in zip(grams, every, strict=True)
    ]  # fmt: skip
    adjacent = [adjacent_cosines(one) for one in every]
    return [
        share_claim("magnitude picks the last layer", "share of behaviors whose raw norm is largest there", last,
                  least=0.5),
        share_claim("... and so does the ratio to the stream", "share whose magnitude ratio is largest there",
                  ratio_last, least=0.5),
        claim_of("5 or 6 components to 80 % of the variance", "median over layers, centered", medians(k80),
               least=4.5, most=6.5,
               chance=[isotropic_null(one.n_pairs, one.card.model.d_model)[2] for one in every]),
        claim_of("probe accuracy saturates", "share of layers with grouped accuracy of 0.95 or more", saturated,
               least=0.8),
        claim_of("normalization sensitivity is near 1", "median over layers",
               medians(lambda g: normalization_sensitivity(g).value),
               least=0.95),
        claim_of("stability is high", "median over layers", medians(lambda g: stability(g).mean.value),
               least=0.8),
        claim_of("consistency is low", "median over layers", medians(lambda g: consistency(g).value),
               most=0.5),
        claim_of("adjacent similarity rises with depth", "rank correlation of the cosine with depth",
               [_rise(cosines) for cosines, _ in adjacent], least=0.0, chance=[_rise(nulls) for _, nulls in adjacent]),
    ]  # fmt: skip


def _rise(cosines: Sequence[Measure]) -> float | None:
    known = [(i, one.value) for i, one in enumerate(cosines) if one.value is not None]
    return spearman(*np.array(known, dtype=float).T) if len(known) > 2 else None


def _median(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.median(defined)) if defined else None


def _steering(found: Sequence[Subject]) -> list[Claim]:
    """The claims about what steers."""
    made: list[Claim] = []
    kinds: tuple[Kind, ...] = ("equal KL", "generation")
    for kind in kinds:
        truths = [truth for subject in found if (truth := truth_of(subject, kind)).steerable]
        evidence = nested_bootstrap([one.values for one in truths], _early_over_late(truths), resamples=500)
        made.append(
            Claim(
                text=f"early layers beat 80 % depth ({kind})",
                measure="layers at 22-41 % of the depth minus that at 80 %, in units of best minus mean",
                least=0.0,
                evidence=evidence,
                n=0 if evidence is None else evidence.n,
            )
        )
    outcomes = {subject.name: read_outcomes(subject.run) for subject in found}
    methods: tuple[tuple[Control, str], ...] = (("pca", "PCA"), ("pca_centered", "centered PCA"))
    for method, name in methods:
        gaps = [_likelihood_gap(subject, method) for subject in found if truth_of(subject, "likelihood").steerable]
        text = f"{name} steers worse than the mean"
        made.append(claim_of(f"{text} (likelihood)", "mean minus PCA at layers spread over depth, nats per token",
                           gaps, least=0.0))  # fmt: skip
        written = [
            _generation_gap(outcomes[subject.name], method)
            for subject in found
            if truth_of(subject, "generation").steerable
        ]
        made.append(claim_of(f"{text} at the mean's own best cell (generation)", "mean minus PCA, combined score",
                           written, least=0.0))  # fmt: skip
    gains = {name: _gain(each) for name, each in outcomes.items()}
    styles, entities = (
        [gain for subject in found if (subject.family == ENTITY) is entity if (gain := gains[subject.name]) is not None]
        for entity in (False, True)
    )
    made.append(
        difference_claim(
            "obsession with an entity is harder than style",
            "mean gain of the other behaviors minus that of the entities (generation)",
            styles,
            entities,
        )
    )
    return made


def _early_over_late(truths: Sequence[Truth]) -> Callable[[int, Float[np.ndarray, "layer prompt"]], float | None]:
    def statistic(i: int, values: Float[np.ndarray, "layer prompt"]) -> float | None:
        truth, mean = truths[i], values.mean(axis=1)
        depth = np.array(truth.layers) / truth.n_layers
        early = (depth >= EARLY[0]) & (depth <= EARLY[1])
        late = int(np.abs(np.array(truth.layers) - int(0.8 * truth.n_layers)).argmin())
        span = float(mean.max() - mean.mean())
        return float(mean[early].mean() - mean[late]) / span if early.any() and span > 1e-12 else None

    return statistic


def _likelihood_gap(subject: Subject, method: Control) -> float | None:
    means = {cell.layer: row for cell, row in subject.test.of("mean")}
    rows = subject.test.of("pca" if method == "pca" else "pca_centered")
    return float(np.mean([means[cell.layer] - row for cell, row in rows])) if rows else None


def _generation_gap(outcomes: Outcomes, method: Control) -> float | None:
    best = outcomes.best_cell("dev")
    if best is None:
        return None
    other = Cell(control=method, layer=best.layer, alpha=best.alpha)
    effect = outcomes.effect("test", best, "combined", baseline=other)
    return None if effect is None else effect.mean


def _gain(outcomes: Outcomes) -> float | None:
    best = outcomes.best_cell("dev")
    effect = None if best is None else outcomes.effect("test", best, "combined")
    return None if effect is None else effect.mean
