"""The write-up's claims about what steers."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from analyses.study.claim import Claim, claim_of, difference_claim
from analyses.study.nulls import nested_bootstrap
from analyses.study.truths import Kind, Subject, Truth, truth_of
from interp_steer.outcomes import Outcomes, read_outcomes
from interp_steer.records import Cell
from interp_steer.terms import Control

EARLY = (7 / 32, 13 / 32)
ENTITY = "mentions"  # the scorer of behaviors that are about one thing


def steering_claims(found: Sequence[Subject]) -> list[Claim]:
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
